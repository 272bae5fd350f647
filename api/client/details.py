"""What ``show`` says of one job: a label and a text for each fact; pure."""

from collections.abc import Iterator
from typing import Any, Final

from api.client.status import Job
from api.client.words import (
    NOTHING,
    make_inert,
    say_moment,
    say_run,
    say_seconds,
    say_state,
    say_value,
)

_DEFAULT_GRACE: Final = 10
"""Seconds from the StopSignal to the kill where nobody says how many, as with docker."""
_WISHES: Final = (("Start by", "startBy"), ("Run for", "runFor"), ("Keep for", "keepFor"))


def describe(job: Job, now: float) -> Iterator[tuple[str, str]]:
    """Yield everything that is known of a job at the server's time ``now``."""
    yield "ID", say_value(job.get("id"))
    yield "UID", say_value(job.get("uid"))
    yield "State", say_state(job)
    yield "Exit code", say_value(job.get("exitCode"))
    yield "Created", say_moment(job.get("created"), now)
    yield "Started", say_moment(job.get("startedAt"), now)
    yield "Finished", say_moment(job.get("finishedAt"), now)
    yield "Ran", say_run(job, now)
    yield "Restarts", say_value(job.get("restarts"))
    yield "Status", say_value(job.get("status"))
    yield "Image", say_value(job.get("image"))
    yield "Path", say_value(job.get("path"))
    yield "Filter", say_value(job.get("filter"))
    yield "Queue", say_value(job.get("queue"))
    yield "Priority", say_value(job.get("priority"))
    yield "Share", say_value(job.get("share"))
    for label, name in _WISHES:
        yield label, say_seconds(job.get(name))
    yield "Collected", say_moment(job.get("expiresAt"), now)
    yield "Cancel", _say_cancel(job.get("cancel"), now)
    labels = job.get("labels") or {}
    for place, (key, value) in enumerate(sorted(labels.items())):
        yield ("" if place else "Labels"), f"{make_inert(key)}={make_inert(value)}"
    if not labels:
        yield "Labels", NOTHING


def _say_cancel(cancel: Any, now: float) -> str:
    if not cancel:
        return NOTHING
    grace = cancel.get("grace")
    parts = [
        f"asked for {say_moment(cancel.get('at'), now)}",
        *([f"grace {say_seconds(grace)}"] if grace is not None else []),
        *(["purge"] if cancel.get("purge") else []),
        *([f"why: {make_inert(cancel['why'])}"] if cancel.get("why") else []),
    ]
    return ", ".join(parts)


def say_cancelled(job: Job) -> str:
    """Return what a cancel has done, in one sentence."""
    cancel, phase = job.get("cancel") or {}, job.get("phase")
    purged = " and will be removed" if cancel.get("purge") else ""
    if not job.get("finished"):
        # who may not read the job is not told of its cancel
        how = f": {_say_stop(cancel)}" if cancel and phase == "Running" else ""
        return f"is being stopped{purged}{how}"
    if phase == "Cancelled":
        how = "never started" if job.get("startedAt") is None else "stopped"
        return f"cancelled, {how}{purged}"
    return f"was over already, {make_inert(phase)}{purged}"


def _say_stop(cancel: Any) -> str:
    grace = cancel.get("grace")
    when = (
        f"{_DEFAULT_GRACE} s later, or after its StopTimeout"
        if grace is None
        else f"{make_inert(grace)} s later"
    )
    return f"SIGTERM, or its StopSignal, is sent; it is killed {when}"


def say_chosen(matched: int, cancelled: int) -> str:
    """Return what a cancel of all that match has done, or why there is nothing to do."""
    if cancelled:
        runs = "if it runs, it is" if cancelled == 1 else "those that run are"
        return f"cancelled {count_jobs(cancelled)} of {matched} that match; {runs} being stopped"
    if not matched:
        return "nothing to cancel: no job matches"
    rest = "1 matches, and is" if matched == 1 else f"{matched} match, all are"
    return f"nothing to cancel: {rest} over or cancelled already"


def count_jobs(count: int) -> str:
    """Return ``1 job`` or ``2 jobs``."""
    return "1 job" if count == 1 else f"{count} jobs"
