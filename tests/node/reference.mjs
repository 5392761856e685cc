// What the reference libraries say about one string, with vendor sets as sorted, merged ranges so that the answer stays small.
import { TCString } from '@iabtcf/core';
import { GppModel } from '@iabgpp/cmpapi';

const SEGMENTS = ['core', 'vendorsDisclosed', 'vendorsAllowed', 'publisherTC'];
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const ids = (vector) => [...vector.values()].sort((a, b) => a - b);

function ranges(numbers) {
  const found = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last && number <= last[1] + 1) last[1] = Math.max(last[1], number);
    else found.push([number, number]);
  }
  return found;
}

export function tcf(text) {
  const model = TCString.decode(text);
  // The library does not say which segments there were; their type is in the first three bits.
  const segments = text.split('.').map((segment) => SEGMENTS[ALPHABET.indexOf(segment[0]) >> 3]);
  const restrictions = model.publisherRestrictions.getRestrictions().map((one) => ({
    purposeId: one.purposeId,
    restrictionType: one.restrictionType,
    vendors: ranges(model.publisherRestrictions.getVendors(one)),
  }));
  const of = (name, value) => (segments.includes(name) ? value() : null);
  return {
    version: model.version,
    created: model.created,
    lastUpdated: model.lastUpdated,
    cmpId: model.cmpId,
    cmpVersion: model.cmpVersion,
    consentScreen: model.consentScreen,
    consentLanguage: model.consentLanguage,
    vendorListVersion: model.vendorListVersion,
    policyVersion: model.policyVersion,
    isServiceSpecific: model.isServiceSpecific,
    useNonStandardTexts: model.useNonStandardStacks,
    specialFeatureOptIns: ids(model.specialFeatureOptins),
    purposeConsents: ids(model.purposeConsents),
    purposeLegitimateInterests: ids(model.purposeLegitimateInterests),
    purposeOneTreatment: model.purposeOneTreatment,
    publisherCountryCode: model.publisherCountryCode,
    vendorConsents: ranges(ids(model.vendorConsents)),
    vendorLegitimateInterests: ranges(ids(model.vendorLegitimateInterests)),
    publisherRestrictions: restrictions.sort((a, b) => a.purposeId - b.purposeId || a.restrictionType - b.restrictionType),
    vendorsDisclosed: of('vendorsDisclosed', () => ranges(ids(model.vendorsDisclosed))),
    vendorsAllowed: of('vendorsAllowed', () => ranges(ids(model.vendorsAllowed))),
    publisherTC: of('publisherTC', () => ({
      publisherConsents: ids(model.publisherConsents),
      publisherLegitimateInterests: ids(model.publisherLegitimateInterests),
      numCustomPurposes: model.numCustomPurposes,
      publisherCustomConsents: ids(model.publisherCustomConsents),
      publisherCustomLegitimateInterests: ids(model.publisherCustomLegitimateInterests),
    })),
    segments,
  };
}

const VENDORS = ['VendorConsents', 'VendorLegitimateInterests', 'VendorsAllowed', 'VendorsDisclosed'];
VENDORS.push('VendorExpressConsent', 'VendorImpliedConsent', 'DisclosedVendors');
const RESTRICTIONS = ['PublisherRestrictions', 'PubRestrictions'];

// Bit fields become sorted numbers and vendor sets ranges, as everywhere in our answers; everything else is as the library prints it.
function plain(name, value) {
  if (VENDORS.includes(name)) return ranges(value);
  if (RESTRICTIONS.includes(name)) {
    const records = value.map(({ key, type, ids }) => ({ key, type, ids: ranges(ids) }));
    return records.sort((a, b) => a.key - b.key || a.type - b.type);
  }
  if (Array.isArray(value) && typeof value[0] === 'boolean') return value.flatMap((set, index) => (set ? [index + 1] : []));
  return value;
}

export function gpp(text) {
  const model = new GppModel(text);
  const sections = {};
  for (const [section, fields] of Object.entries(model.toObject())) {
    sections[section] = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(name, value)]));
  }
  return { header: model.getHeader(), sectionIds: model.getSectionIds(), sections };
}
