// Asks the API that the page came from, and keeps its clock: the reader's own may be wrong.

const HEADERS = { "X-Requested-With": "djd-ui" };
const PATIENCE = 20_000;

let offset = 0;

/** Seconds since 1970 by the server's clock, as its last answers told. */
export function now() {
  return Date.now() / 1000 + offset;
}

function noteDate(response) {
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (Number.isNaN(date)) return;
  // a header has whole seconds: it was in the middle of one, as far as anybody knows
  const found = (date + 500 - Date.now()) / 1000;
  if (Math.abs(found - offset) > 2) offset = found;
}

/** What the server refused: `code` (0 where there was no answer), `reason`, `message`, `body`. */
export class Refusal extends Error {
  constructor(code, { reason = "", message = "", ...body } = {}, retryAfter = null) {
    super(message || (code ? `the server answered ${code}` : "the server does not answer"));
    this.code = code;
    this.reason = reason;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (options.signal?.aborted && options.signal.reason !== TOO_LONG) throw error;
    throw new Refusal(0);
  }
  noteDate(response);
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After"));
  throw new Refusal(response.status, body.error, seconds > 0 ? seconds : null);
}

const TOO_LONG = new Error("no answer in time");

async function ask(method, path, { body = null, headers = {} } = {}) {
  const leaving = new AbortController();
  const timer = setTimeout(() => leaving.abort(TOO_LONG), PATIENCE);
  try {
    const response = await send(path, { method, body, headers, signal: leaving.signal });
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(0);
  } finally {
    clearTimeout(timer);
  }
}

/** What a GET answers. */
export function read(path) {
  return ask("GET", path);
}

/** Open a stream of server-sent events; `id` is that of the last one that is known. */
export function open(path, id, signal) {
  const headers = { Accept: "text/event-stream", ...(id ? { "Last-Event-ID": id } : {}) };
  return send(path, { headers, signal });
}

export function logIn(token) {
  const headers = { ...HEADERS, "Content-Type": "application/json" };
  return ask("POST", "login", { body: JSON.stringify({ token }), headers });
}

export function logOut() {
  return ask("POST", "logout", { headers: HEADERS });
}

/** Record that a job is not wanted; the answer is the job. */
export function cancel(uid, { why = "", purge = false }) {
  const query = new URLSearchParams({ ...(why ? { why } : {}), ...(purge ? { purge: "true" } : {}) });
  return ask("DELETE", `../job/${encodeURIComponent(uid)}?${query}`, { headers: HEADERS });
}

/** Where the raw log of a job is. */
export function logPath(uid, query = "") {
  return `../job/${encodeURIComponent(uid)}/log${query}`;
}
