"""Reads what the API has counted of jobs, from the moment on at which it can know of any."""

import re
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.counts import compare_counts
from tests.chaos.history import Entry, Recorder
from tests.chaos.story import tell
from tests.chaos.supervisor import Supervised
from tests.support.proxy import FaultProxy

_LIST = re.compile(r"^GET \S+/containers/json")
_SOON = 0.05  # seconds between scrapes of an API that has not read the engine yet
_PERIOD = 1.0
_SETTLED = 60.0
"""So long after all work is done may a count still be missing: a silent stream takes its time."""


class Scraper:
    """Scrapes ``api``, which reaches the engine through ``proxy``; ``with`` runs it.

    The first scrape of a lifetime is the first that tells of a whole reading of the engine.
    """

    def __init__(self, api: Supervised, proxy: FaultProxy, recorder: Recorder) -> None:
        self._api = api
        self._proxy = proxy
        self._recorder = recorder
        self._lifetime = 0
        self._listed: int | None = None
        self._filled = 0
        self._number = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def settle(self) -> None:
        """Take the last scrape, once it is right or has had its time; nothing changes any more."""
        self._stop()
        last = None
        end = time.monotonic() + _SETTLED
        while time.monotonic() < end:
            last = self._scrape("last") or last
            if last is not None and self._is_right(last):
                break
            time.sleep(_PERIOD)
        if last is not None:
            self._recorder.add(last)

    def _is_right(self, scrape: Entry) -> bool:
        compared = compare_counts(tell([*self._recorder.read(), scrape]))
        return not compared[-1].differences

    def _stop(self) -> None:
        self._ended.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._ended.is_set():
            if (scrape := self._scrape()) is not None:
                self._recorder.add(scrape)
            is_filled = self._filled == self._api.lifetime
            self._ended.wait(_PERIOD if is_filled else _SOON)

    def _scrape(self, moment: str | None = None) -> Entry | None:
        """Return one scrape, unless the API does not answer or has read nothing yet."""
        lifetime, sent = self._api.lifetime, time.time_ns()
        counts, readings = self._read()
        if self._api.lifetime != lifetime or not readings:
            return None
        is_first, self._filled = self._filled != lifetime, lifetime
        self._number += 1
        facts = {
            "id": f"scrape-{self._number}",
            "lifetime": lifetime,
            "moment": moment or ("first" if is_first else "later"),
            "sent": sent,
            "listed": self._find_list(lifetime),
            "counts": counts,
        }
        return Entry(time.time_ns(), "scrape", facts)

    def _read(self) -> tuple[dict[str, int], int]:
        """Return the counts, and how often the API has read the whole engine."""
        counts: dict[str, int] = {}
        readings = 0
        with suppress(OSError, HTTPException, ValueError):
            text = self._api.process.get("/metrics").body
            parse: Any = text_string_to_metric_families
            for family in parse(str(text)):
                for sample in family.samples:
                    labels = sample.labels
                    if sample.name == "jobs_total":
                        key = f"{labels['action']} {labels['status']}".strip()
                        counts[key] = int(sample.value)
                    elif sample.name == "dispatcher_rereads_total" and labels["kind"] == "full":
                        readings = int(sample.value)
        return counts, readings

    def _find_list(self, lifetime: int) -> int:
        """Return when the API of this lifetime first asked for a list: it was answered later."""
        if self._lifetime != lifetime or self._listed is None:
            self._lifetime = lifetime
            spawned = max(
                entry.at
                for entry in self._recorder.read()
                if entry.kind == "spawn" and entry["id"] == f"api-{lifetime}"
            )
            offset = time.time_ns() - time.monotonic_ns()
            sent = [
                int(request.time * 1_000_000_000) + offset
                for request in list(self._proxy.requests)
                if _LIST.search(request.line)
            ]
            self._listed = next((moment for moment in sent if moment >= spawned), spawned)
        return self._listed
