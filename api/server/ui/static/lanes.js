// Lays out the jobs that held slots: which row each has, and where its bar begins and ends.

/**
 * Give each item a row that nothing else holds at its time; return rows by uid and their number.
 *
 * `before` are the rows of the last layout: whoever had one keeps it if it can.
 */
export function assignLanes(items, before = new Map()) {
  const ends = [];
  const lanes = new Map();
  const isFree = (lane, item) => lane !== undefined && (ends[lane] ?? -Infinity) <= item.begin;
  for (const item of [...items].sort((a, b) => a.begin - b.begin || (a.uid < b.uid ? -1 : 1))) {
    const own = before.get(item.uid);
    let lane = isFree(own, item) ? own : 0;
    while (!isFree(lane, item)) lane += 1;
    lanes.set(item.uid, lane);
    ends[lane] = item.end;
  }
  return { lanes, count: ends.length };
}

/**
 * Return bars with `left` and `width` in parts of the whole from `since` to `until`.
 *
 * Bars of one row and phase that would be narrower than `least` together become one of several jobs.
 */
export function layOut(items, lanes, since, until, least) {
  const span = until - since;
  const bars = [];
  const last = new Map();
  for (const item of [...items].sort((a, b) => a.begin - b.begin)) {
    const lane = lanes.get(item.uid);
    const left = Math.max(0, (item.begin - since) / span);
    const right = Math.min(1, (item.end - since) / span);
    if (right < 0 || left > 1) continue;
    const bar = last.get(lane);
    if (bar && bar.phase === item.phase && right - bar.left < least) {
      bar.items.push(item);
      bar.width = right - bar.left;
      continue;
    }
    const made = { lane, left, width: Math.max(0, right - left), phase: item.phase, items: [item] };
    bars.push(made);
    last.set(lane, made);
  }
  return bars;
}

/** Times of the axis, in seconds since 1970: whole multiples of a step that leaves them room. */
export function findTicks(since, until, most) {
  const steps = [30, 60, 120, 300, 600, 900, 1200, 1800, 3600];
  const step = steps.find((each) => (until - since) / each <= most) ?? 7200;
  const ticks = [];
  for (let at = Math.ceil(since / step) * step; at < until; at += step) ticks.push(at);
  return ticks;
}
