"""Which jobs a client asks for, and may see: the filters of lists and of event streams; pure."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from api.server.access.tokens import ANYTHING, Grant, is_plain
from api.server.http.query import Parameters, read_whole, refuse_parameter
from api.server.http.request_path import JOBS
from api.v1.condition import derive_condition
from api.v1.job import Job, Phase, Reason
from api.v1.times import SECOND, parse_duration, parse_time

FILTERS: Final = ("phase", "reason", "queue", "path", "label", "since", "until")
"""The parameters that choose jobs."""
PAGING: Final = ("order", "limit", "continue")
"""The parameters of a list beside those."""
MANY: Final = frozenset({"label"})
"""Those that may be repeated."""
MOST: Final = 1000
"""Jobs on one page."""

_DEFAULT_LIMIT: Final = 100
_LONGEST: Final = 1000
"""Characters of a label, a path or a queue that is asked for."""
_TOKEN: Final = re.compile(r"([no])([0-9a-f]{1,17})-([0-9A-Za-z]{1,64})-([0-9a-f]{8})")

Key = tuple[int, str]
"""A job's place: its ``order`` and its uid."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What jobs must be like; ``since`` and ``until`` are bounds of ``Job.order``, inclusive.

    A label without a value need only be there. ``grant`` is that of the client who asks.
    """

    grant: Grant = ANYTHING
    phase: Phase | None = None
    reason: Reason | None = None
    queue: str | None = None
    path: str | None = None
    labels: tuple[tuple[str, str | None], ...] = ()
    since: int | None = None
    until: int | None = None

    @property
    def is_by_path(self) -> bool:
        """Whether a job's path and queue alone decide, and its phase."""
        return not (self.reason or self.labels or self.since is not None or self.until is not None)

    def takes_place(self, path: str, queue: str) -> bool:
        """Tell whether jobs of ``queue`` that were posted to ``path`` may match."""
        if self.queue not in {None, queue} or not self.grant.may_read(path):
            return False
        path = path or JOBS
        return self.path is None or path == self.path or path.startswith(self.path + "/")

    def takes(self, job: Job, now: int = 0, *, is_silent: bool = False) -> bool:
        """Tell whether ``job`` matches at engine time ``now`` (ns) but for its phase."""
        spec = job.spec
        return (
            self.takes_place(spec.path, spec.wishes.queue)
            and (self.since is None or job.order >= self.since)
            and (self.until is None or job.order <= self.until)
            and (not self.labels or _has_labels(job, self.labels))
            and (
                self.reason is None
                or derive_condition(job, now, is_silent=is_silent).reason is self.reason
            )
        )

    def matches(self, job: Job | None, now: int = 0, *, is_silent: bool = False) -> bool:
        """Tell whether ``job`` is there and matches at engine time ``now`` (ns)."""
        if job is None:
            return False
        if self.phase is not None:
            phase = derive_condition(job, now, is_silent=is_silent).phase
            if phase is not self.phase:
                return False
        return self.takes(job, now, is_silent=is_silent)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """One page of a list: ``limit`` jobs of ``filter``, those behind the place ``after``."""

    filter: JobFilter
    newest_first: bool = True
    limit: int = _DEFAULT_LIMIT
    after: Key | None = None


def read_filter(found: Parameters, grant: Grant, now: int) -> JobFilter:
    """Return the filter that parameters ask for at engine time ``now`` (ns).

    Raises ``Problem`` 400 ``InvalidQuery``.
    """
    labels = tuple(dict.fromkeys(map(_read_label, found.get("label", ()))))
    since, until = _read_moment(found, "since", now), _read_moment(found, "until", now)
    return JobFilter(
        grant,
        Phase(_read_word(found, "phase", Phase)) if "phase" in found else None,
        Reason(_read_word(found, "reason", Reason)) if "reason" in found else None,
        _read_queue(found),
        _read_path(found),
        labels,
        # a list shows when a job was created in whole seconds
        None if since is None else since // SECOND * SECOND,
        until,
    )


def read_list_query(found: Parameters, grant: Grant, now: int) -> ListQuery:
    """Return the page that parameters ask for. Raises ``Problem`` 400 ``InvalidQuery``."""
    order = found.get("order", ["newest"])[0]
    if order not in {"newest", "oldest"}:
        raise refuse_parameter("order", "is newest or oldest")
    newest_first = order == "newest"
    after = None
    if "continue" in found:
        after = parse_continue(found["continue"][0], newest_first=newest_first)
        if after is None:
            raise refuse_parameter("continue", "is what the page before it ended with")
    limit = read_whole(found, "limit", 1, MOST, _DEFAULT_LIMIT)
    return ListQuery(read_filter(found, grant, now), newest_first, limit, after)


def spell_continue(key: Key, *, newest_first: bool) -> str:
    """Return the token of what follows the job at ``key``; it never expires."""
    order, uid = key
    text = f"{'n' if newest_first else 'o'}{order:x}-{uid}"
    return f"{text}-{_sum(text)}"


def parse_continue(token: str, *, newest_first: bool) -> Key | None:
    """Return the place that a token stands for; None for one that was made up."""
    match = _TOKEN.fullmatch(token)
    if match is None or _sum(token.rpartition("-")[0]) != match[4]:
        return None
    return (int(match[2], 16), match[3]) if (match[1] == "n") is newest_first else None


def _sum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _has_labels(job: Job, wanted: tuple[tuple[str, str | None], ...]) -> bool:
    labels = dict(job.spec.labels)
    return all(key in labels and value in {None, labels[key]} for key, value in wanted)


def _read_word(found: Parameters, name: str, words: type[Phase] | type[Reason]) -> str:
    value = found[name][0]
    if value not in {str(word) for word in words}:
        raise refuse_parameter(name, f"is one of {', '.join(words)}")
    return value


def _read_queue(found: Parameters) -> str | None:
    if "queue" not in found:
        return None
    value = found["queue"][0]
    if not 0 < len(value) <= _LONGEST:
        raise refuse_parameter("queue", "is a queue's name")
    return value


def _read_path(found: Parameters) -> str | None:
    if "path" not in found:
        return None
    path = found["path"][0].removesuffix("/")
    is_of_jobs = path == JOBS or path.startswith(JOBS + "/")
    if len(path) > _LONGEST or not is_of_jobs or not is_plain(path):
        raise refuse_parameter("path", f"is a path that documents are posted to, such as {JOBS}/a")
    return path


def _read_label(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if not key or len(text) > _LONGEST:
        raise refuse_parameter("label", "is a label's key, or key=value")
    return key, value if equals else None


def _read_moment(found: Parameters, name: str, now: int) -> int | None:
    """Return a time in nanoseconds; a duration is that long ago."""
    if name not in found:
        return None
    text = found[name][0]
    duration = parse_duration(text)
    if duration is not None:
        return now - duration
    # a plus that was not escaped
    moment = parse_time(text.replace(" ", "+")) if text.isascii() else None
    if moment is None:
        raise refuse_parameter(name, "is a time as 2026-01-31T12:00:00Z, or how long ago: 15m, 2h")
    return moment
