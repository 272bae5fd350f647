// Who held which slot when: the last hour, or less of it, as a chart.

import { fill, foreign, h, setText } from "./dom.js";
import { assignLanes, findTicks, layOut } from "./lanes.js";
import { formatRoute } from "./route.js";
import { now, read } from "./server.js";
import { formatAge, formatClock, formatSpan, readTime } from "./words.js";

const ASK_EVERY = 5_000;
/** Seconds that the chart may show. */
const SPANS = [[3600, "1 h"], [900, "15 min"], [300, "5 min"]];
/** Bars that are drawn; the newest. */
const MOST = 1500;
/** Pixels that a bar has at least. */
const LEAST = 3;
/** Pixels of a bar from which on its job's name is written in it. */
const NAMED = 64;

export class SlotsView {
  #page;
  #span = SPANS[0][0];
  #answer = null;
  #lanes = new Map();
  #askedAt = 0;
  #isAsking = false;
  #chart = h("div", { class: "chart" });
  #axis = h("div", { class: "axis", "aria-hidden": "true" });
  #told = h("p", { class: "told", "aria-live": "polite" });
  #error = h("p", { class: "error", role: "status" });
  #isDrawn = false;

  constructor(page) {
    this.#page = page;
    const legend = ["Running", "Succeeded", "Failed", "Cancelled"].map((phase) =>
      h("span", { class: "key" }, h("span", { class: "swatch", "data-phase": phase }), phase));
    this.element = h(
      "div",
      { class: "view" },
      h("div", { class: "titled" }, h("h1", {}, "Slots, the last hour"), this.#makeSpans()),
      this.#error,
      h("section", { class: "card slots", "aria-label": "Slots, the last hour" }, this.#chart, this.#axis, this.#told, h("p", { class: "legend" }, legend)),
    );
    for (const event of ["mouseover", "focusin"]) {
      this.#chart.addEventListener(event, ({ target }) => {
        const text = target.closest?.(".slot")?.title;
        if (text) setText(this.#told, text);
      });
    }
    document.title = "Slots";
    this.#ask();
  }

  #makeSpans() {
    const buttons = SPANS.map(([span, word]) =>
      h("button", { type: "button", class: "phase", "aria-pressed": String(span === this.#span), onclick: () => choose(span) }, word));
    const choose = (span) => {
      this.#span = span;
      SPANS.forEach(([each], index) => buttons[index].setAttribute("aria-pressed", String(each === span)));
      this.#isDrawn = false;
      this.draw();
    };
    return h("div", { class: "phases", role: "group", "aria-label": "How much of it" }, buttons);
  }

  takes(route) {
    return route.view === "slots";
  }

  onRoute() {}

  draw() {
    // what moves with time alone moves with the next answer
    if (this.#answer !== null && !this.#isDrawn && this.#chart.clientWidth) this.#draw();
  }

  tick() {
    this.draw();
    if (Date.now() - this.#askedAt > ASK_EVERY) this.#ask();
  }

  async #ask() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#askedAt = Date.now();
    try {
      const { items, since } = await read("slots");
      const shown = items.slice(-MOST).map(readItem);
      this.#answer = { items: shown, at: now(), all: items.length, since: readTime(since ?? null) };
      setText(this.#error, "");
      this.#isDrawn = false;
      this.draw();
    } catch (error) {
      if (this.#page.onRefusal(error)) return;
      const age = this.#answer === null ? "" : ` What is shown is ${formatAge(now() - this.#answer.at)} old.`;
      setText(this.#error, `The slots cannot be read: ${error.message}.${age}`);
    } finally {
      this.#isAsking = false;
    }
  }

  #draw() {
    this.#isDrawn = true;
    const until = now();
    const since = until - this.#span;
    const width = this.#chart.clientWidth;
    const items = this.#answer.items
      .map((item) => ({ ...item, end: item.ended ?? until }))
      .filter((item) => item.end > since);
    const { lanes, count } = assignLanes(items, this.#lanes);
    this.#lanes = lanes;
    const bars = layOut(items, lanes, since, until, LEAST / width);
    const focused = document.activeElement?.dataset?.uid;
    this.#chart.style.setProperty("--lanes", String(Math.max(1, count)));
    this.#chart.classList.toggle("dense", count > 24);
    fill(this.#chart, bars.map((bar) => drawBar(bar, width)));
    if (focused) [...this.#chart.children].find((bar) => bar.dataset.uid === focused)?.focus();
    if (!bars.length) fill(this.#chart, h("p", { class: "empty" }, "Nothing has held a slot within this time."));
    const ticks = findTicks(since, until, Math.max(2, width / 70));
    fill(this.#axis, ticks.map((at) => {
      const tick = h("span", { class: "tick" }, formatClock(at, false));
      tick.style.left = `${(100 * (at - since)) / this.#span}%`;
      return tick;
    }));
    if (!focused && !this.#chart.matches(":hover")) setText(this.#told, describeAll(items, count, this.#answer, since));
  }
}

function describeAll(items, lanes, { all, items: kept, since }, begin) {
  const running = items.filter((item) => item.ended === null).length;
  const most = all > kept.length ? `; only the newest ${kept.length} of ${all} are shown` : "";
  const known = since !== null && since > begin + 60 ? `; what ended before ${formatClock(since, false)} is not known` : "";
  return `${items.length} ${items.length === 1 ? "job" : "jobs"}, at most ${lanes} at once, ${running} now${most}${known}.${items.length ? " Point at a bar, or go to it with Tab, to read whose it is." : ""}`;
}

function readItem(item) {
  const ended = readTime(item.ended);
  return { ...item, begin: readTime(item.started), ended };
}

function drawBar({ lane, left, width, phase, items }, pixels) {
  const [first] = items;
  const isOne = items.length === 1;
  const title = isOne ? describe(first) : `${items.length} jobs, one after the other: ${first.id} and others`;
  const href = isOne ? formatRoute({ view: "job", uid: first.uid }) : formatRoute({ view: "jobs" });
  const bar = h("a", { class: "slot", href, title, "aria-label": title, "data-phase": phase, "data-uid": first.uid });
  bar.style.setProperty("--lane", String(lane));
  bar.style.left = `${100 * left}%`;
  bar.style.width = `max(${LEAST}px, ${100 * width}% - 1px)`;
  if (isOne && width * pixels > NAMED) bar.append(foreign(first.id));
  return bar;
}

function describe(item) {
  const span = formatSpan(item.end - item.begin);
  const times = `${formatClock(item.begin)} – ${item.ended === null ? "now" : formatClock(item.ended)}`;
  return `${item.id}: ${item.phase}, queue ${item.queue}, ${times}, ${span}`;
}
