"""Engines to come: both processes on an engine that answers as API 1.52 does, 1.44 the oldest."""

from pathlib import Path

from tests.support.event_log import EventLog
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess
from tests.support.stripping_proxy import OLDEST, StrippingProxy
from tests.support.waiting import wait_until

_JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: .cmd}'
_NEVER = "600"
"""Seconds of a tick: what happens within the test happens because an event told."""


def test_jobs_are_dispatched_by_events_that_have_lost_their_old_members(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    names = [f"{namespace}-{number}" for number in range(4)]
    options = ("-m", "1", "-k", "3", "-u", _NEVER, "--lock-dir", str(tmp_path))
    with (
        StrippingProxy(private_engine.host) as proxy,
        EventLog(private_engine, namespace) as events,
        ApiProcess(proxy.host, namespace, _JOB) as api,
        ControllerProcess(proxy.host, namespace, *options) as controller,
    ):
        wait_until(lambda: controller.get("/health/ready").code == 204, "the controller ready")
        for number, name in enumerate(names):
            assert api.post({"name": name, "cmd": ["sh", "-c", f"exit {number}"]}).code == 201
        wait_until(lambda: len(events.read("die")) == len(names), "all jobs ended")
        told = api.get(f"/job/{names[3]}").body
        assert (told["phase"], told["exitCode"]) == ("Failed", 3)
        wait_until(lambda: len(events.read("destroy")) == len(names), "all jobs collected")
        assert [event.name for event in events.read("start")] == names
        assert [event.exit_code for event in events.read("die")] == list("0123")
        wait_until(lambda: _count_ends(api) == ["0", "1", "2", "3"], "every end counted")
        assert min(proxy.spoken) >= OLDEST


def _count_ends(api: ApiProcess) -> list[str]:
    """Return the statuses of the ends that the API has counted once."""
    lines = str(api.get("/metrics").body).splitlines()
    ends = [line for line in lines if line.startswith("jobs_total{") and 'action="die"' in line]
    return sorted(line.split('status="')[1].split('"')[0] for line in ends if line.endswith(" 1.0"))
