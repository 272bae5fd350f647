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
        return f"is being stopped{purged}"
    if phase == "Cancelled":
        how = "never started" if job.get("startedAt") is None else "stopped"
        return f"cancelled, {how}{purged}"
    return f"was over already, {make_inert(phase)}{purged}"
