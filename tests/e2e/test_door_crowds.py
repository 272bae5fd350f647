"""Slow and greedy clients by the hundred do not take the service from the others."""

import statistics
import time

import pytest

from tests.support.hostile import crowd
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: ["true"]}'
ROUNDS = 2
ASKED = 150


@pytest.mark.quiet
def test_a_normal_client_is_served_as_fast_among_200_slow_and_50_greedy_ones(
    private_engine: PrivateEngine, namespace: str
) -> None:
    name = f"{namespace}-job"
    with ApiProcess(private_engine.host, namespace, JOB, "--receive-timeout", "3") as api:
        assert api.post({"name": name}).code == 201

        def measure() -> list[float]:
            seconds = []
            for _ in range(ASKED):
                began = time.perf_counter()
                reply = api.get(f"/job/{name}")
                seconds.append(time.perf_counter() - began)
                assert reply.code == 200
            return seconds

        measure()
        alone: list[float] = []
        among: list[float] = []
        for _ in range(ROUNDS):
            alone += measure()
            with crowd("slow", api.port, 200), crowd("huge", api.port, 50):
                among += measure()
        assert statistics.median(among) <= 2 * statistics.median(alone)
        # they were there, and were refused
        assert len([e for e in api.events("request") if e.get("reason") == "TooLarge"]) >= 25
        assert api.get("/health/ready").code == 204
