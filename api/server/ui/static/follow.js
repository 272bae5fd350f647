// Keeps one stream of server-sent events open, and goes on behind the last event after a break.

import { open } from "./server.js";
import { EventReader } from "./sse.js";

const SHORTEST = 500;
const LONGEST = 10_000;
/** The service says something every 15 seconds: who hears nothing for this long hears nothing more. */
const SILENCE = 25_000;
/** Between two looks of a tab that is one of many. */
export const POLL = 2_000;

/** Milliseconds until the next attempt after `failures` in a row. */
export function findDelay(failures, retryAfter = null) {
  if (retryAfter !== null) return retryAfter * 1000;
  return Math.min(LONGEST, SHORTEST * 2 ** Math.min(failures - 1, 10));
}

const HIDDEN = new Error("the tab is hidden");
const YIELDED = new Error("another tab needs the connection");
const SILENT = new Error("nothing was heard for too long");
const CLOSED = new Error("closed");

/**
 * A stream that is open while the tab is visible.
 *
 * `path()` is asked before each attempt. `take(events)` gets what came, and returns true where
 * nothing more is to come. `tell(state, error)` hears of `connecting`, `live`, `heard`, `polling`,
 * `away`, `paused` and `refused`, after which it has ended. `mayStay()` says whether the connection
 * may be held; while it may not, it is opened for a look now and then, and `isDone(events)` says
 * when there is nothing more to see for now.
 */
export class Follower {
  #options;
  #isClosed = false;
  #isPolling = false;
  #wake = () => {};
  #connection = null;
  #hears = () => this.#onVisible();
  #yields = setInterval(() => this.#yield(), POLL);
  id = null;

  constructor(options) {
    this.#options = { mayStay: () => true, isDone: () => false, tell: () => {}, ...options };
    document.addEventListener("visibilitychange", this.#hears);
    this.#run();
  }

  /** End it for good. */
  close() {
    this.#isClosed = true;
    document.removeEventListener("visibilitychange", this.#hears);
    clearInterval(this.#yields);
    this.#connection?.abort(CLOSED);
    this.#wake();
  }

  #onVisible() {
    if (document.hidden) this.#connection?.abort(HIDDEN);
    this.#wake();
  }

  #yield() {
    if (!this.#isPolling && !this.#options.mayStay()) this.#connection?.abort(YIELDED);
  }

  async #run() {
    const { tell } = this.#options;
    for (let failures = 0; !this.#isClosed; ) {
      if (document.hidden) {
        tell("paused");
        await this.#sleep(null);
        continue;
      }
      const { end, hasHeard } = await this.#connect();
      if (end === CLOSED || end === "over") break;
      if (end === HIDDEN || end === YIELDED) continue;
      if (end === "done") {
        failures = 0;
        await this.#sleep(POLL);
        continue;
      }
      failures = hasHeard ? 1 : failures + 1;
      if (end?.code === 400 && this.id !== null) {
        // a place to resume from that the service does not take leads nowhere
        this.id = null;
      } else if ([400, 401, 403, 404, 409].includes(end?.code)) {
        tell("refused", end);
        break;
      }
      // a proxy may cut what lasts: who is back at once was not away
      if (failures > 1 || end?.code) tell("away", end);
      await this.#sleep(findDelay(failures, end?.retryAfter ?? null));
    }
    this.close();
  }

  /** Read one connection to its end, and return why that was. */
  async #connect() {
    const { path, take, tell, mayStay, isDone } = this.#options;
    const connection = (this.#connection = new AbortController());
    let hasHeard = false;
    let timer;
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(() => connection.abort(SILENT), SILENCE);
    };
    try {
      this.#isPolling = !mayStay();
      tell("connecting");
      listen();
      const response = await open(path(), this.id, connection.signal);
      tell(this.#isPolling ? "polling" : "live");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return { end: null, hasHeard };
        listen();
        hasHeard = true;
        tell("heard");
        const found = events.take(value);
        this.id = found.findLast((event) => event.id !== null)?.id ?? this.id;
        if (!found.length) continue;
        const end = take(found) ? "over" : isDone(found) ? "done" : null;
        if (end !== null) {
          connection.abort(CLOSED);
          return { end, hasHeard };
        }
      }
    } catch (error) {
      return { end: connection.signal.aborted ? connection.signal.reason : error, hasHeard };
    } finally {
      clearTimeout(timer);
    }
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = milliseconds === null ? null : setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#isClosed) this.#wake();
    });
  }
}
