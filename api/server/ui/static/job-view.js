// One job: its times as a bar, its reason in words, every field, and its log.

import { badge } from "./badge.js";
import { fill, foreign, h, setText } from "./dom.js";
import { LogPanel } from "./log-panel.js";
import { formatRoute } from "./route.js";
import { now, read } from "./server.js";
import { explain, explainCode, formatAge, formatMoment, formatSpan, measure, readTime, tellTime } from "./words.js";

/** Milliseconds between two questions why a job waits. */
const ASK_EVERY = 3_000;

const FIELDS = [
  ["id", "Id"], ["uid", "Uid"], ["image", "Image"], ["path", "Path"], ["filter", "Filter"],
  ["queue", "Queue"], ["priority", "Priority"], ["share", "Share"], ["status", "Engine says"],
  ["reason", "Reason"], ["message", "Message"], ["exitCode", "Exit code"], ["restarts", "Restarts"],
  ["created", "Created"], ["startedAt", "Started"], ["finishedAt", "Finished"],
  ["expiresAt", "Collected at"], ["startBy", "Start by"], ["runFor", "Run for"],
  ["keepFor", "Keep for"], ["cancel", "Cancel"], ["labels", "Labels"],
];
const TIMES = new Set(["created", "startedAt", "finishedAt", "expiresAt"]);
const SPANS = new Set(["startBy", "runFor", "keepFor"]);

export class JobView {
  #page;
  #uid;
  #job = null;
  #detail = null;
  #absence = "";
  #askedAt = 0;
  #isAsking = false;
  #drawn = null;
  #log = null;
  #head = h("div", { class: "head" });
  #why = h("p", { class: "why" });
  #gone = h("p", { class: "gone", role: "status" });
  #bar = new TimeBar();
  #fields = h("dl", { class: "fields" });
  #logPlace = h("div");

