"""What every answer has, and what is counted and logged of it."""

import re

from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.support.api import Api, manifest


async def test_a_request_id_goes_through_answer_and_log(api: Api, name: str) -> None:
    with capture_logs([merge_contextvars]) as log:
        given = await api.post(manifest(name), headers={"X-Request-Id": "mine-1"})
        made = await api.get("/job/nope", headers={"X-Request-Id": "not a word"})
    assert given.headers["x-request-id"] == "mine-1"
    assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])
    lines = [line for line in log if line.get("request_id") == "mine-1"]
    assert len(lines) == 1
    assert (lines[0]["job"], lines[0]["code"], lines[0]["path"]) == (name, 201, "/job")
    assert "Cmd" not in str(log)


# What the engine tells comes when it comes, whatever is asked for.
_OF_THE_ENGINE = ("jobs_total", "dispatcher_engine_call")


async def test_unknown_ids_and_paths_add_no_metric_series(api: Api) -> None:
    async def list_series() -> set[str]:
        lines = (await api.get("/metrics")).body.splitlines()
        return {line.rpartition(" ")[0] for line in lines if not line.startswith(_OF_THE_ENGINE)}

    for path in ("/job/a0", "/nope", "/metrics"):
        await api.get(path)
    before = await list_series()
    assert any("dispatcher_http_requests_total" in series for series in before)
    for number in range(50):
        await api.get(f"/job/a{number}")
        await api.get(f"/nope/{number}")
    assert await list_series() == before
    for number in range(3):
        await api.ask(f"M{number}", "/job/x")
    # one for all odd methods
    assert len(await list_series()) <= len(before) + 1


async def test_metrics_are_open_metrics_where_asked_for(api: Api, name: str) -> None:
    await api.post(manifest(name))
    plain = await api.get("/metrics")
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    opened = await api.get("/metrics", headers=accept)
    assert 'code="201",method="POST",route="/job"} 1.0' in plain.body
    assert plain.headers["content-type"].startswith("text/plain")
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.body.endswith("# EOF\n")
    assert 'dispatcher_create_duration_seconds_count{outcome="created"} 1.0' in opened.body
    assert 'dispatcher_filter_duration_seconds_count{outcome="Rendered"} 1.0' in opened.body
