// Shares the six connections that a browser opens to one host among the tabs of this page.

const EVERY = 2_000;
const GONE = 7_000;
/** Tabs that may hold connections: each holds two, and two are left for what all of them ask. */
const MOST = 2;

/** Whether a tab is among the first that are visible; `others` are `{id, at}` in milliseconds. */
export function mayStay(own, others, now) {
  const alive = others.filter((other) => now - other.at < GONE && other.id < own);
  return alive.length < MOST;
}

/** Tells the other tabs that this one is visible, and hears of them. */
export class Tabs {
  #own = `${String(Date.now()).padStart(15, "0")}-${Math.random().toString(36).slice(2)}`;
  #others = new Map();
  #channel = new BroadcastChannel("djd-ui");

  constructor() {
    this.#channel.onmessage = ({ data }) => {
      if (data.isVisible) this.#others.set(data.id, { id: data.id, at: Date.now() });
      else this.#others.delete(data.id);
    };
    document.addEventListener("visibilitychange", () => this.#tell());
    addEventListener("pagehide", () => this.#tell(false));
    setInterval(() => this.#tell(), EVERY);
    this.#tell();
  }

  #tell(isVisible = !document.hidden) {
    this.#channel.postMessage({ id: this.#own, isVisible });
  }

  /** Whether this tab may hold connections. */
  mayStay() {
    return mayStay(this.#own, [...this.#others.values()], Date.now());
  }
}
