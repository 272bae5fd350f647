// Starts the page: who the reader is, the event stream, the views, and what moves with time.

import { cancelDialog } from "./cancel.js";
import { fill, h } from "./dom.js";
import { addTimes, fold, lacksTimes, makeJobs, restart } from "./fold.js";
import { Follower } from "./follow.js";
import { JobView } from "./job-view.js";
import { JobsView } from "./jobs-view.js";
import { LoginView } from "./login-view.js";
import { QueuesView } from "./queues-view.js";
import { formatRoute, readRoute } from "./route.js";
import { logOut, now, read } from "./server.js";
import { SlotsView } from "./slots-view.js";
import { StatusBar } from "./status-bar.js";
import { Tabs } from "./tabs.js";

const VIEWS = { jobs: JobsView, job: JobView, queues: QueuesView, slots: SlotsView };
const LINKS = { jobs: "Jobs", queues: "Queues", slots: "Slots" };
const PLAN_EVERY = 3_000;
const FILL_EVERY = 5_000;
/** Milliseconds between two drawings of what has changed. */
const DRAW_EVERY = 150;

class Page {
  jobs = makeJobs();
  session = null;
  plan = { value: null, at: null, error: null };
  stream = { state: "connecting", heardAt: null, since: now(), error: null };
  tabs = new Tabs();
  #main = document.getElementById("main");
  #status = new StatusBar(this);
  #view = null;
  #follower = null;
  #drawing = null;
  #isFilling = false;
  #filledAt = 0;
  #asked = new WeakSet();

