// Reads the colours that programs write (ECMA-48 SGR); all other escape sequences are left out.

export const PLAIN = Object.freeze({});

// CSI, OSC with its end, and what has one character more; then control characters by themselves
const SEQUENCE = new RegExp(
  [
    "\\x1b\\[([0-9:;<=>?]*)[ -/]*([@-~])",
    "\\x1b[\\]PX^_][^\\x07\\x1b]*(?:\\x07|\\x1b\\\\)?",
    "\\x1b[ -/]*[0-~]?",
    "[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f]",
  ].join("|"),
  "g",
);
const HIDDEN = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Split a text into runs of one style: `{runs: [{text, style}], style}`.
 *
 * `style` is what holds at its beginning, and in the answer at its end. A style has `fg` and `bg` (a
 * number of the palette of 16, or `[r, g, b]`), `bold`, `dim`, `italic`, `underline`, `strike` and
 * `inverse`. Marks that reorder text are spelt out.
 */
export function paint(text, style = PLAIN) {
  const runs = [];
  let begin = 0;
  const add = (end) => {
    if (end > begin) runs.push({ text: text.slice(begin, end).replace(HIDDEN, spell), style });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    add(match.index);
    begin = match.index + match[0].length;
    if (match[2] === "m") style = restyle(style, match[1]);
  }
  add(text.length);
  return { runs, style };
}

/** The style that holds after a text, without its runs. */
export function carry(text, style) {
  if (!text.includes("\x1b[")) return style;
  for (const match of text.matchAll(SEQUENCE)) {
    if (match[2] === "m") style = restyle(style, match[1]);
  }
  return style;
}

function spell(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function restyle(style, parameters) {
  const codes = parameters.split(/[;:]/).map((part) => (part === "" ? 0 : Number(part)));
  const next = { ...style };
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index];
    if (code === 0) for (const key of Object.keys(next)) delete next[key];
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.inverse = true;
    else if (code === 9) next.strike = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code === 29) next.strike = false;
    else if (code >= 30 && code <= 37) next.fg = code - 30;
    else if (code >= 90 && code <= 97) next.fg = code - 82;
    else if (code >= 40 && code <= 47) next.bg = code - 40;
    else if (code >= 100 && code <= 107) next.bg = code - 92;
    else if (code === 39) delete next.fg;
    else if (code === 49) delete next.bg;
    else if (code === 38 || code === 48) {
      const [colour, used] = readColour(codes.slice(index + 1));
      if (colour !== null) next[code === 38 ? "fg" : "bg"] = colour;
      index += used;
    }
  }
  return Object.freeze(next);
}

/** Return the colour that `5;n` or `2;r;g;b` names, and how many parameters that took. */
function readColour([kind, ...values]) {
  const isByte = (value) => Number.isInteger(value) && value >= 0 && value <= 255;
  if (kind === 5) return [isByte(values[0]) ? indexed(values[0]) : null, 2];
  if (kind === 2) {
    const colour = values.slice(0, 3);
    return [colour.length === 3 && colour.every(isByte) ? colour : null, 4];
  }
  return [null, 1];
}

/** A colour of the palette of 256: 16 of the reader's own, a cube of 6 × 6 × 6, 24 greys. */
function indexed(number) {
  if (number < 16) return number;
  if (number >= 232) return Array(3).fill(8 + 10 * (number - 232));
  const level = (digit) => (digit ? 55 + 40 * digit : 0);
  const place = number - 16;
  return [level(Math.floor(place / 36)), level(Math.floor(place / 6) % 6), level(place % 6)];
}
