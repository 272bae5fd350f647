"""The calls that a server takes: jobs found, listed, recorded and cancelled; not its streams."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from api.client.connection import Connection, Query
from api.client.errors import ClientError, OldServerError, RefusedError, WrongUseError
from api.client.retry import BRIEF, BUSY, OUTAGES
from api.client.status import Job

ROUND: Final = 45
"""Seconds that one request waits: a proxy may cut what is silent for a minute."""
_POST: Final = 900.0
"""Seconds: an image may have to be pulled first."""
_SLACK: Final = 30.0


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, how many there are by phase, and the token of what follows.

    ``silent_since`` is since when the engine has not answered.
    """

    jobs: Sequence[Job]
    counts: Mapping[str, int]
    token: str | None
    silent_since: str | None


class Server:
    """The jobs of one server. Every method raises ``ClientError``."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def list_pages(self, query: Query, *, limit: int) -> Iterator[Page]:
        """Yield the jobs that match, newest first, ``limit`` on each page."""
        token = None
        while True:
            more = [("limit", str(limit)), *([("continue", token)] if token else [])]
            body = self._read("GET", "/job", [*query, *more])
            engine = body.get("engine") or {}
            jobs = body.get("items")
            if not isinstance(jobs, list):
                raise _make_nonsense()
            token = body.get("continue")
            yield Page(jobs, body.get("counts") or {}, token, engine.get("since"))
            if token is None:
                return

    def find(
        self,
        ref: str,
        *,
        wait: int = 0,
        patience: float = BRIEF,
        bears: frozenset[int] = BUSY,
        recalls: bool = False,
    ) -> Job:
        """Return a job, with ``wait`` as soon as it is over or after so many seconds.

        One that is gone: with ``recalls`` the last that was known of it, else ``RefusedError``.
        """
        query = [("wait", str(wait))] if wait else []
        try:
            return self._check(
                self.connection.ask(
                    "GET",
                    make_path(ref),
                    query,
                    seconds=wait + _SLACK,
                    patience=patience,
                    bears=bears,
                ).body
            )
        except RefusedError as error:
            if recalls and error.last_known is not None:
                # what is gone will not go on, however it was last seen
                return {**self._check(error.last_known), "finished": True}
            raise

    def await_end(self, ref: str) -> Job:
        """Return a job once it is over, however long that takes, or the last that was known."""
        patience = self.connection.settings.patience
        while True:
            job = self.find(ref, wait=ROUND, patience=patience, bears=BUSY | OUTAGES, recalls=True)
            if job["finished"]:
                return job
            # a server that does not wait is not asked in a loop
            self.connection.sleep(0.1)

    def post(self, path: str, document: bytes) -> Mapping[str, Any]:
        """Record a document; return what is answered. May be repeated, and so it is."""
        bears = BUSY | OUTAGES
        return _expect_mapping(
            self.connection.ask("POST", path, body=document, seconds=_POST, bears=bears).body
        )

    def rehearse(self, path: str, document: bytes) -> Mapping[str, Any]:
        """Return what would be recorded."""
        query = [("dryRun", "true")]
        return _expect_mapping(self.connection.ask("POST", path, query, body=document).body)

    def cancel(self, ref: str, wish: Query) -> Job:
        """Record that a job is no longer wanted; return the job, or what the token may see."""
        return self._read("DELETE", make_path(ref), wish)

    def cancel_all(self, query: Query) -> Mapping[str, Any]:
        """Record it of all jobs that match; with ``dryRun``, only say of which."""
        return self._read("DELETE", "/job", query)

    def list_queues(self) -> Sequence[Mapping[str, Any]]:
        """Return the queues and how they are used."""
        items = self._read("GET", "/queue", ()).get("items")
        if not isinstance(items, list):
            raise _make_nonsense()
        return items

    def _read(self, method: str, path: str, query: Query) -> Mapping[str, Any]:
        return _expect_mapping(self.connection.ask(method, path, query).body)

    def _check(self, body: Any) -> Job:
        job = _expect_mapping(body)
        if "phase" not in job:
            raise _make_nonsense()
        if "finished" not in job:
            url = self.connection.settings.url
            raise OldServerError(
                f"the server at {url} is too old: it does not say if a job is over"
            )
        return job


def make_path(ref: str, *below: str) -> str:
    """Return the path of a job's route. Raises ``WrongUseError`` for what would be another."""
    if ref.strip(".") == "":
        raise WrongUseError(f"{ref!r} is no id of a job")
    return "/".join(["/job", quote(ref, safe=""), *below])


def _expect_mapping(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise _make_nonsense()
    return body


def _make_nonsense() -> ClientError:
    return ClientError("the answer is none of a docker-job-dispatcher: check DJD_URL")
