// What is said of jobs, in words: pure functions of a job and the time.

export const PHASES = ["Pending", "Running", "Succeeded", "Failed", "Cancelled", "Unknown"];

const REASONS = {
  Paused: "paused",
  Restarting: "is being restarted",
  Stopping: "is being stopped",
};

/** Reasons of a wait whose message says all: those of a swarm. */
const TOLD = new Set(["Scheduling", "NodeLost"]);

/** What a message says of these reasons once more. */
const ECHO = /, (is to be stopped|the engine restarts it)$/;

const WAITS = {
  Cancelling: "is cancelled while it starts",
  EngineDown: "the engine does not answer",
  NoController: "no controller is active",
  StartError: "could not be started",
  Stopping: "is being stopped",
  QueuePaused: "its queue is paused",
  QueueCap: "its queue is full",
  NoSlot: "no slot is free",
  Turn: "its turn comes next",
  Queued: "waits for a slot or for a controller",
};

const CODES = {
  124: "ended by timeout",
  125: "timeout itself failed",
  126: "the command cannot be executed",
  127: "the command is not in the image",
  130: "SIGINT",
  134: "SIGABRT",
  137: "SIGKILL: out of memory, the end of a grace, or an engine that was restarted",
  139: "SIGSEGV",
  143: "SIGTERM",
  255: "often a command for another kind of processor, or a script without #!",
};

/** Seconds since 1970 of a job's time: a number of seconds, or RFC 3339; null for none. */
export function readTime(value) {
  if (typeof value === "number") return value;
  const time = value ? Date.parse(value) / 1000 : NaN;
  return Number.isNaN(time) ? null : time;
}

/** "0.4 s", "12 s", "4 min 12 s", "2 h 5 min", "3 d 4 h". */
export function formatSpan(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  const units = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
  const [big, word, small, rest] = units.find(([size]) => whole >= size);
  const left = Math.floor((whole % big) / small);
  return `${Math.floor(whole / big)} ${word}${left ? ` ${left} ${rest}` : ""}`;
}

/** As `formatSpan`, of what is counted while one watches: in whole seconds. */
export function formatAge(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return whole < 10 ? `${whole} s` : formatSpan(whole);
}

/** "12 s ago", "4 min ago", "2 h ago", "3 d ago". */
export function formatAgo(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [size, word] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([each]) => whole >= each) ?? [1, "s"];
  return `${Math.floor(whole / size)} ${word} ago`;
}

/** "1st", "2nd", "3rd", "4th" … */
export function formatPlace(number) {
  const teens = number % 100 > 10 && number % 100 < 14;
  return `${number}${(teens ? null : { 1: "st", 2: "nd", 3: "rd" }[number % 10]) ?? "th"}`;
}

/** The reader's own date and time. */
export function formatMoment(seconds) {
  const date = new Date(seconds * 1000);
  const pad = (number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${formatClock(seconds)}`;
}

/** The reader's own time of day. */
export function formatClock(seconds, withSeconds = true) {
  const date = new Date(seconds * 1000);
  const parts = [date.getHours(), date.getMinutes(), ...(withSeconds ? [date.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** "2.3 MB"; of bytes. */
export function formatSize(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let index = 0;
  for (; bytes >= 1000 && index < units.length - 1; index += 1) bytes /= 1000;
  return `${index && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[index]}`;
}

/**
 * How long a job has waited and run, in seconds; `runs`: that it still does.
 *
 * Of a job that its restart policy has run again only the last start is known: `run` is that run's
 * number then (or the next one's, between two), null for others, and `waited` holds earlier runs too.
 */
export function measure(job, now) {
  const created = readTime(job.created);
  const started = readTime(job.startedAt);
  const ended = readTime(job.finishedAt);
  const end = ended ?? (job.finished ? null : now);
  const waited = Math.max(0, (started ?? end ?? created) - created);
  const ran = started === null || end === null ? null : Math.max(0, end - started);
  const run = job.restarts > 0 ? job.restarts + 1 : null;
  return { created, started, ended, waited, ran, run, runs: started !== null && ended === null && !job.finished };
}

/** One line for a job's time: what it is doing, and for how long. */
export function tellTime(job, now) {
  const { created, ended, waited, ran, run, runs } = measure(job, now);
  if (job.phase === "Pending") return `waits ${formatAge(now - created)}`;
  if (ran === null) return ended === null || run !== null ? "" : `waited ${formatAge(waited)}`;
  const says = runs ? `runs ${formatAge(ran)}` : `ran ${formatSpan(ran)}`;
  if (run === null) return says;
  return job.reason === "Restarting" ? `${formatPlace(run)} run comes next` : `${formatPlace(run)} run, ${says}`;
}

/** Why a job is as it is, in one sentence; `waiting` is what the controller says, if it does. */
export function explain(job, waiting = null) {
  if (job.phase === "Pending") return explainWait(job, waiting ?? job.waiting);
  const word = REASONS[job.reason];
  const says = job.message ?? "";
  if (word === undefined) return says;
  return says ? `${word}: ${says.replace(ECHO, "")}` : word;
}

function explainWait(job, waiting) {
  const reason = waiting?.reason ?? job.reason ?? "Queued";
  const place = waiting?.position ? `, ${formatPlace(waiting.position)} in ${job.queue}` : "";
  const until = readTime(waiting?.until ?? null);
  const again = until === null ? "" : `, tried again at ${formatClock(until)}`;
  const told = TOLD.has(reason) ? waiting?.message || job.message : "";
  const base = told || (WAITS[reason] ?? reason);
  if (reason === "StartError") return `${base}${again}${place}: ${trimAttempt(waiting?.message ?? job.message)}`;
  return `${base}${place}${again}`;
}

/** A start's error without what the sentence has said already. */
function trimAttempt(message) {
  return (message ?? "").replace(/^StartError, next attempt at [0-9:]+ \(attempt ([0-9]+)\): /, "(attempt $1) ");
}

/** What an exit code means that is not the program's own, or an empty text. */
export function explainCode(code) {
  return CODES[code] ?? "";
}

/** Whether every word of `query` stands somewhere in what a job is known by. */
export function matches(job, query) {
  if (!query) return true;
  const hay = findHay(job);
  return query.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
}

const hays = new WeakMap();

function findHay(job) {
  let hay = hays.get(job);
  if (hay === undefined) {
    const labels = Object.entries(job.labels ?? {}).map(([key, value]) => `${key}=${value}`);
    const parts = [job.id, job.uid, job.image, job.path, job.queue, job.share, job.phase, job.reason, ...labels];
    hays.set(job, (hay = parts.join("\n").toLowerCase()));
  }
  return hay;
}
