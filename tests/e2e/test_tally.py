"""``jobs_total`` equals the engine's own history, whatever the API's event stream goes through."""

import re
import threading
from collections import Counter
from pathlib import Path

from tests.support.event_log import EventLog
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess
from tests.support.proxy import FaultProxy
from tests.support.waiting import wait_until

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: .cmd}'
COMMANDS = (["true"], ["false"], ["sh", "-c", "exit 3"], ["sleep", "0.3"], ["/no/such/command"])
EVENTS = r"^GET .*/events"
_SAMPLE = re.compile(
    r'jobs_total\{action="(?P<action>\w+)",namespace="[^"]*",status="(?P<status>\w*)"\} (?P<n>\d+)'
)

Counts = Counter[tuple[str, str]]


def scrape(api: ApiProcess) -> Counts:
    found = _SAMPLE.finditer(api.get("/metrics").body)
    return +Counter({(m["action"], m["status"]): int(m["n"]) for m in found})


def count_events(events: EventLog) -> Counts:
    return Counter(
        (event.action, event.exit_code or "" if event.action == "die" else "")
        for event in events.read("create", "start", "die")
    )


def count_held(engine: PrivateEngine, namespace: str) -> Counts:
    """Return the counts of an API that came after everything had happened."""
    label = f"label=docker-job-dispatcher.namespace={namespace}"
    counts: Counts = Counter()
    for name in engine.names(label):
        state = engine.inspect(name)["State"]
        counts["create", ""] += 1
        if state["Status"] == "exited":
            counts["start", ""] += 1
            counts["die", str(state["ExitCode"])] += 1
    return counts


def cut_again_and_again(proxy: FaultProxy, done: threading.Event) -> None:
    while not done.wait(0.7):
        proxy.sever(EVENTS)


def test_jobs_are_counted_as_the_engine_tells_it_through_cuts_and_restarts(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    done = threading.Event()
    options = ("--lock-dir", str(tmp_path), "-m", "3", "-k", "3")
    with (
        FaultProxy(private_engine.host) as proxy,
        EventLog(private_engine, namespace) as events,
        ApiProcess(proxy.host, namespace, JOB) as api,
        ControllerProcess(private_engine.host, namespace, *options) as controller,
    ):
        cutter = threading.Thread(target=cut_again_and_again, args=(proxy, done))
        cutter.start()
        try:
            for number in range(30):
                cmd = COMMANDS[number % len(COMMANDS)]
                api.post({"name": f"{namespace}-{number:02}", "cmd": cmd})
            wait_until(lambda: len(events.read("destroy")) == 24, "what ran is collected")
        finally:
            done.set()
            cutter.join()
        # a failed start is told as a die that no start came before
        expected = count_events(events)
        for key in [key for key in expected if key[0] == "die" and key[1] in {"126", "127"}]:
            del expected[key]
        wait_until(lambda: scrape(api) == expected, f"the engine's counts: {expected}")

        controller.terminate()
        for number in range(4):
            api.post({"name": f"{namespace}-late-{number}", "cmd": COMMANDS[number]})
        controller.start()
        wait_until(lambda: len(events.read("destroy")) >= 25, "the first late one is collected")
        api.kill()
        controller.terminate()
        api.start()
        held = count_held(private_engine, namespace)
        wait_until(lambda: scrape(api) == held, f"what the engine holds: {held}")
