// The log of one job as it comes: it follows while the reader is at its end.

import { foreign, h, setText } from "./dom.js";
import { Follower } from "./follow.js";
import { KEPT, LinePainter } from "./lines.js";
import { logPath } from "./server.js";
import { formatSize } from "./words.js";

/** Lines that are made in one go, so that the page stays free between. */
const STRETCH = 500;
/** Lines of one block: what is out of sight is not laid out. */
const BLOCK = 100;
/** Pixels from its end at which a reader is still at it. */
const NEAR = 12;

export class LogPanel {
  #page;
  #uid;
  #follower = null;
  #painter = new LinePainter();
  #waiting = [];
  /** Lines that may go on: every connection tells them anew. */
  #unfinished = [];
  #preview = h("div", { class: "block" });
  #isFresh = false;
  #count = 0;
  #dropped = 0;
  #isFollowing = true;
  #top = 0;
  #isOver = false;
  #isTorn = false;
  #drawing = null;
  #lines = h("div", { class: "lines", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Log" });
  #state = h("span", { class: "muted log-state" });
  #end = h("button", { type: "button", class: "to-end", hidden: true, onclick: () => this.#toEnd() });
  #above = h("p", { class: "above", hidden: true });

  constructor(page, job, isGone) {
    this.#page = page;
    this.#uid = job.uid;
    const wraps = this.#makeSwitch("wrap", "Wrap", true);
    const stamps = this.#makeSwitch("stamped", "Times", false);
    const raw = h("a", { href: logPath(job.uid), target: "_blank", rel: "noopener" }, "Raw");
    this.element = h(
      "section",
      { class: "card log wrap", "aria-label": "Log of the job" },
      h("div", { class: "log-head" }, h("h2", {}, "Log"), this.#state, h("span", { class: "space" }), wraps, stamps, isGone ? null : raw),
      h("div", { class: "log-body" }, this.#above, this.#lines, this.#end),
    );
    this.#lines.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    if (isGone) return this.#tell("it went with the job");
    this.#follower = new Follower({
      path: () => logPath(this.#uid, `?follow=${page.tabs.mayStay()}${this.#follower?.id ? "" : `&tail=${KEPT}`}`),
      take: (events) => this.#take(events),
      tell: (state, error) => this.#onState(state, error),
      mayStay: () => page.tabs.mayStay(),
      isDone: (events) => events.some(({ id, data }) => id === null && JSON.parse(data).line === undefined),
    });
  }

  close() {
    this.#follower?.close();
    clearTimeout(this.#drawing);
  }

  #makeSwitch(name, word, isOn) {
    const box = h("input", { type: "checkbox", id: `log-${name}`, onchange: () => {
      this.element.classList.toggle(name, box.checked);
      if (this.#isFollowing) this.#toEnd();
    } });
    box.checked = isOn;
    return h("label", { class: "switch", for: `log-${name}` }, box, word);
  }

  /** Take in lines; true when the last has come. */
  #take(events) {
    if (this.#isFresh) this.#unfinished = [];
    this.#isFresh = false;
    for (const event of events) {
      const item = JSON.parse(event.data);
      if (item.line !== undefined) (event.id === null ? this.#unfinished : this.#waiting).push(item);
      else if (item.error !== undefined) this.#tell(`broke off: ${item.error.message}; trying again`);
      else if (item.end?.finished) {
        this.#isOver = true;
        this.#isTorn ||= item.lost === true;
      }
    }
    const excess = this.#waiting.splice(0, Math.max(0, this.#waiting.length - KEPT));
    for (const item of excess) this.#painter.skip(item);
    this.#dropped += excess.length;
    this.#draw();
    return this.#isOver;
  }

  #onState(state, error) {
    if (state === "connecting") this.#isFresh = true;
    if (state === "live" || state === "polling") this.#tell("");
    else if (state === "paused") this.#tell("paused while the tab is hidden");
    else if (state === "away") this.#tell("not live, trying again");
    else if (state === "refused") {
      if (!this.#page.onRefusal(error)) this.#tell(error.code === 404 ? "it went with the job" : error.message);
    }
  }

  #tell(text) {
    const count = this.#count + this.#unfinished.length;
    const lines = count ? `${count} ${count === 1 ? "line" : "lines"}` : "";
    const state = text || this.#describe();
    setText(this.#state, [lines, state].filter(Boolean).join(", "));
  }

  #describe() {
    if (!this.#isOver) return this.#count + this.#unfinished.length ? "follows" : "nothing yet";
    if (this.#isTorn) return "lines may have been rotated away";
    return this.#count ? "whole" : "the job wrote nothing";
  }

  #draw() {
    this.#drawing ??= setTimeout(() => {
      this.#drawing = null;
      this.#append(this.#waiting.splice(0, STRETCH));
      this.#tell("");
      if (this.#waiting.length) this.#draw();
    }, 16);
  }

  #append(items) {
    const list = this.#lines;
    this.#preview.remove();
    let block = list.lastElementChild;
    for (const item of items) {
      if (block === null || block.childElementCount >= BLOCK) {
        block = h("div", { class: "block" });
        list.append(block);
      }
      block.append(drawLine(this.#painter.paint(item)));
    }
    this.#count += items.length;
    while (this.#count > KEPT) {
      // blocks go whole where they can, the last lines one by one
      const first = list.firstElementChild;
      const excess = this.#count - KEPT;
      if (first.childElementCount <= excess) {
        this.#count -= first.childElementCount;
        this.#dropped += first.childElementCount;
        first.remove();
      } else {
        for (let each = 0; each < excess; each += 1) first.firstElementChild.remove();
        this.#count -= excess;
        this.#dropped += excess;
      }
    }
    if (this.#unfinished.length) {
      this.#preview.replaceChildren(...this.#unfinished.map((item) => drawLine(this.#painter.preview(item))));
      list.append(this.#preview);
    }
    if (this.#dropped) {
      this.#above.hidden = false;
      setText(this.#above, `${this.#dropped} lines above are not kept here`);
    }
    if (this.#isFollowing) this.#scroll();
    else this.#showEnd();
  }

  #scroll() {
    this.#lines.scrollTop = this.#lines.scrollHeight;
    this.#top = this.#lines.scrollTop;
  }

  #onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#lines;
    // only the reader moves it up; what grows below moves nothing
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.#isFollowing = true;
    else if (scrollTop < this.#top) this.#isFollowing = false;
    this.#top = scrollTop;
    this.#showEnd();
  }

  #showEnd() {
    this.#end.hidden = this.#isFollowing;
    setText(this.#end, this.#isOver ? "↓ To the end" : "↓ Follow");
  }

  #toEnd() {
    this.#isFollowing = true;
    this.#scroll();
    this.#showEnd();
  }
}

/** A line as an element: its time, its stream where that is stderr, and its runs of colour. */
function drawLine({ t, stream, runs, rest, isCut, isLost }) {
  const lost = isLost ? h("span", { class: "note" }, "lines may be missing here … ") : null;
  const text = h("bdi", { class: "text" }, lost, runs.map(drawRun));
  if (rest) text.append(h("span", { class: "note" }, ` … ${formatSize(rest)} more in this line`));
  else if (isCut) text.append(h("span", { class: "note" }, " … goes on"));
  const stamp = h("span", { class: "stamp" }, t.slice(11, 23));
  const sign = stream === "stderr" ? h("span", { class: "err", title: "stderr" }, "err") : null;
  return h("div", { class: stream === "stderr" ? "line stderr" : "line" }, stamp, sign, text);
}

function drawRun({ text, style }) {
  const classes = ["bold", "dim", "italic", "underline", "strike"].filter((name) => style[name]);
  const [fg, bg] = style.inverse ? [style.bg ?? "back", style.fg ?? "fore"] : [style.fg, style.bg];
  if (classes.length === 0 && fg === undefined && bg === undefined) return text;
  const run = h("span", {}, text);
  for (const [kind, property, colour] of [["fg", "color", fg], ["bg", "backgroundColor", bg]]) {
    if (Array.isArray(colour)) run.style[property] = `rgb(${colour.join(",")})`;
    else if (colour !== undefined) classes.push(`${kind}-${colour}`);
  }
  run.className = classes.join(" ");
  return run;
}
