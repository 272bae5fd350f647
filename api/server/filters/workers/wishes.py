"""Completes what a filter gave under ``Job``: defaults filled in, durations in seconds."""

from collections.abc import Mapping
from typing import Final

from api.v1.times import count_seconds, parse_duration

_JOB: Final = "Job"
_DURATIONS: Final = ("StartBy", "RunFor", "KeepFor")


def complete_wishes(manifest: object, defaults: Mapping[str, object]) -> object:
    """Return ``manifest`` with the config's ``defaults`` for what its key ``Job`` leaves out.

    Rules see the result: so a bound on a duration compares numbers. What is no duration stays as
    it is, for admission to refuse.
    """
    if not isinstance(manifest, dict) or not (defaults or _JOB in manifest):
        return manifest
    given = manifest.get(_JOB)
    if given is not None and not isinstance(given, dict):
        return manifest
    own = {key: value for key, value in (given or {}).items() if value is not None}
    job = {**defaults, **own}
    for key in _DURATIONS:
        text = job.get(key)
        if isinstance(text, str) and (duration := parse_duration(text)) is not None:
            job[key] = count_seconds(duration)
    return {**manifest, _JOB: job}
