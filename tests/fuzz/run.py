"""A run: schemathesis over the OpenAPI document, Hypothesis over the rest, judged as it goes."""

import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.chaos.raw import RawEngine
from tests.fuzz.hostile_manifests import HOSTILE_IMAGE, IMAGE_LABELS
from tests.fuzz.oracle import BrokenError, Oracle
from tests.fuzz.shots import EXISTING_PATH, MANIFEST_PATH, RESTRICTED_PATH, SHOTS, WAITING, Shot
from tests.support.filter_configs import MANIFESTS, config
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess

_ROOT = Path(__file__).parents[2]
_SHARE = 0.2
"""Of the requests that schemathesis makes up; it takes its time over each."""
# The log of a job that nobody starts would be followed for ever. A document may be posted to any
# path below /job, which OpenAPI cannot express: no check of methods there.
_SETTINGS = """
[[operations]]
include-name = "GET /job/{id}/log"
parameters = { "query.follow" = "false" }
checks.unsupported_method.enabled = false
checks.allow_header_conformance.enabled = false

[[operations]]
include-name-regex = "/ui/(session|logout|slots)$"
phases.fuzzing.enabled = false
"""
_QUEUE = """
apiVersion: docker-job-dispatcher/v1
kind: Queue
metadata: {name: etl}
spec: {maxPending: 5}
"""
_OTHER_CHECKS = "positive_data_acceptance"
"""Only the operator's filter can say which documents are right."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was done: ``longest`` is the longest that one callback held the loop, in seconds."""

    by_schema: int
    by_shots: int
    codes: Mapping[int, int]
    created: int
    cancelled: int
    longest: float
    longest_by: str

    def __str__(self) -> str:
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(self.codes.items()))
        return (
            f"{self.by_schema} requests by schemathesis and {self.by_shots} by Hypothesis"
            f" ({codes}); {self.created} jobs and {self.cancelled} cancels recorded; the event loop"
            f" was never held for more than {self.longest * 1000:.0f} ms, by {self.longest_by}"
        )


class WatchedApi(ApiProcess):
    """The API with a watch on its event loop."""

    _module = "tests.fuzz.watched"


def fuzz(
    engine: PrivateEngine, namespace: str, requests: int, first_seed: int, *, longest: float
) -> Report:
    """Send at least ``requests`` requests; raise ``BrokenError`` when a rule is broken.

    One is that no callback holds the event loop for more than ``longest`` seconds.
    """
    engine.load_image(HOSTILE_IMAGE, IMAGE_LABELS)
    with serve(engine, namespace) as api:
        manifest = {"Name": WAITING, "Image": IMAGE, "Cmd": ["true"], "Job": {"Queue": "etl"}}
        uid = api.post(manifest, MANIFEST_PATH).body["uid"]
        oracle = Oracle(RawEngine(engine.socket))
        api.signal(signal.SIGUSR1)
        by_schema = 0
        for turn in range(requests):
            if by_schema >= requests * _SHARE:
                break
            by_schema += attack_by_schema(api, oracle, first_seed + turn, is_first=turn == 0)
        # one turn of schemathesis may be all that was asked for
        by_shots = max(requests - by_schema, requests // 2)
        attack_by_shots(api.port, oracle, by_shots, first_seed)
        codes = read_codes(api)
        api.terminate()
        watched = api.events("loop watched")[-1]
    engine.docker("rm", uid)
    engine.docker("rmi", HOSTILE_IMAGE)
    if watched["seconds"] > longest:
        raise BrokenError(f"{watched['callback']} held the loop for {watched['seconds']:.3f} s")
    held = (watched["seconds"], watched["callback"])
    return Report(by_schema, by_shots, codes, oracle.created, oracle.cancelled, *held)


@contextmanager
def serve(engine: PrivateEngine, namespace: str) -> Iterator[WatchedApi]:
    """Serve the default filter, at three paths documents as manifests, and a queue."""
    with tempfile.TemporaryDirectory(prefix="filters-") as folder:
        shipped = (MANIFESTS / "default.yaml").read_text(encoding="utf-8")
        restricted = "  admission: {profile: restricted, allow: {images: ['**']}}\n"
        for name, text in {
            "default": shipped,
            "open": config("open", MANIFEST_PATH),
            "existing": config("existing", EXISTING_PATH, "  onConflict: existing\n"),
            "restricted": config("restricted", RESTRICTED_PATH, restricted),
            "queues": _QUEUE,
        }.items():
            Path(folder, f"{name}.yaml").write_text(text, encoding="utf-8")
        env = {"JOB_IMAGE": IMAGE, "PYTHONPATH": str(_ROOT)}
        with WatchedApi(engine.host, namespace, "-f", folder, env=env) as api:
            yield api


def attack_by_schema(api: ApiProcess, oracle: Oracle, number: int, *, is_first: bool) -> int:
    """Let schemathesis make up requests from the OpenAPI document; return how many."""
    phases = "examples,coverage,fuzzing,stateful" if is_first else "fuzzing,stateful"
    count = 20 if is_first else 100
    before = read_codes(api, method="POST")[201]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        Path(folder, "schemathesis.toml").write_text(_SETTINGS, encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", api.url + "/openapi.json"),
                *("--seed", str(number), "--max-examples", str(count), "--phases", phases),
                *("--exclude-checks", _OTHER_CHECKS, "--continue-on-failure"),
                # its answer has no end; our own shots reach it
                *("--exclude-path", "/events"),
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
        )
    recorded = read_codes(api, method="POST")[201] - before
    if done.returncode:
        raise BrokenError(f"schemathesis, seed {number}:\n{done.stdout[-8000:]}\n{done.stderr}")
    if (found := oracle.clear_all()) != recorded:
        raise BrokenError(f"{recorded} jobs recorded, and {found} containers more on the engine")
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None, done.stdout
    return int(generated[1])


def attack_by_shots(port: int, oracle: Oracle, count: int, number: int) -> None:
    """Send ``count`` shots of our own, one after the other."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)

    @seed(number)
    @settings(
        max_examples=max(count, 1),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(SHOTS)
    def fire(shot: Shot) -> None:
        # Hypothesis fires a shot that broke something again: the first time tells
        if not broken:
            try:
                oracle.judge(shot, *send(connection, shot))
            except BrokenError as error:
                broken.append(error)
        if broken:
            raise broken[0]

    broken: list[BrokenError] = []
    try:
        fire()
    finally:
        connection.close()


def send(connection: HTTPConnection, shot: Shot) -> tuple[int, bytes]:
    """Send one shot and return status and body."""
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            # a refusal may be there before all is sent
            connection.request(shot.method, shot.target, shot.body, shot.headers)
        response = connection.getresponse()
        if response.getheader("X-Accel-Buffering"):
            # a stream goes on until it is left
            line = b"" if shot.method == "HEAD" else response.readline()
            connection.close()
            return response.status, line
        return response.status, response.read()
    except (HTTPException, OSError) as error:
        connection.close()
        raise BrokenError(f"{shot}: no answer: {error!r}") from error


def read_codes(api: ApiProcess, *, method: str = "") -> Counter[int]:
    """Return how many requests were answered with which status, as the API itself counts."""
    codes: Counter[int] = Counter()
    for line in api.get("/metrics").body.splitlines():
        found = re.match(
            r'dispatcher_http_requests_total\{code="(\d+)",method="(\w+)".*\} (.+)', line
        )
        if found and method in ("", found[2]):
            codes[int(found[1])] += int(float(found[3]))
    return codes