  async start() {
    addEventListener("hashchange", () => this.#show());
    addEventListener("keydown", (event) => this.#onKey(event));
    document.addEventListener("visibilitychange", () => this.#look());
    setInterval(() => this.#tick(), 1000);
    setInterval(() => this.#look(), PLAN_EVERY);
    await this.enter();
  }

  /** Ask who the reader is, and go to work or to the login. */
  async enter() {
    try {
      this.session = await read("session");
    } catch (error) {
      this.stream = { ...this.stream, state: "away", error };
      this.draw();
      setTimeout(() => this.enter(), 2000);
      return;
    }
    if (!this.#may("read")) {
      const hasToken = this.session.name !== null;
      return this.leave(hasToken ? "This token may not read jobs, and the page shows nothing else." : "");
    }
    this.#follower?.close();
    this.#follower = null;
    this.#follower = new Follower({
      path: () => "../events",
      take: (events) => this.#take(events),
      tell: (state, error) => this.#tell(state, error),
      mayStay: () => this.tabs.mayStay(),
      isDone: (events) => !this.tabs.mayStay() && events.some(({ data }) => JSON.parse(data).type === "synced"),
    });
    this.#show();
    await this.#look();
  }

  /** Forget everything, and ask for a token. */
  leave(message = "") {
    this.#follower?.close();
    this.#follower = null;
    this.session = null;
    this.jobs = makeJobs();
    this.plan = { value: null, at: null, error: null };
    this.#open(new LoginView(this, message));
    this.draw();
  }

  async logOut() {
    await logOut().catch(() => {});
    this.leave();
  }

  /** Whether the reader may cancel. */
  get mayPost() {
    return this.#may("post");
  }

  #may(act) {
    return this.session !== null && (!this.session.required || this.session.scopes.includes(act));
  }

  get isStale() {
    return !["live", "polling"].includes(this.stream.state);
  }

  /** What the controller says of a job's wait, if it does. */
  waitOf(job) {
    return this.plan.value?.waits[job.uid] ?? null;
  }

  /** Go to a view; `replace`: the way back leads past where the reader is. */
  go(route, { replace = false } = {}) {
    const hash = formatRoute(route);
    if (replace) {
      history.replaceState(null, "", hash);
      this.#view?.onRoute?.(readRoute(hash));
    } else location.hash = hash;
  }

  /** Ask whether to cancel a job, and do it. */
  async cancel(job) {
    const answer = await cancelDialog(job);
    if (answer?.uid) {
      const known = this.jobs.known.get(answer.uid);
      if (known && answer.image) this.jobs.known.set(answer.uid, answer);
      this.draw();
    }
  }

  /** Ask for the times of jobs that a list shows: the stream may tell none of what it did not see. */
  async fillTimes(shown, { phase, queue }) {
    // what was asked for once in vain has no times: it never ran
    const lacking = shown.filter((job) => lacksTimes(job) && !this.#asked.has(job));
    if (this.#isFilling || Date.now() - this.#filledAt < FILL_EVERY || !lacking.length) return;
    this.#isFilling = true;
    const query = new URLSearchParams({ limit: "500", ...(phase && { phase }), ...(queue && { queue }) });
    try {
      const { items } = await read(`../job?${query}`);
      for (const job of lacking) this.#asked.add(job);
      if (addTimes(this.jobs, items)) this.draw();
    } catch (error) {
      this.onRefusal(error);
    } finally {
      this.#isFilling = false;
      this.#filledAt = Date.now();
    }
  }

  /** Have everything drawn soon. */
  draw() {
    this.#drawing ??= setTimeout(() => {
      this.#drawing = null;
      this.#status.draw();
      this.#drawNavigation();
      document.body.classList.toggle("stale", this.session !== null && this.isStale);
      this.#view?.draw();
    }, DRAW_EVERY);
  }

  /** A request was refused: say whether the login takes over. */
  onRefusal(error) {
    if (error.code !== 401 || this.session === null) return false;
    this.leave("The token does not hold any more.");
    return true;
  }

  #take(events) {
    let changes = false;
    for (const event of events) {
      const message = JSON.parse(event.data);
      if (fold(this.jobs, message)) changes = true;
      this.#view?.onMessage?.(message);
    }
    if (changes) this.draw();
    return false;
  }

  #tell(state, error = null) {
    if (state === "heard") {
      this.stream.heardAt = now();
      return;
    }
    if (state === "connecting") {
      if (this.#follower?.id == null) restart(this.jobs);
      // who was live a moment ago is not called away for a moment of reconnecting
      if (this.stream.state !== "paused") return;
    }
    if (error !== null && this.onRefusal(error)) return;
    if (state !== this.stream.state) this.stream.since = now();
    this.stream.state = state;
    this.stream.error = error;
    if (state === "live" || state === "polling") this.stream.heardAt = now();
    this.draw();
  }

  async #look() {
    if (document.hidden || this.session === null) return;
    try {
      this.plan = { value: await read("plan"), at: now(), error: null };
    } catch (error) {
      if (this.onRefusal(error)) return;
      this.plan = { ...this.plan, error };
    }
    this.draw();
  }

  #tick() {
    if (document.hidden) return;
    this.#status.draw();
    this.#view?.tick?.();
  }

  #show() {
    if (this.session === null) return;
    const route = readRoute(location.hash);
    if (this.#view?.takes?.(route)) this.#view.onRoute(route);
    else this.#open(new VIEWS[route.view](this, route));
    this.draw();
  }

  #open(view) {
    const isFirst = this.#view === null;
    this.#view?.close?.();
    this.#view = view;
    fill(this.#main, view.element);
    view.draw();
    scrollTo(0, 0);
    if (!isFirst) this.#main.focus({ preventScroll: true });
  }

  #drawNavigation() {
    const nav = document.getElementById("nav");
    const current = this.session === null ? null : readRoute(location.hash).view;
    if (nav.dataset.current === String(current)) return;
    nav.dataset.current = String(current);
    if (current === null) return fill(nav);
    const links = Object.entries(LINKS).map(([view, word]) =>
      h("a", { href: formatRoute({ view }), "aria-current": view === current ? "page" : null }, word),
    );
    const out = this.session.required
      ? h("button", { type: "button", class: "link", onclick: () => this.logOut() }, "Log out")
      : null;
    fill(nav, ...links, out);
  }

  #onKey(event) {
    const isTyping = event.target.closest?.("input, textarea, select, dialog");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
    const search = document.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
}

new Page().start();
