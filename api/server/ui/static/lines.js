// Makes of each line of a log what is shown of it.

import { PLAIN, carry, paint } from "./ansi.js";

export const KEPT = 5000;
/** Lines that are kept of a log. */
export const SHOWN = 4096;
/** Characters that are shown of a line. */

/** What stands after the last carriage return, as a terminal shows it: `{hidden, text}`. */
export function overwrite(line) {
  let end = line.length;
  while (end > 0 && line[end - 1] === "\r") end -= 1;
  const begin = line.lastIndexOf("\r", end - 1) + 1;
  return { hidden: line.slice(0, begin), text: line.slice(begin, end) };
}

/** At most `most` characters of a text, no half of one at its end. */
export function shorten(text, most = SHOWN) {
  if (text.length <= most) return text;
  const isHalf = (text.charCodeAt(most - 1) & 0xfc00) === 0xd800;
  return text.slice(0, isHalf ? most - 1 : most);
}

/** Remembers the style that holds at the end of what was read of each stream. */
export class LinePainter {
  #styles = new Map();

  /** Make `{t, stream, runs, rest, isCut, isLost}` of an item of the log, `{t, stream, line, cut, lost}`. */
  paint(item) {
    const before = this.#styles.get(item.stream) ?? PLAIN;
    const { hidden, text } = overwrite(item.line);
    const shown = shorten(text);
    const painted = paint(shown, carry(hidden, before));
    const rest = text.length - shown.length;
    this.#styles.set(item.stream, rest ? carry(text.slice(shown.length), painted.style) : painted.style);
    return { t: item.t, stream: item.stream, runs: painted.runs, rest, isCut: item.cut === true, isLost: item.lost === true };
  }

  /** Paint a line that will come again. */
  preview(item) {
    const styles = new Map(this.#styles);
    const painted = this.paint(item);
    this.#styles = styles;
    return painted;
  }

  /** Take note of a line that is not shown. */
  skip(item) {
    const before = this.#styles.get(item.stream) ?? PLAIN;
    this.#styles.set(item.stream, carry(item.line, before));
  }
}
