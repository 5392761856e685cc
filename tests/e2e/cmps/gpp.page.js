// A site whose own banner speaks GPP through IAB's library.
import { CmpApi, CmpDisplayStatus, CmpStatus, SignalStatus } from "@iabgpp/cmpapi";
import { follow } from "./gpp.js";

const cmp = new CmpApi(31, 1);
cmp.setApplicableSections([7]);
cmp.setCmpStatus(CmpStatus.LOADED);
follow(window.__gpp);

function answer(value) {
  for (const field of ["SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut"]) {
    cmp.setFieldValue("usnat", field, value);
    cmp.setFieldValue("usnat", `${field}Notice`, 1);
  }
  cmp.setFieldValue("usnat", "SharingNotice", 1);
  cmp.setFieldValue("usnat", "MspaCoveredTransaction", 2);
  cmp.setCmpDisplayStatus(CmpDisplayStatus.HIDDEN);
  cmp.setSignalStatus(SignalStatus.READY);
}
document.body.innerHTML = '<button id="accept">Allow</button><button id="decline">Do not sell or share</button>';
document.getElementById("accept").onclick = () => answer(2);
document.getElementById("decline").onclick = () => answer(1);
