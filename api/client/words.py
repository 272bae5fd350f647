"""How values of jobs are said to people: inert texts, ages, durations; pure."""

from datetime import UTC, datetime
from typing import Any, Final

from api.client.status import Job
from api.v1.text import escape_hidden
from api.v1.times import SECOND, parse_time

NOTHING: Final = "-"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_FINE_MINUTES: Final = 10
_FINE_HOURS: Final = 8
_FINE_DAYS: Final = 8


def make_inert(value: Any) -> str:
    """Return a text from a server as a terminal may have it: no control, nothing that reorders."""
    text = escape_hidden(str(value))
    return text.encode(errors="replace").decode()


def say_value(value: Any) -> str:
    """Return a value of a job; a dash for none."""
    match value:
        case None | "":
            return NOTHING
        case True | False:
            return "yes" if value else "no"
        case _:
            return make_inert(value)


def say_seconds(seconds: float | None) -> str:
    """Return a duration as kubectl has it: ``90s``, ``5m3s``, ``26m``, ``3h4m``, ``4d``."""
    if seconds is None:
        return NOTHING
    whole = max(0, int(seconds))
    minutes, hours, days = whole // _MINUTE, whole // _HOUR, whole // _DAY
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if minutes < _FINE_MINUTES:
        return _join(minutes, "m", whole % _MINUTE, "s")
    if hours < 1:
        return f"{minutes}m"
    if hours < _FINE_HOURS:
        return _join(hours, "h", minutes % _MINUTE, "m")
    if days < 1:
        return f"{hours}h"
    if days < _FINE_DAYS:
        return _join(days, "d", hours % (_DAY // _HOUR), "h")
    return f"{days}d"


def _join(whole: int, unit: str, part: int, small: str) -> str:
    return f"{whole}{unit}{part}{small}" if part else f"{whole}{unit}"


def read_seconds(time: Any) -> float | None:
    """Return a time of RFC 3339 in seconds since the epoch; None for none."""
    found = parse_time(time if isinstance(time, str) else None)
    return None if found is None else found / SECOND


def say_age(job: Job, now: float) -> str:
    """Return how long ago a job was created, by the server's clock."""
    created = job.get("created")
    return say_seconds(now - created) if isinstance(created, int | float) else NOTHING


def say_run(job: Job, now: float) -> str:
    """Return how long a job ran, or has run."""
    started, ended = read_seconds(job.get("startedAt")), read_seconds(job.get("finishedAt"))
    if started is None:
        return NOTHING
    if ended is None and job.get("phase") != "Running":
        return NOTHING
    return say_seconds((now if ended is None else ended) - started)


def say_moment(time: Any, now: float) -> str:
    """Return a time and how far it is: ``2026-01-01 12:00:01 UTC (5m ago)``."""
    seconds = float(time) if isinstance(time, int | float) else read_seconds(time)
    if seconds is None:
        return NOTHING
    far = say_seconds(abs(now - seconds))
    text = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{text} (in {far})" if seconds > now + 1 else f"{text} ({far} ago)"


def say_wait(job: Job) -> str:
    """Return why a job waits: ``at place 3 of queue etl: no free slot (2 of 2 used)``."""
    waiting = job.get("waiting") or {}
    message = make_inert(waiting.get("message") or job.get("message") or "")
    position, until = waiting.get("position"), waiting.get("until")
    place = f"in queue {make_inert(job.get('queue'))}"
    if isinstance(position, int):
        place = f"at place {position} of queue {make_inert(job.get('queue'))}"
    due = f", tried again at {make_inert(until)}" if until else ""
    return f"{place}: {message}{due}" if message else f"{place}{due}"


def say_state(job: Job) -> str:
    """Return in one sentence how a job is."""
    phase, reason = make_inert(job.get("phase")), job.get("reason")
    if phase == "Pending":
        return f"Pending, {say_wait(job)}"
    message = make_inert(job.get("message") or "")
    word = phase if reason is None or reason == "Error" else f"{phase} ({make_inert(reason)})"
    return f"{word}: {message}" if message else word
