// The list of jobs: counts by phase as filters, why each is as it is, and a way to cancel it.

import { badge } from "./badge.js";
import { fill, foreign, h, icon, setText } from "./dom.js";
import { choose } from "./fold.js";
import { formatRoute } from "./route.js";
import { now } from "./server.js";
import { PHASES, explain, formatAgo, formatMoment, matches, readTime, tellTime } from "./words.js";

const STEP = 200;

export class JobsView {
  #page;
  #route;
  #most = STEP;
  #rows = new Map();
  #phases = new Map();
  #queues = "";
  #search = h("input", {
    type: "search", placeholder: "Filter by text …", "aria-label": "Filter jobs",
    title: "Words of a job's name, image, path, queue, share, reason or labels",
    autocomplete: "off", spellcheck: "false", oninput: () => this.#onFilter({ query: this.#search.value }),
  });
  #queue = h("select", { "aria-label": "Queue", onchange: () => this.#onFilter({ queue: this.#queue.value }) });
  #body = h("tbody", { role: "rowgroup" });
  #empty = h("p", { class: "empty" });
  #example = h("code", { class: "example mono", hidden: true, title: "A click selects it" });
  #more = h("button", { type: "button", class: "more", onclick: () => this.#showMore() });

  constructor(page, route) {
    this.#page = page;
    this.#route = route;
    this.#search.value = route.query;
    const group = h("div", { class: "phases", role: "group", "aria-label": "Phase" });
    for (const phase of ["", ...PHASES]) group.append(this.#makePhase(phase));
    const heads = ["State", "Job", "Why", "Queue", "Time", "Created", ""];
    const table = h(
      "table",
      { role: "table", class: "jobs" },
      h("caption", { class: "hidden" }, "Jobs, the newest first"),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((word) =>
        h("th", { role: "columnheader", scope: "col" }, word || h("span", { class: "hidden" }, "Cancel"))))),
      this.#body,
    );
    this.#body.addEventListener("keydown", (event) => this.#onKey(event));
    this.element = h(
      "div",
      { class: "view" },
      h("h1", { class: "hidden" }, "Jobs"),
      h("div", { class: "filters" }, group, h("div", { class: "finders" }, this.#search, this.#queue)),
      h("div", { class: "card table" }, table, this.#empty, this.#example, this.#more),
    );
  }

  takes(route) {
    return route.view === "jobs";
  }

  onRoute(route) {
    this.#route = route;
    this.#most = STEP;
    if (this.#search.value !== route.query) this.#search.value = route.query;
    this.draw();
  }

  draw() {
    const { jobs } = this.#page;
    const { phase, queue, query } = this.#route;
    const { shown, counts, total, matching } = choose(
      jobs.known,
      { phase, queue, accepts: (job) => matches(job, query.trim()) },
      this.#most,
    );
    this.#drawPhases(counts, total);
    this.#drawQueues(jobs.known);
    this.#drawRows(shown);
    this.#page.fillTimes(shown, this.#route);
    this.#drawRest(shown.length, matching);
    document.title = jobs.isWhole ? `${counts.Pending ?? 0} pending, ${counts.Running ?? 0} running – Jobs` : "Jobs";
  }

  tick() {
    const at = now();
    for (const row of this.#rows.values()) row.drawTime(at);
  }

  #makePhase(phase) {
    const count = h("span", { class: "count" }, "0");
    const button = h(
      "button",
      { type: "button", class: "phase", "data-phase": phase || null, onclick: () => this.#onFilter({ phase }, false) },
      phase ? icon(phase) : null, h("span", {}, phase || "All"), count,
    );
    this.#phases.set(phase, { button, count });
    return button;
  }

  #onFilter(change, replace = true) {
    this.#page.go({ ...this.#route, ...change }, { replace });
  }

  #drawPhases(counts, total) {
    for (const [phase, { button, count }] of this.#phases) {
      const number = phase ? (counts[phase] ?? 0) : total;
      setText(count, String(number));
      button.setAttribute("aria-pressed", String(phase === this.#route.phase));
      button.classList.toggle("none", number === 0);
    }
  }

  #drawQueues(jobs) {
    const names = new Set(["default"]);
    for (const job of jobs.values()) names.add(job.queue);
    if (this.#route.queue) names.add(this.#route.queue);
    const sorted = [...names].sort();
    const key = JSON.stringify(sorted);
    if (key !== this.#queues) {
      this.#queues = key;
      fill(this.#queue, h("option", { value: "" }, "All queues"), sorted.map((name) => h("option", { value: name }, name)));
    }
    this.#queue.value = this.#route.queue;
  }

  #drawRows(shown) {
    const before = this.#rows;
    this.#rows = new Map();
    const at = now();
    let place = this.#body.firstChild;
    for (const job of shown) {
      const row = before.get(job.uid) ?? new Row(this.#page);
      before.delete(job.uid);
      this.#rows.set(job.uid, row);
      row.draw(job, this.#page.waitOf(job), at);
      // what stands where it should is not moved: it would lose its focus
      if (row.element === place) place = place.nextSibling;
      else this.#body.insertBefore(row.element, place);
    }
    for (const row of before.values()) row.element.remove();
  }

  #drawRest(shown, matching) {
    const { jobs } = this.#page;
    const isFiltered = this.#route.phase || this.#route.queue || this.#route.query;
    const nothing = isFiltered ? "No job matches." : "There is no job. Post one, and it appears here.";
    setText(this.#empty, shown ? "" : jobs.isWhole ? nothing : "Loading …");
    this.#example.hidden = shown > 0 || !jobs.isWhole || Boolean(isFiltered) || !this.#page.mayPost;
    setText(this.#example, writePost(new URL("../job", location.href).href, this.#page.session?.required));
    this.#more.hidden = shown >= matching;
    setText(this.#more, `Show more: ${shown} of ${matching}`);
  }

  #showMore() {
    this.#most += STEP;
    this.draw();
  }

  #onKey(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const next = step && event.target.closest("tr")?.[step];
    if (next) {
      event.preventDefault();
      next.querySelector("a")?.focus();
    }
  }
}

/** A command for a shell that posts a first job; a token is the shell's `TOKEN`. */
export function writePost(url, needsToken) {
  const token = needsToken ? ` -H "Authorization: Bearer $TOKEN"` : "";
  return `curl -H 'Content-Type: application/json'${token} -d '{"args": ["-c", "echo Hello"]}' ${url}`;
}

class Row {
  #page;
  #job = null;
  #why = null;
  #cells = {};

  constructor(page) {
    this.#page = page;
    const cell = (name) => (this.#cells[name] = h("td", { role: "cell", class: `c-${name}` }));
    this.element = h("tr", { role: "row" }, ["state", "job", "why", "queue", "time", "created", "act"].map(cell));
  }

  draw(job, waiting, at) {
    const why = explain(job, waiting);
    if (job !== this.#job) this.#drawJob(job);
    if (why !== this.#why) {
      this.#why = why;
      fill(this.#cells.why, why ? foreign(why, { title: waiting?.message ?? job.message }) : null);
    }
    this.#job = job;
    this.drawTime(at);
  }

  drawTime(at) {
    const created = readTime(this.#job.created);
    setText(this.#cells.time, tellTime(this.#job, at));
    setText(this.#cells.created, formatAgo(at - created));
  }

  #drawJob(job) {
    const before = this.#job;
    const { state, job: name, queue, created, act } = this.#cells;
    if (job.phase !== before?.phase) {
      this.element.dataset.phase = job.phase;
      fill(state, badge(job.phase));
    }
    if (before === null) {
      const href = formatRoute({ view: "job", uid: job.uid });
      fill(name, h("a", { href }, foreign(job.id)), foreign(job.image, { class: "sub" }));
      fill(queue, foreign(job.queue));
      created.title = formatMoment(readTime(job.created));
    }
    if (before === null || job.finished !== before.finished || Boolean(job.cancel) !== Boolean(before.cancel)) {
      const mayCancel = this.#page.mayPost && !job.finished && !job.cancel;
      fill(act, mayCancel ? this.#makeCancel(job) : null);
    }
  }

  #makeCancel(job) {
    return h("button", { type: "button", class: "small", "aria-label": `Cancel ${job.id}`, onclick: () => this.#page.cancel(this.#job) }, "Cancel");
  }
}
