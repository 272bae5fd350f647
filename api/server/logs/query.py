"""Reads what a request for a log asks for: which entries, and in which form."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn, TypeVar

from multidict import MultiMapping

from api.engine.interface import LogStream
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.v1.times import SECOND, parse_time

T = TypeVar("T")

_AGO: Final = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhd])", re.ASCII)
_UNITS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SECONDS: Final = re.compile(r"(?P<whole>[0-9]{1,10})(?:\.(?P<fraction>[0-9]{1,9}))?", re.ASCII)
_YEAR_ONE: Final = re.compile(r"\A0001-")
"""Stands for no time at all in what the engine says; the next year is as far from its logs."""
_TAIL: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_SWITCH: Final = {"true": True, "false": False}


class LogForm(StrEnum):
    """The media types in which a log is shown; the first is the default."""

    TEXT = "text/plain"
    LINES = "application/x-ndjson"
    EVENTS = "text/event-stream"


_FORMS: Final[Mapping[str, LogForm]] = {form.value: form for form in LogForm}
_STREAMS: Final[Mapping[str, LogStream]] = {stream.value: stream for stream in LogStream}


@dataclass(frozen=True, slots=True)
class LogQuery:
    """The parameters of ``GET /job/{id}/log``; times are nanoseconds since the epoch, included.

    ``tail`` counts entries, as the engine does. Of the lines up to ``skip_until`` the first
    ``skip`` are not shown: whoever resumes has them.
    """

    follow: bool = False
    tail: int | None = None
    since: int | None = None
    until: int | None = None
    stream: LogStream | None = None
    timestamps: bool = False
    skip: int = 0
    skip_until: int = 0


def read_log_query(query: MultiMapping[str], now: int) -> LogQuery:
    """Return what is asked for at engine time ``now`` (ns).

    Raises ``Problem`` 400 ``InvalidQuery``, which names the parameter.
    """
    for name in query:
        if name not in _READERS:
            known = ", ".join(_READERS)
            _refuse(f"the parameter {name[:80]!r} is not known; there are {known}")
        if len(query.getall(name)) > 1:
            _refuse(f"{name} is given more than once")

    def read(name: str) -> str | None:
        return query.get(name)

    return LogQuery(
        follow=_read("follow", read("follow"), _read_switch) or False,
        tail=_read("tail", read("tail"), _read_tail),
        since=_read("since", read("since"), lambda text: read_moment(text, now)),
        until=_read("until", read("until"), lambda text: read_moment(text, now)),
        stream=_read("stream", read("stream"), _read_stream),
        timestamps=_read("timestamps", read("timestamps"), _read_switch) or False,
    )


def choose_form(accept: Sequence[str]) -> LogForm:
    """Return the first form that the ``Accept`` headers name; text where they name none."""
    for part in ",".join(accept).split(","):
        name = part.partition(";")[0].strip().lower()
        if name in _FORMS:
            return _FORMS[name]
    return LogForm.TEXT


def read_moment(text: str, now: int) -> int | None:
    """Return a time: ``15m`` before ``now``, RFC 3339, or seconds since the epoch; None: none."""
    if ago := _AGO.fullmatch(text):
        return max(0, now - int(ago["number"]) * _UNITS[ago["unit"]] * SECOND)
    if seconds := _SECONDS.fullmatch(text):
        fraction = int((seconds["fraction"] or "").ljust(9, "0"))
        return int(seconds["whole"]) * SECOND + fraction
    # in a query, a plus that is not escaped is a space
    moment = parse_time(_YEAR_ONE.sub("0002-", text.replace(" ", "+")))
    return None if moment is None else max(0, moment)


def _read(name: str, text: str | None, read: Callable[[str], T | None]) -> T | None:
    if text is None:
        return None
    value = read(text)
    if value is None:
        _refuse(f"{name} is {_READERS[name]}")
    return value


def _read_switch(text: str) -> bool | None:
    return _SWITCH.get(text)


def _read_tail(text: str) -> int | None:
    return int(text) if _TAIL.fullmatch(text) else None


def _read_stream(text: str) -> LogStream | None:
    return _STREAMS.get(text)


def _refuse(message: str) -> NoReturn:
    raise Problem(400, ProblemReason.INVALID_QUERY, message)


_MOMENT: Final = "a time: 90s, 15m, 2h or 1d ago, RFC 3339, or seconds since 1970 with a fraction"
_READERS: Final[Mapping[str, str]] = {
    "follow": "true or false",
    "tail": "a whole number",
    "since": _MOMENT,
    "until": _MOMENT,
    "stream": "stdout or stderr",
    "timestamps": "true or false",
}
