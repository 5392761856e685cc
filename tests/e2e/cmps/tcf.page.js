// A site whose own banner speaks TCF through IAB's libraries.
import { CmpApi } from "@iabtcf/cmpapi";
import { GVL, TCModel, TCString } from "@iabtcf/core";
import { follow } from "./tcf.js";

const named = (last) => Object.fromEntries(Array.from({ length: last }, (_, i) => [i + 1, { id: i + 1, name: `${i + 1}` }]));
const vendor = { id: 1, name: "one", purposes: [1, 5, 6, 8, 9], legIntPurposes: [], flexiblePurposes: [], specialPurposes: [], features: [], specialFeatures: [] };
const list = new GVL({
  gvlSpecificationVersion: 3,
  vendorListVersion: 150,
  tcfPolicyVersion: 5,
  lastUpdated: "2026-01-01T00:00:00Z",
  purposes: named(11),
  specialPurposes: named(1),
  features: {},
  specialFeatures: {},
  stacks: {},
  dataCategories: {},
  vendors: { 1: vendor },
});
const cmp = new CmpApi(31, 1, true);
follow(window.__tcfapi);

function answer(purposes) {
  const model = new TCModel(list);
  Object.assign(model, { cmpId: 31, cmpVersion: 1, isServiceSpecific: true, publisherCountryCode: "DE" });
  model.purposeConsents.set(purposes);
  model.vendorsDisclosed.set([1]);
  cmp.update(TCString.encode(model, { segments: ["core", "vendorsDisclosed"] }), false);
}
document.body.innerHTML = '<button id="accept">Accept</button><button id="decline">Decline</button>';
document.getElementById("accept").onclick = () => answer([1, 5, 6, 8, 9]);
document.getElementById("decline").onclick = () => answer([]);
list.readyPromise.then(() => cmp.update("", true));
