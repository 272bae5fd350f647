// What the part of the address behind # says: a view, and its filters.

const VIEWS = ["jobs", "job", "queues", "slots"];

/** `{view, uid, phase, queue, query}` of "#/jobs?phase=Failed&q=report" or "#/job/UID". */
export function readRoute(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const view = VIEWS.includes(name) ? name : "jobs";
  const query = new URLSearchParams(search);
  return {
    view,
    uid: view === "job" ? decode(rest.join("/")) : "",
    phase: query.get("phase") ?? "",
    queue: query.get("queue") ?? "",
    query: query.get("q") ?? "",
  };
}

/** The address of a route; what is empty is left out. */
export function formatRoute({ view, uid = "", phase = "", queue = "", query = "" }) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries({ phase, queue, q: query })) if (value) search.set(key, value);
  const text = String(search);
  return `#/${view}${uid ? `/${encodeURIComponent(uid)}` : ""}${text ? `?${text}` : ""}`;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
