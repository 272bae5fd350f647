"""Over HTTP, on a real engine: hostile documents get their 400 in time, good ones their 201."""

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, Reply
from tests.support.waiting import wait_until

FILTER = (
    'if .k == "loop" then last(repeat(.))'
    ' elif .k == "memory" then [range(1e12)] | length'
    ' elif .k == "nesting" then reduce range(1e6) as $i (.; [.])'
    ' else {Name: .name, Image: "' + IMAGE + '", Cmd: ["true"]} end'
)
BAD = ("loop", "memory", "nesting", "loop")
REASONS = {(400, "FilterTimeout"), (400, "FilterFailed"), (503, "FilterBusy")}
"""The last where other processes have the processor."""
DEADLINE, GRACE = 2.0, 0.5
GOOD = 40


@pytest.fixture
def api(private_engine: PrivateEngine, namespace: str) -> Iterator[ApiProcess]:
    with ApiProcess(private_engine.host, namespace, FILTER) as process:
        yield process


def post_good(api: ApiProcess, word: str) -> list[float]:
    """Return how long each of ``GOOD`` good documents took."""
    taken = []
    for number in range(GOOD):
        began = time.monotonic()
        reply = api.post({"name": f"{word}-{number:02}"})
        taken.append(time.monotonic() - began)
        assert reply.code == 201, reply
    return taken


def keep_posting_bad(
    api: ApiProcess, kind: str, done: threading.Event
) -> list[tuple[Reply, float]]:
    seen = []
    while not done.is_set():
        began = time.monotonic()
        reply = api.post({"k": kind})
        seen.append((reply, time.monotonic() - began))
    return seen


@pytest.mark.quiet
def test_four_hostile_clients_are_refused_in_time_and_good_ones_do_not_notice(
    api: ApiProcess, namespace: str
) -> None:
    post_good(api, f"{namespace}-warm")
    ratios = []
    for round_ in range(3):
        alone = statistics.median(post_good(api, f"{namespace}-alone{round_}"))
        done = threading.Event()
        with ThreadPoolExecutor(len(BAD)) as pool:
            hostile = [pool.submit(keep_posting_bad, api, kind, done) for kind in BAD]
            time.sleep(0.3)
            try:
                among = statistics.median(post_good(api, f"{namespace}-among{round_}"))
            finally:
                done.set()
        refused = [answer for each in hostile for answer in each.result()]
        assert len(refused) >= len(BAD)
        for reply, seconds in refused:
            assert (reply.code, reply.body["error"]["reason"]) in REASONS, reply
            assert seconds < DEADLINE + GRACE
        ratios.append(among / alone)
        if min(ratios) <= 1.5:
            break
    # the machine is noisy: the best of three rounds counts
    assert min(ratios) <= 1.5, ratios


def find_workers(pid: int) -> list[int]:
    done = subprocess.run(
        ["pgrep", "-f", f"api.server.filters.workers.main {pid}$"],
        check=False,
        capture_output=True,
        text=True,
    )
    return [int(word) for word in done.stdout.split()]


def test_no_worker_outlives_an_api_that_is_killed_even_in_mid_loop(api: ApiProcess) -> None:
    with ThreadPoolExecutor(2) as pool:
        looping = [pool.submit(_swallow, api, {"k": "loop"}) for _ in range(2)]
        wait_until(lambda: len(find_workers(api.pid)) >= 3, "workers at work")
        time.sleep(0.3)
        workers = find_workers(api.pid)
        api.kill()
        wait_until(
            lambda: (
                not any(
                    Path(f"/proc/{pid}/cmdline").exists()
                    and Path(f"/proc/{pid}/cmdline").read_bytes()
                    for pid in workers
                )
            ),
            "the end of every worker",
            every=0.02,
        )
        for each in looping:
            each.result()


def _swallow(api: ApiProcess, document: object) -> None:
    try:
        api.post(document)
    except OSError:
        return