  constructor(page, route) {
    this.#page = page;
    this.#uid = route.uid;
    this.element = h(
      "div",
      { class: "view" },
      h("p", { class: "back" }, h("a", { href: formatRoute({ view: "jobs" }) }, "← All jobs")),
      h("section", { class: "card job" }, this.#head, this.#why, this.#gone, this.#bar.element),
      this.#logPlace,
      h("details", { class: "card", open: true }, h("summary", {}, "All fields"), this.#fields),
    );
    this.#ask();
  }

  takes(route) {
    return route.view === "job" && route.uid === this.#uid;
  }

  onRoute() {}

  close() {
    this.#log?.close();
  }

  onMessage({ type, job }) {
    if (job === undefined || (job.uid !== this.#uid && job.id !== this.#uid)) return;
    if (type === "removed") {
      if (this.#job?.uid !== job.uid) return;
      this.#absence = "It has been collected: this is the last that was known of it.";
      if (job.phase) this.#job = keepTimes(job, this.#job);
    } else {
      this.#absence = "";
      this.#job = keepTimes(job, this.#job);
      if (job.phase !== this.#detail?.phase || job.reason !== this.#detail?.reason) this.#ask();
    }
    this.#page.draw();
  }

  draw() {
    const job = this.#job;
    document.title = job === null ? "Job" : `${job.phase}: ${job.id}`;
    setText(this.#gone, this.#absence);
    if (job === null) {
      if (this.#drawn === null) fill(this.#head, h("h1", {}, this.#absence ? "No such job" : "Loading …"));
      return;
    }
    if (this.#log === null) {
      this.#log = new LogPanel(this.#page, job, this.#absence !== "");
      fill(this.#logPlace, this.#log.element);
    }
    const why = explain(job, this.#page.waitOf(job) ?? this.#detail?.waiting ?? null);
    if (this.#why.textContent !== why) fill(this.#why, foreign(why));
    const key = `${this.#absence}${this.#page.mayPost}`;
    if (this.#drawn?.job !== job || this.#drawn.key !== key) {
      this.#drawn = { job, key };
      this.#drawHead(job);
      this.#drawFields(job);
    }
    this.tick();
  }

  tick() {
    const job = this.#job;
    if (job === null) return;
    this.#bar.draw(job, now());
    if (job.phase === "Pending" && !this.#absence && Date.now() - this.#askedAt > ASK_EVERY) this.#ask();
  }

  /** Ask for what the stream does not tell: why it waits, and times that a list does not show. */
  async #ask() {
    if (this.#isAsking || this.#absence) return;
    this.#isAsking = true;
    this.#askedAt = Date.now();
    const before = this.#job;
    let isLate = false;
    try {
      const job = await read(`../job/${encodeURIComponent(this.#uid)}`);
      // what the stream said meanwhile may be newer
      isLate = this.#job !== before;
      if (!isLate) this.#detail = this.#job = job;
      this.#uid = job.uid;
    } catch (error) {
      if (this.#page.onRefusal(error)) return;
      if (error.code === 404) {
        this.#job = error.body.job ?? this.#job;
        this.#absence = error.body.job || this.#job
          ? "It has been collected: this is the last that was known of it."
          : "There is no job of this id, or the token may not see it.";
      } else this.#job ??= this.#page.jobs.known.get(this.#uid) ?? null;
    } finally {
      this.#isAsking = false;
    }
    if (isLate) this.#ask();
    this.#page.draw();
  }

  #drawHead(job) {
    const mayAct = this.#page.mayPost && !this.#absence && !(job.cancel && !job.finished) && !job.cancel?.purge;
    const button = mayAct
      ? h("button", { type: "button", class: job.finished ? "" : "danger", onclick: () => this.#page.cancel(this.#job) }, job.finished ? "Remove" : "Cancel")
      : null;
    const isFocused = this.#head.contains(document.activeElement);
    fill(
      this.#head,
      badge(job.phase),
      h("h1", {}, foreign(job.id)),
      job.exitCode === null ? null : h("span", { class: "code" }, `exit code ${job.exitCode}`),
      h("span", { class: "space" }),
      button,
    );
    if (isFocused) button?.focus();
  }

  #drawFields(job) {
    const known = new Set(FIELDS.map(([name]) => name));
    const others = Object.keys(job).filter((name) => !known.has(name) && !HANDLED.has(name));
    const all = [...FIELDS, ...others.map((name) => [name, name])];
    const rows = all.filter(([name]) => isTold(name, job, this.#absence !== "")).map(([name, word]) => {
      const value = show(name, job[name]);
      return h("div", { class: value === null ? "none" : "" }, h("dt", {}, word), h("dd", {}, value ?? "–"));
    });
    fill(this.#fields, rows);
  }
}

/** Shown elsewhere on the page. */
const HANDLED = new Set(["phase", "finished", "waiting"]);

/** Whether a field says what the page does not say already, or what will never be. */
export function isTold(name, job, isGone) {
  if (name === "expiresAt") return !isGone || job.expiresAt !== null;
  return name !== "message" || job.phase !== "Pending" || job.reason !== "Queued";
}

/** A list shows no times: those that an inspect has shown still hold while the phase is the same. */
export function keepTimes(job, before) {
  if (before === null || before.uid !== job.uid || job.startedAt !== null || before.phase !== job.phase) return job;
  return { ...job, startedAt: before.startedAt, finishedAt: job.finishedAt ?? before.finishedAt, restarts: before.restarts };
}

function show(name, value) {
  if (value === null || value === undefined || value === "") return null;
  if (TIMES.has(name)) return h("time", { title: String(value) }, formatMoment(readTime(value)));
  if (SPANS.has(name)) return formatSpan(value);
  if (name === "exitCode") return [String(value), explainCode(value)].filter(Boolean).join(": ");
  if (name === "labels") {
    const labels = Object.entries(value);
    return labels.length ? h("ul", { class: "labels" }, labels.map(([key, text]) => h("li", {}, foreign(key), "=", foreign(text)))) : null;
  }
  if (name === "cancel") return describeCancel(value);
  if (typeof value === "object") return foreign(JSON.stringify(value));
  return foreign(value, { class: name === "uid" ? "mono" : "" });
}

function describeCancel({ at, grace, purge, why }) {
  const parts = [`asked for at ${formatMoment(readTime(at))}`];
  if (grace !== null) parts.push(`killed after ${formatSpan(grace)}`);
  if (purge) parts.push("removed when it is over");
  const text = parts.join(", ");
  return why ? h("span", {}, `${text}: `, foreign(why)) : text;
}

/** How long a job waited and ran, as two parts of one bar; what was before a restart is neither. */
class TimeBar {
  #waited = h("span", { class: "waited" });
  #ran = h("span", { class: "ran" });
  #waits = h("span", { class: "waited-text" });
  #runs = h("span", { class: "ran-text" });
  #ends = h("span", { class: "ends" });

  constructor() {
    this.element = h(
      "div",
      { class: "times" },
      h("div", { class: "timebar", "aria-hidden": "true" }, this.#waited, this.#ran),
      h("p", { class: "legend" }, this.#waits, this.#runs, this.#ends),
    );
  }

  draw(job, at) {
    const { created, started, ended, waited, ran, run } = measure(job, at);
    const whole = waited + (ran ?? 0) || 1;
    this.element.dataset.phase = job.phase;
    // a part that is not nothing can be seen
    const share = ran === null ? 1 : Math.min(Math.max(waited / whole, 0.01), ran > 0 ? 0.99 : 1);
    this.#waited.classList.toggle("before", run !== null);
    this.#waited.style.width = `${100 * share}%`;
    this.#ran.style.width = `${100 * (1 - share)}%`;
    const isOpen = started === null && !job.finished;
    const waits = isOpen ? `waits ${formatAge(at - created)}` : `waited ${formatSpan(waited)}`;
    setText(this.#waits, run === null ? waits : "");
    setText(this.#runs, ran === null ? "" : tellTime(job, at));
    const [from, to] = [formatMoment(created), ended === null ? "" : formatMoment(ended)];
    // the day is not said twice
    const end = to && ` – ${to.slice(0, 10) === from.slice(0, 10) ? to.slice(11) : to}`;
    setText(this.#ends, `${from}${end}`);
  }
}
