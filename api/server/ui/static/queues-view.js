// The queues: what each may do, and how it is used.

import { fill, foreign, h, icon, setText } from "./dom.js";
import { formatRoute } from "./route.js";
import { now, read } from "./server.js";
import { formatAge } from "./words.js";

const ASK_EVERY = 15_000;
/** Milliseconds between two questions while jobs change. */
const ASK_AGAIN = 1_500;

export class QueuesView {
  #page;
  #body = h("tbody", { role: "rowgroup" });
  #error = h("p", { class: "error", role: "status" });
  #askedAt = 0;
  #isAsking = false;
  #isDue = true;
  #at = null;
  #rows = new Map();

  constructor(page) {
    this.#page = page;
    const heads = ["Queue", "Running", "Waiting", "Oldest waits", "Weight", "State"];
    this.element = h(
      "div",
      { class: "view" },
      h("h1", {}, "Queues"),
      this.#error,
      h("div", { class: "card table" }, h(
        "table",
        { role: "table", class: "queues" },
        h("caption", { class: "hidden" }, "Queues"),
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((word) => h("th", { role: "columnheader", scope: "col" }, word)))),
        this.#body,
      )),
      h("p", { class: "muted" }, "Running and waiting count the jobs that you may read. Slots go to the queue with the fewest running jobs for its weight."),
    );
    document.title = "Queues";
    this.tick();
  }

  takes(route) {
    return route.view === "queues";
  }

  onRoute() {}

  onMessage({ job }) {
    if (job !== undefined) this.#isDue = true;
  }

  draw() {}

  tick() {
    for (const row of this.#rows.values()) row.tick(now() - this.#at);
    if (Date.now() - this.#askedAt > (this.#isDue ? ASK_AGAIN : ASK_EVERY)) this.#ask();
  }

  async #ask() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#isDue = false;
    this.#askedAt = Date.now();
    try {
      const { items } = await read("../queue");
      this.#at = now();
      setText(this.#error, "");
      this.#drawRows(items);
    } catch (error) {
      if (this.#page.onRefusal(error)) return;
      const age = this.#at === null ? "" : ` What is shown is ${formatAge(now() - this.#at)} old.`;
      setText(this.#error, `The queues cannot be read: ${error.message}.${age}`);
    } finally {
      this.#isAsking = false;
    }
  }

  #drawRows(items) {
    const before = this.#rows;
    this.#rows = new Map(items.map((queue) => [queue.name, before.get(queue.name) ?? new Row(queue.name)]));
    for (const queue of items) this.#rows.get(queue.name).draw(queue);
    const rows = items.map((queue) => this.#rows.get(queue.name).element);
    if (rows.length !== this.#body.childElementCount || rows.some((row, index) => row !== this.#body.children[index])) {
      fill(this.#body, rows);
    }
  }
}

class Row {
  #meter = h("span", { class: "fill" });
  #used = h("span");
  #pending = h("span");
  #oldest = h("td", { role: "cell", "data-head": "Oldest waits" });
  #weight = h("td", { role: "cell", "data-head": "Weight" });
  #state = h("td", { role: "cell", "data-head": "State" });
  #queue = null;

  constructor(name) {
    const link = h("a", { href: formatRoute({ view: "jobs", queue: name }) }, foreign(name));
    this.element = h(
      "tr",
      { role: "row" },
      h("td", { role: "cell", "data-head": "Queue" }, link),
      h("td", { role: "cell", "data-head": "Running", class: "c-used" }, this.#used, h("span", { class: "meter", "aria-hidden": "true" }, this.#meter)),
      h("td", { role: "cell", "data-head": "Waiting" }, this.#pending),
      this.#oldest, this.#weight, this.#state,
    );
  }

  draw(queue) {
    const { used, maxConcurrent, pending, maxPending, weight, paused } = queue;
    this.#queue = queue;
    setText(this.#used, maxConcurrent === null ? `${used}` : `${used} of ${maxConcurrent}`);
    this.#meter.parentElement.hidden = maxConcurrent === null;
    const share = maxConcurrent ? Math.min(1, used / maxConcurrent) : Number(used > 0);
    this.#meter.style.width = `${100 * share}%`;
    this.#meter.classList.toggle("full", maxConcurrent !== null && used >= maxConcurrent);
    setText(this.#pending, maxPending === null ? `${pending}` : `${pending} of ${maxPending}`);
    setText(this.#weight, String(weight));
    const word = paused ? "paused" : maxConcurrent !== null && used >= maxConcurrent ? "full" : "open";
    fill(this.#state, h("span", { class: "state", "data-state": word }, icon({ paused: "Cancelled", full: "waits", open: "Succeeded" }[word]), word));
    this.tick(0);
  }

  tick(age) {
    const { oldestPendingSeconds: oldest } = this.#queue;
    setText(this.#oldest, oldest === null ? "–" : formatAge(oldest + age));
  }
}
