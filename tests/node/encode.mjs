// Writes strings that the reference libraries encode from random content: `node encode.mjs SEED COUNT`, {"tcf": "…"} or {"gpp": "…"} a line.
import { GVL, PurposeRestriction, TCModel, TCString } from '@iabtcf/core';
import { EncodableArrayOfFixedIntegerRanges, EncodableArrayOfOptimizedFibonacciRanges, GppModel, RangeEntry, Sections } from '@iabgpp/cmpapi';

const [seed, count] = process.argv.slice(2).map(Number);

let state = seed >>> 0;
function random() {
  // mulberry32
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
const below = (number) => Math.floor(random() * number);
const pick = (choices) => choices[below(choices.length)];
const chance = (probability) => random() < probability;
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);
const subset = (numbers) => {
  const density = pick([0, 0.02, 0.3, 0.5, 0.9, 1]);
  return numbers.filter(() => chance(density));
};
const letters = () => String.fromCharCode(65 + below(26), 65 + below(26));
const date = () => new Date((chance(0.5) ? below(2_000_000_000) * 10 : Math.floor(below(24_000)) * 864_000) * 100);

const EVERY = range(1, 11);
const lists = [0, 9, 60, 200, 1300].map((size, index) => {
  const vendors = {};
  for (const id of range(1, size).filter(() => chance(0.8))) {
    vendors[id] = { id, name: `v${id}`, purposes: EVERY, legIntPurposes: EVERY, flexiblePurposes: EVERY, specialPurposes: [1], features: [], specialFeatures: [] };
  }
  const none = {};
  const named = (last) => Object.fromEntries(range(1, last).map((id) => [id, { id, name: `${id}` }]));
  return new GVL({
    gvlSpecificationVersion: 3,
    vendorListVersion: below(4096),
    tcfPolicyVersion: 1 + index,
    lastUpdated: '2026-01-01T00:00:00Z',
    purposes: named(11),
    specialPurposes: named(1),
    features: none,
    specialFeatures: none,
    stacks: none,
    dataCategories: none,
    vendors,
  });
});

function tcf() {
  const gvl = lists[chance(0.05) ? 4 : below(4)]; // the library copies the whole list for every string
  const vendors = Object.keys(gvl.vendors).map(Number);
  const model = new TCModel(gvl);
  model.cmpId = 2 + below(4094);
  model.cmpVersion = below(4096);
  model.consentScreen = below(64);
  model.publisherCountryCode = letters();
  model.isServiceSpecific = chance(0.7);
  model.useNonStandardStacks = chance(0.3);
  model.purposeOneTreatment = chance(0.3);
  model.created = date();
  model.lastUpdated = date();
  model.specialFeatureOptins.set(subset(range(1, 12)));
  model.purposeConsents.set(subset(range(1, 24)));
  model.purposeLegitimateInterests.set(subset(range(1, 24)));
  model.vendorConsents.set(subset(vendors));
  model.vendorLegitimateInterests.set(subset(vendors));
  model.vendorsAllowed.set(subset(vendors));
  model.publisherConsents.set(subset(range(1, 24)));
  model.publisherLegitimateInterests.set(subset(range(1, 24)));
  model.numCustomPurposes = pick([0, 0, 1, 9, 63]);
  model.publisherCustomConsents.set(subset(range(1, model.numCustomPurposes)));
  model.publisherCustomLegitimateInterests.set(subset(range(1, model.numCustomPurposes)));
  for (const purpose of subset(EVERY)) {
    for (const vendor of subset(vendors.slice(0, 80))) model.publisherRestrictions.add(vendor, new PurposeRestriction(purpose, below(3)));
  }
  const others = ['vendorsDisclosed', 'vendorsAllowed', 'publisherTC'].filter(() => chance(0.5)).sort(() => random() - 0.5);
  return TCString.encode(model, { segments: ['core', ...others] });
}

function value(name, field) {
  if (field instanceof EncodableArrayOfFixedIntegerRanges || field instanceof EncodableArrayOfOptimizedFibonacciRanges) {
    return subset(range(1, 11)).map((purpose) => new RangeEntry(purpose, below(3), [...subset(range(1, 40)), 50]));
  }
  switch (field.constructor.name) {
    case 'EncodableFixedInteger':
      if (field.bitStringLength === 2) return pick([0, 1, 2].filter((number) => field.validator.test(number)));
      return below(2 ** field.bitStringLength);
    case 'EncodableFixedIntegerList':
      return range(1, field.numElements).map(() => below(3));
    case 'EncodableBoolean':
      return chance(0.5);
    case 'EncodableDatetime':
      return date();
    case 'EncodableFixedString':
      return letters();
    case 'EncodableFixedBitfield':
      return range(1, field.numElements).map(() => chance(0.5));
    case 'EncodableFlexibleBitfield':
      return range(1, field.getLength()).map(() => chance(0.5));
    case 'EncodableOptimizedFixedRange':
    case 'EncodableOptimizedFibonacciRange':
      return chance(0.1) ? subset(range(1, 1300)) : subset(range(1, 300)).filter((_, index) => index % 7 < 4);
    case 'UnencodableCharacter':
      return pick(['Y', 'N', '-']);
    default:
      throw new Error(`no value for ${name}: ${field.constructor.name}`);
  }
}

// Fields that say which form a section has; the library sets them, and we only choose where it offers a choice.
const FIXED = /SegmentType$|SegmentIncluded$|^Version$|^MspaVersion$|^IsServiceSpecific$/;

function gpp() {
  const model = new GppModel();
  for (const name of Sections.SECTION_ORDER.filter(() => chance(0.15))) {
    model.setFieldValue(name, name === 'uspv1' ? 'Notice' : name.startsWith('tcf') ? 'CmpId' : 'SaleOptOut', name === 'uspv1' ? 'Y' : 1);
    const section = model.sections.get(name);
    if (name === 'usnat') section.setFieldValue('Version', pick([1, 2]));
    for (const segment of section.segments) {
      for (const [field, type] of segment.fields.getAll()) {
        if (/SegmentIncluded$/.test(field)) section.setFieldValue(field, chance(0.7));
        else if (!FIXED.test(field)) segment.setFieldValue(field, value(field, type));
      }
    }
  }
  return model.encode();
}

const lines = [];
for (let index = 0; index < count; index++) lines.push(JSON.stringify(index % 2 ? { gpp: gpp() } : { tcf: tcf() }));
process.stdout.write(lines.join('\n') + '\n');
