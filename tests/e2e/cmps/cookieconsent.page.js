// A site with vanilla-cookieconsent; `?revision=2` asks everybody again.
import "vanilla-cookieconsent/dist/cookieconsent.css";
import * as CookieConsent from "vanilla-cookieconsent";
import { run } from "./cookieconsent.js";

const texts = { acceptAllBtn: "Accept all", acceptNecessaryBtn: "Reject all" };
window.showPreferences = CookieConsent.showPreferences;
run({
  hideFromBots: false,
  revision: Number(new URLSearchParams(location.search).get("revision") ?? 1),
  categories: { necessary: { readOnly: true, enabled: true }, analytics: {}, functionality: {} },
  language: {
    default: "en",
    translations: {
      en: {
        consentModal: { title: "May we count?", description: "Only with your word.", ...texts },
        preferencesModal: {
          title: "Your choice",
          savePreferencesBtn: "Save",
          ...texts,
          sections: [
            { title: "Counting", description: "Statistics.", linkedCategory: "analytics" },
            { title: "Layout", description: "Adjustment.", linkedCategory: "functionality" },
          ],
        },
      },
    },
  },
});
