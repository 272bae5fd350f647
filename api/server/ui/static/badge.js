// A phase as a sign and a word.

import { h, icon } from "./dom.js";

export function badge(phase) {
  return h("span", { class: "badge", "data-phase": phase }, icon(phase), h("span", {}, phase));
}
