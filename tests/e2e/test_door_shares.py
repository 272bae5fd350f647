"""Two hundred hostile connections of one token do not take the service from another's."""

import statistics
import time
from pathlib import Path

import pytest

from tests.support.hostile import crowd
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess

FILTER = f"""
if .k == "loop" then def f: f; f
elif .k == "memory" then [range(1e12)]
elif .k == "work" then reduce range(200000) as $i (0; . + 1) | {{Name: "x", Image: "x"}}
else {{Name: .name, Image: "{IMAGE}", Cmd: ["true"]}} end
"""
GOOD, BAD = "good-" + "x" * 20, "hostile-" + "x" * 20
ASKED = 40
MOST = 2.0
TRIES = 3
KINDS = ("loops", "works", "posts", "ready", "ids", "strangers", "idle", "slow", "huge", "large")
TYPICAL = {("loops", 200), ("strangers", 200), ("large", 20)}


def measure(api: ApiProcess, name: str) -> list[float]:
    """Return how long good requests take: documents, jobs, readiness."""
    bearer = {"Authorization": f"Bearer {GOOD}"}
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        codes = [
            api.post({"name": name}, "/job?dryRun=true", **bearer).code,
            api.post({"name": name}, **bearer).code,
            api.get(f"/job/{name}", **bearer).code,
            api.get("/health/ready", **bearer).code,
        ]
        taken.append(time.perf_counter() - began)
        assert codes == [200, 200, 200, 204]
        time.sleep(0.01)
    return taken


@pytest.mark.quiet
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "connections"),
    [
        pytest.param(kind, number, marks=() if (kind, number) in TYPICAL else pytest.mark.thorough)
        for kind in (
            "loops",
            "works",
            "posts",
            "ready",
            "ids",
            "strangers",
            "idle",
            "slow",
            "huge",
            "large",
        )
        for number in (4, 20, 200)
    ],
)
def test_good_requests_beside_hostile_ones_of_another_token(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path, kind: str, connections: int
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{GOOD}\n{BAD}\n")
    tokens.chmod(0o600)
    name = f"{namespace}-job"
    token = "" if kind == "strangers" else BAD
    options = ("--token-file", str(tokens), "--log-level", "warn")
    ratios: list[float] = []
    with ApiProcess(private_engine.host, namespace, FILTER, *options) as api:
        assert api.post({"name": name}, Authorization=f"Bearer {GOOD}").code == 201
        measure(api, name)
        while len(ratios) < TRIES and min(ratios, default=9.0) > MOST:
            alone = statistics.median(measure(api, name))
            with crowd(kind, api.port, connections, token):
                among = statistics.median(measure(api, name))
            ratios.append(among / alone)
    # the machine is noisy: the best of the rounds counts
    assert min(ratios) <= MOST, ratios
