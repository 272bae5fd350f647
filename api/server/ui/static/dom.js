// Makes elements. Text comes in as text nodes alone, so that nothing a job says can become markup.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  Pending: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13m0 1.6a4.9 4.9 0 1 1 0 9.8a4.9 4.9 0 0 1 0-9.8M7.2 4.8v3.6l2.7 1.7l.8-1.3l-1.9-1.2V4.8z",
  Running: "M4.5 2.2v11.6L13.5 8z",
  Succeeded: "M6.3 12.7L1.8 8.2l1.5-1.5l3 3l6.4-6.4l1.5 1.5z",
  Failed: "M3.7 2.2L8 6.5l4.3-4.3l1.5 1.5L9.5 8l4.3 4.3l-1.5 1.5L8 9.5l-4.3 4.3l-1.5-1.5L6.5 8L2.2 3.7z",
  Cancelled: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M3.2 8A4.8 4.8 0 0 1 10.9 4.1L4.1 10.9A4.8 4.8 0 0 1 3.2 8m9.6 0A4.8 4.8 0 0 1 5.1 11.9L11.9 5.1A4.8 4.8 0 0 1 12.8 8",
  Unknown: "M8 1.5c2.5 0 4 1.5 4 3.5c0 1.7-1 2.5-1.9 3.2c-.8.6-1.1.9-1.1 1.8H7c0-1.9.9-2.6 1.8-3.3c.8-.6 1.2-.9 1.2-1.7c0-.9-.7-1.6-2-1.6c-1.2 0-2 .7-2.1 1.9H3.9C4 3 5.6 1.5 8 1.5M6.9 11.5h2.2v2.3H6.9z",
  live: "M8 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8",
  waits: "M8 2a6 6 0 1 0 6 6h-1.8A4.2 4.2 0 1 1 8 3.8z",
  away: "M8 1.3L15.3 14H.7zM7.1 5.8v4h1.8v-4zm0 5v1.7h1.8v-1.7z",
};

/** An element with properties (`class`, `on…` and attributes) and children: nodes, texts, null. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** What a job, its user or an operator has named: it cannot change the order of what is around. */
export function foreign(text, properties = {}) {
  return h("bdi", properties, String(text));
}

/** A sign that goes with a word, or with `label` where it stands alone. */
export function icon(name, label = null) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  if (label === null) svg.setAttribute("aria-hidden", "true");
  else {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  }
  path.setAttribute("d", ICONS[name] ?? ICONS.Unknown);
  svg.append(path);
  return svg;
}

/** Put text where it is not there already: what is selected or read aloud stays as it is. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}
