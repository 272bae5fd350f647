"""The API's metrics: described, closed in their labels, and not for clients to multiply."""

import random
from typing import get_args

from api.engine.instrumented import Call, Outcome
from api.informer.informer import Informer
from api.server.filters.workers.pool import Cause
from api.server.metrics import ApiMetrics
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.api import Api, serve
from tests.support.listeners import Nobody
from tests.support.metrics import describe, read_families, read_samples, read_table

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-._~"
METHODS = ["PROPFIND", "MKCOL", "LOCK", "REPORT", "SEARCH", "MERGE", "DELETE", "PUT"]


def test_the_table_describes_each_metric_with_its_type_and_labels() -> None:
    metrics = ApiMetrics()
    metrics.watch(Informer(MemoryEngine(), Nobody(), interval=1.0))
    metrics.on_request("GET", "/metrics", 200)
    metrics.on_pull("pulled", 1.0)
    metrics.on_call(Call.LIST, Outcome.OK, 0.1)
    assert describe(read_families(metrics.registry)) == read_table("API")


def test_what_can_be_counted_is_there_at_zero_before_it_happens() -> None:
    samples = read_samples(ApiMetrics("ns").registry)
    for cause in get_args(Cause):
        assert samples["dispatcher_filter_workers_replaced_total", f"cause={cause}"] == 0
    for outcome in ("created", "refused", "ambiguous", "unavailable"):
        assert samples["dispatcher_create_duration_seconds_count", f"outcome={outcome}"] == 0
    for action in ("create", "start"):
        assert samples["jobs_total", f"action={action}", "namespace=ns", "status="] == 0


async def test_unknown_ids_paths_and_methods_add_no_series() -> None:
    """Few, because it is the first of a kind that would add a series."""
    choose = random.Random(8)
    async with serve(MemoryEngine(), "ns") as api:
        await ask_for_nothing(api, choose, 300)
        await list_series(api)  # the page of the metrics is one of the routes that are counted
        before = await list_series(api)
        await ask_for_nothing(api, choose, 1000)
        assert await list_series(api) == before


async def ask_for_nothing(api: Api, choose: random.Random, count: int) -> None:
    for number in range(count):
        word = "".join(choose.choices(ALPHABET, k=choose.randint(2, 60)))
        path = f"/{word}/{word}" if number % 3 else f"/job/{word}"
        reply = await api.get(path)
        assert reply.code == 404
        if number % 10 == 0:
            assert (await api.ask(choose.choice(METHODS), "/metrics")).code == 405


async def list_series(api: Api) -> set[str]:
    """Return the names and labels of all series, without their values."""
    reply = await api.get("/metrics")
    lines = reply.body.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


async def test_what_a_request_was_answered_is_counted_by_its_route() -> None:
    async with serve(MemoryEngine(), "ns") as api:
        document = {"Name": "job-1", "Image": IMAGE, "Cmd": ["true"]}
        assert (await api.post(document, "/job/a/b")).code == 201
        assert (await api.get("/job/job-1")).code == 200
        series = (await api.get("/metrics")).body
    for line in (
        'dispatcher_http_requests_total{code="201",method="POST",route="/job/{path}"} 1.0',
        'dispatcher_http_requests_total{code="200",method="GET",route="/job/{id}"} 1.0',
        'dispatcher_create_duration_seconds_count{outcome="created"} 1.0',
        'dispatcher_filter_duration_seconds_count{outcome="Rendered"} 1.0',
        'dispatcher_engine_calls_total{call="create",outcome="ok"} 1.0',
    ):
        assert line in series
