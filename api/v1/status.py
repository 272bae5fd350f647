"""The STATUS text of ``docker ps -a``, derived from inspect data.

``inspect`` does not carry the text and ``list`` costs more with every container on the host, so
the rules of the engine are written down here: moby's ``container/state.go`` (``State.String``)
and go-units' ``HumanDuration``.
"""

from typing import Final

from api.v1.job import Job, Status
from api.v1.times import SECOND

_AGEING: Final = {
    Status.RUNNING: "Up",
    Status.PAUSED: "Up (Paused)",
    Status.RESTARTING: "Restarting ({code})",
    Status.EXITED: "Exited ({code})",
}
_AGELESS: Final = {
    Status.STARTING: "Starting",
    Status.REMOVING: "Removal In Progress",
    Status.DEAD: "Dead",
}
_HOUR: Final = 3600.0
_DAY_HOURS: Final = 24


def describe_status(job: Job, now: int) -> str:
    """Return the text that ``docker ps -a`` shows for ``job`` at engine time ``now`` (ns).

    Of a job that only a list has shown it is the list's own text, or where that is too old to be
    true, what of it does not age.
    """
    if job.text:
        return job.text
    if not job.detailed and job.status in _AGEING and job.started_at is None:
        return _AGEING[job.status].format(code=job.exit_code)
    match job.status:
        case Status.PAUSED:
            return f"Up {_describe_since(job.started_at, now)} (Paused)"
        case Status.RESTARTING:
            return f"Restarting ({job.exit_code}) {_describe_since(job.finished_at, now)} ago"
        case Status.RUNNING:
            health = f" ({_describe_health(job.health)})" if job.health else ""
            return f"Up {_describe_since(job.started_at, now)}{health}"
        case status if status in _AGELESS:
            return _AGELESS[status]
        case _ if job.started_at is None:
            return "Created"
        case _ if job.finished_at is None:
            return ""
        case _ if job.lost:
            return f"Lost {_describe_since(job.finished_at, now)} ago"
        case _:
            return f"Exited ({job.exit_code}) {_describe_since(job.finished_at, now)} ago"


def _describe_health(health: str) -> str:
    return "health: starting" if health == "starting" else health


def _describe_since(moment: int | None, now: int) -> str:
    # The engine measures from the year 1 when there is no time: a Go duration ends at 292 years.
    return describe_duration(
        (now - moment) / SECOND if moment is not None else 292 * 365.25 * 86_400
    )


def describe_duration(seconds: float) -> str:
    """Return a duration in seconds in the words the Docker command line uses."""
    whole, minutes, hours = int(seconds), int(seconds / 60), int(seconds / _HOUR + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    return _describe_days(hours // _DAY_HOURS, seconds)


def _describe_days(days: int, seconds: float) -> str:
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    if days < 730:
        return f"{days // 30} months"
    # the engine rounds hours for the choice of the unit, but not for the number of years
    return f"{int(seconds / _HOUR) // _DAY_HOURS // 365} years"
