// Folds the event stream into the jobs that there are.

/** No job yet. `isWhole`: all that there is has been told once. */
export function makeJobs() {
  return { known: new Map(), next: new Map(), isWhole: false };
}

/** Make ready for a snapshot from its beginning: what one that broke off has told counts no more. */
export function restart(jobs) {
  jobs.next = new Map();
}

/**
 * Take in one message of the stream; return whether what is shown changes.
 *
 * After a `reset`, and at first, jobs gather in `next` and are shown at `synced`, so that a service
 * that was restarted does not empty the page for a moment. In `known` the oldest stands first.
 */
export function fold(jobs, message) {
  const { job } = message;
  switch (message.type) {
    case "reset":
      jobs.next = new Map();
      return false;
    case "synced":
      if (jobs.next !== null) {
        jobs.known = jobs.next;
        jobs.next = null;
      }
      jobs.isWhole = true;
      return true;
    case "added":
    case "changed":
      (jobs.next ?? jobs.known).set(job.uid, job);
      return jobs.next === null;
    case "removed":
      (jobs.next ?? jobs.known).delete(job.uid);
      return jobs.next === null;
    default:
      return false;
  }
}

/** Whether a list has shown a job and nothing else has: it has no times then, though it ran. */
export function lacksTimes(job) {
  return job.startedAt === null && !["Pending", "Cancelled"].includes(job.phase) && job.reason !== "StartDeadlineExceeded";
}

/** Give jobs the times, the code and the restarts that `found`, the same at about the same moment, has. */
export function addTimes(jobs, found) {
  let changes = false;
  for (const job of found) {
    const known = jobs.known.get(job.uid);
    if (!known || !lacksTimes(known) || known.phase !== job.phase || job.startedAt === null) continue;
    const { startedAt, finishedAt, exitCode, message, restarts } = job;
    jobs.known.set(job.uid, { ...known, startedAt, finishedAt, exitCode, message, restarts });
    changes = true;
  }
  return changes;
}

/**
 * Choose what a list shows: the newest `most` that a filter takes, and how many there are.
 *
 * `counts` are by phase, of the filter without its phase.
 */
export function choose(jobs, { phase = "", queue = "", accepts = () => true }, most) {
  const counts = {};
  const shown = [];
  let total = 0;
  let matching = 0;
  const all = [...jobs.values()];
  for (let index = all.length - 1; index >= 0; index -= 1) {
    const job = all[index];
    if ((queue && job.queue !== queue) || !accepts(job)) continue;
    counts[job.phase] = (counts[job.phase] ?? 0) + 1;
    total += 1;
    if (phase && job.phase !== phase) continue;
    matching += 1;
    if (shown.length < most) shown.push(job);
  }
  return { shown, counts, total, matching };
}
