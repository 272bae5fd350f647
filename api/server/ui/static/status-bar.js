// Shows how stream, engine and controller are, and since when: nothing here is silently old.

import { fill, h, icon, setText } from "./dom.js";
import { now } from "./server.js";
import { formatAge, formatClock, readTime } from "./words.js";

/** Seconds after which what was asked for every three seconds is old. */
const OLD = 12;

/** What is said of the stream: `{state, word, detail}`; `state` is good, waits or bad. */
export function describeStream({ state, heardAt, since, error }, at) {
  const age = heardAt === null ? "" : `as of ${formatAge(at - heardAt)} ago`;
  switch (state) {
    case "live":
      return { state: "good", word: "Live", detail: age };
    case "polling":
      return { state: "good", word: "Live, every 2 s", detail: `many tabs are open; ${age}` };
    case "paused":
      return { state: "waits", word: "Paused", detail: age };
    case "connecting":
      return { state: "waits", word: "Connecting", detail: "" };
    case "refused":
      return { state: "bad", word: "Refused", detail: error?.message ?? "" };
    default:
      return { state: "bad", word: "Not live", detail: age || `for ${formatAge(at - since)}` };
  }
}

/** What is said of engine and controller by the last answer, `plan` as the page keeps it. */
export function describePlan({ value, at }, time) {
  if (value === null) {
    const unknown = { state: "waits", word: "unknown", detail: "" };
    return { engine: unknown, controller: unknown };
  }
  const age = time - at > OLD ? `as of ${formatAge(time - at)} ago` : "";
  const { engine, controller } = value;
  const since = readTime(engine.since ?? null);
  const down = { state: "bad", word: "away", detail: since === null ? "" : `for ${formatAge(time - since)}` };
  const slots = controller.slotsUsed === null
    ? ""
    : `${controller.slotsUsed} of ${controller.slotsAllowed ?? "any number of"} slots used`;
  const roles = {
    active: { state: "good", word: "active", detail: slots },
    standby: { state: "waits", word: "stands by", detail: "another one serves" },
    seeking: { state: "waits", word: "looks for the engine", detail: "" },
    silent: { state: "bad", word: "does not answer", detail: "" },
    none: { state: "waits", word: "not asked", detail: "" },
  };
  const role = roles[controller.role] ?? { state: "waits", word: controller.role, detail: "" };
  const old = (part) => (age ? { ...part, state: part.state === "good" ? "waits" : part.state, detail: age } : part);
  return { engine: old(engine.up ? { state: "good", word: "up", detail: "" } : down), controller: old(role) };
}

const SIGNS = { good: "live", waits: "waits", bad: "away" };

export class StatusBar {
  #page;
  #parts = new Map();
  #notice = document.getElementById("notice");
  #told = "";

  constructor(page) {
    this.#page = page;
  }

  draw() {
    const { stream, plan, session } = this.#page;
    const bar = document.getElementById("status");
    if (session === null && stream.state !== "away") {
      fill(bar);
      this.#parts.clear();
      return this.#announce("");
    }
    const at = now();
    const { engine, controller } = describePlan(plan, at);
    this.#drawPart(bar, "Stream", describeStream(stream, at), false);
    this.#drawPart(bar, "Engine", engine);
    this.#drawPart(bar, "Controller", controller);
    this.#announce(this.#findNotice(stream, engine, controller));
  }

  #drawPart(bar, name, { state, word, detail }, names = true) {
    let part = this.#parts.get(name);
    if (part === undefined) {
      const sign = h("span", { class: "sign" });
      const label = h("span", { class: "name" }, names ? `${name} ` : "");
      const text = h("span", { class: "word" });
      const more = h("span", { class: "detail" });
      const element = h("span", { class: "pill", "data-part": name }, sign, h("span", { class: "texts" }, label, text, more));
      part = { element, sign, text, more, state: null };
      this.#parts.set(name, part);
      bar.append(element);
    }
    if (part.state !== state) {
      part.state = state;
      part.element.dataset.state = state;
      fill(part.sign, icon(SIGNS[state]));
    }
    setText(part.text, word);
    setText(part.more, detail ? `, ${detail}` : "");
    part.element.title = `${name}: ${word}${detail ? `, ${detail}` : ""}`;
  }

  #findNotice({ state, heardAt, error }, engine, controller) {
    if (state === "refused") return `The server refuses the stream: ${error?.message ?? ""}`;
    if (state === "away") {
      const age = heardAt === null ? "" : ` What is shown is as of ${formatClock(heardAt)}.`;
      const says = error?.code ? `The server refuses the stream for now: ${error.message}` : "The server is not heard";
      return `${says}; trying again.${age}`;
    }
    if (engine.state === "bad") return "The Docker Engine does not answer: what is shown is what was last known of it.";
    if (controller.state === "bad") return "No controller answers: nothing may be starting, stopping or cleaning up jobs.";
    return "";
  }

  /** Say what matters once, also to who cannot see it. */
  #announce(text) {
    if (text === this.#told) return;
    this.#told = text;
    fill(this.#notice, text ? icon("away") : null, text ? h("span", {}, text) : null);
  }
}
