// A site with klaro.
import "klaro/dist/klaro.css";
import * as klaro from "klaro/dist/klaro-no-css";
import { follow } from "./klaro.js";

const config = {
  acceptAll: true,
  groupByPurpose: false,
  lang: "en",
  translations: { en: { privacyPolicyUrl: "/privacy", purposes: { counting: "Counting", layout: "Layout" } } },
  services: [
    { name: "matomo", title: "Counting", purposes: ["counting"] },
    { name: "recommender", title: "Layout", purposes: ["layout"] },
  ],
};
window.showPreferences = () => klaro.show(config, true);
klaro.setup(config);
follow(klaro.getManager(config));
