"""Faults 42 to 44 of the catalogue: two controllers, kills in a loop, filters that change."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.stage import START, Stage
from tests.support.private_engine import IMAGE
from tests.support.processes import ApiProcess, ControllerProcess, Reply
from tests.support.waiting import wait_until


def role_of(controller: ControllerProcess) -> str:
    reply = controller.get("/health/ready?verbose")
    return str(reply.body["role"])


@pytest.mark.thorough
def test_fault_42_the_second_controller_idles_until_the_first_one_dies(stage: Stage) -> None:
    with stage.watch("f42-idle") as events, stage.control(limit=2) as first:
        wait_until(lambda: role_of(first) == "active", "the first one active")
        with stage.control(limit=2) as second:
            wait_until(lambda: role_of(second) == "standby", "the second one standing by")
            assert second.get("/health/ready").code == 204
            jobs = [stage.post(f"f42-idle-{number}", "sleep 0.3") for number in range(12)]
            stage.wait_for("exited", *jobs[:3])
            assert role_of(second) == "standby"
            first.kill()
            stage.wait_for("exited", *jobs)
            assert role_of(second) == "active"
        events.wait_for_ends(12)
        assert events.count_most_running() == 2
        assert sorted(events.starts) == sorted(f"f42-idle-{number}" for number in range(12))


@pytest.mark.thorough
@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL], ids=["wakes", "dies"])
def test_fault_42_a_stopped_controller_keeps_its_place_and_does_no_harm_when_it_wakes(
    stage: Stage, end: signal.Signals
) -> None:
    with stage.watch(f"f42-{end.name}") as events, stage.control(limit=2) as first:
        wait_until(lambda: role_of(first) == "active", "the first one active")
        with stage.control(limit=2) as second:
            wait_until(lambda: role_of(second) == "standby", "the second one standing by")
            first.signal(signal.SIGSTOP)
            jobs = [stage.post(f"f42-{end.name}-{number}", "sleep 1") for number in range(6)]
            wait_until(
                lambda: second.get("/health/ready?verbose").body["backlog"] == 6,
                "the second one knowing of all",
            )
            assert role_of(second) == "standby"
            assert events.starts == []
            first.signal(end)
            stage.wait_for("exited", *jobs)
        events.wait_for_ends(6)
        assert events.count_most_running() == 2
        assert len(events.starts) == 6


@pytest.mark.thorough
def test_fault_42_a_successor_waits_for_the_start_its_predecessor_sent(
    stage: Stage,
) -> None:
    with stage.watch("f42-take") as events:
        jobs = [stage.post(f"f42-take-{number}", "sleep 0.3") for number in range(6)]
        for _ in range(3):
            starts = stage.proxy.count(START)
            with stage.control(limit=1) as controller:
                while stage.proxy.count(START) == starts:
                    assert controller.is_running
                    time.sleep(0.01)
                controller.kill()
        with stage.control(limit=1):
            stage.wait_for("exited", *jobs)
        events.wait_for_ends(6)
        assert events.count_most_running() == 1
        assert len(events.starts) == 6


def test_fault_42_one_of_two_controllers_acts_after_the_lock_file_was_deleted(
    stage: Stage,
) -> None:
    with stage.watch("f42-file") as events, stage.control(limit=2) as first:
        wait_until(lambda: role_of(first) == "active", "the first one active")
        with stage.control(limit=2) as second:
            wait_until(lambda: role_of(second) == "standby", "the second one standing by")
            jobs = [stage.post(f"f42-file-{number}", "sleep 0.3") for number in range(12)]
            stage.wait_for("exited", *jobs[:3])
            for path in (stage.folder / "locks").iterdir():
                path.unlink()
            stage.wait_for("exited", *jobs)
            wait_until(
                lambda: sorted(map(role_of, (first, second))) == ["active", "standby"],
                "one of them standing by",
            )
        events.wait_for_ends(12)
        assert events.count_most_running() == 2
        assert len(events.starts) == 12


@pytest.mark.thorough
def test_fault_43_kills_in_a_loop_lose_nothing_and_run_nothing_twice(stage: Stage) -> None:
    chance = random.Random(43)
    names = [f"f43-{number}" for number in range(9)]
    with stage.control(limit=3) as controller:
        for number, name in enumerate(names):
            if number % 3 == 1:
                controller.kill()
                controller.start(wait=chance.random() < 0.5)
            if number % 3 == 2:
                stage.api.kill()
                stage.api.start()
            reply: Reply | None = None
            while reply is None or reply.code not in {200, 201}:
                with suppress(OSError):
                    reply = stage.try_post(name, "sleep 0.1")
        stage.wait_for("exited", *names)
    assert [stage.count_runs(name) for name in names] == [1] * len(names)


def write_filter(path: Path, word: str) -> None:
    program = f'{{Name: .id, Image: "{IMAGE}", Cmd: ["true"], Labels: {{word: "{word}"}}}}'
    path.write_text(
        "apiVersion: docker-job-dispatcher/v1\n"
        "kind: Filter\n"
        "metadata: {name: swapped}\n"
        f"spec:\n  path: /job\n  filter: |\n    {program}\n"
    )


class Filters:
    """A folder of filters as a cluster mounts one: files are links through ``..data``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        self.swap("first")
        (folder / "filter.yaml").symlink_to("..data/filter.yaml")

    def swap(self, word: str, text: str | None = None) -> None:
        """Point ``..data`` at a new version at one stroke."""
        self._number += 1
        version = self.folder / f"..version-{self._number}"
        version.mkdir()
        write_filter(version / "filter.yaml", word)
        if text is not None:
            (version / "filter.yaml").write_text(text)
        (self.folder / "..next").symlink_to(version.name)
        (self.folder / "..next").replace(self.folder / "..data")

    def delete(self) -> None:
        """Take the filter away."""
        (self.folder / "filter.yaml").unlink()

    def cut_short(self) -> None:
        """Leave half of a file, as an interrupted writer does."""
        path = self.folder / "..data/filter.yaml"
        os.truncate(path, path.stat().st_size // 2)


_TROUBLES: dict[str, Callable[[Filters], None]] = {
    "bad YAML": lambda filters: filters.swap("never", "spec: [unclosed"),
    "bad jq": lambda filters: filters.swap("never", "{Name: .id"),
    "a partial write": Filters.cut_short,
    "a deletion": Filters.delete,
}
_ALIKE = ("bad YAML", "a partial write", "a deletion")
"""What bad jq shows as well."""


@pytest.mark.thorough
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(trouble, id=name, marks=[pytest.mark.thorough] if name in _ALIKE else [])
        for name, trouble in _TROUBLES.items()
    ],
)
def test_fault_44_a_bad_change_of_the_filters_keeps_the_last_good_ones(
    stage: Stage, tmp_path: Path, trouble: Callable[[Filters], None]
) -> None:
    filters = Filters(tmp_path)
    with ApiProcess(stage.proxy.host, stage.namespace, "--from-file", str(tmp_path)) as api:

        def ask(name: str) -> str:
            reply = api.post({"id": name})
            assert reply.code == 201, reply
            facts = stage.raw.inspect(name)
            assert facts is not None
            return str(facts["Config"]["Labels"]["word"])

        assert ask("f44-first") == "first"
        trouble(filters)
        wait_until(lambda: api.events() and _has_complained(api), "a complaint in the log")
        assert ask("f44-kept") == "first"
        assert api.get("/health/live").code == 204


def test_fault_44_a_flip_of_the_mounted_folder_is_taken_while_requests_go_on(
    stage: Stage, tmp_path: Path
) -> None:
    filters = Filters(tmp_path)
    with ApiProcess(stage.proxy.host, stage.namespace, "--from-file", str(tmp_path)) as api:
        words: list[str] = []

        def ask() -> bool:
            name = f"f44-flip-{len(words)}"
            assert api.post({"id": name}).code == 201
            facts = stage.raw.inspect(name)
            assert facts is not None
            words.append(facts["Config"]["Labels"]["word"])
            return words[-1] == "second"

        ask()
        filters.swap("second")
        wait_until(ask, "the new filter")
        assert words == ["first"] * (len(words) - 1) + ["second"]


def _has_complained(api: ApiProcess) -> bool:
    return any(line.get("level") in {"warning", "error"} for line in api.events())
