"""Queues are read strictly, each fault has its place, and the last good ones serve on."""

from pathlib import Path

import pytest
import structlog

from api.config.faults import ConfigError
from api.config.queue_source import NO_QUEUES, QueueSource
from api.config.queues import read_queues
from api.config.source import SourceFile
from api.v1.queue import Queue

HEAD = "apiVersion: docker-job-dispatcher/v1\nkind: Queue\n"
ETL = HEAD + "metadata: {name: etl}\nspec: {maxConcurrent: 2, weight: 3, maxPending: 500}\n"
FILTER = "kind: Filter\nspec: {this: is for others to judge}\n"


def read(*texts: str, name: str = "q.yaml") -> dict[str, Queue]:
    return {**read_queues([SourceFile(name, text.encode()) for text in texts])}


def refuse(*texts: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(*texts)
    return str(caught.value)


def test_a_queue_is_read_with_its_defaults() -> None:
    plain = HEAD + "metadata: {name: default}\n"
    paused = HEAD + "metadata: {name: night}\nspec: {paused: true, maxConcurrent: 0}\n"
    assert read(f"{ETL}---\n{FILTER}---\n{plain}", paused) == {
        "etl": Queue("etl", 2, 3, 500),
        "default": Queue("default"),
        "night": Queue("night", 0, paused=True),
    }


def test_a_bare_program_has_no_queues() -> None:
    assert read("{Name: 1}", name="filter.jq") == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEAD + "metadata: {name: Etl}\n", "metadata.name"),
        (HEAD, "metadata: required, but absent"),
        (ETL.replace("weight: 3", "weight: 0"), "spec.weight"),
        (ETL.replace("weight: 3", "weight: 1.5"), "spec.weight"),
        (ETL.replace("weight: 3", "wait: 3"), "spec.wait: unknown field"),
        (ETL.replace("maxConcurrent: 2", "maxConcurrent: -1"), "spec.maxConcurrent"),
        (ETL.replace("maxConcurrent: 2", "maxConcurrent: '2'"), "spec.maxConcurrent"),
        (ETL.replace("maxPending: 500", "paused: 1"), "spec.paused"),
        ("kind: Queues\n", "expected 'Filter' or 'Queue'"),
        (
            ETL + "---\n" + ETL,
            "q.yaml:8: document 2: metadata.name: etl is taken already",
        ),
        (": :", "q.yaml:1"),
    ],
)
def test_a_fault_has_its_place(text: str, fault: str) -> None:
    assert fault in refuse(text)


def test_every_fault_is_named() -> None:
    faults = refuse(ETL.replace("weight: 3", "weight: 0"), HEAD)
    assert faults.count("q.yaml:") == 2


async def test_a_change_is_in_service_once_two_looks_agree(tmp_path: Path) -> None:
    path, told = tmp_path / "q.yaml", list[tuple[int, str | None]]()
    path.write_text(ETL)
    source = QueueSource(tmp_path, on_reload=lambda *news: told.append(news))
    source.load()
    assert source.queues["etl"].weight == 3
    path.write_text(ETL.replace("weight: 3", "weight: 4"))
    await source.look(tmp_path)
    assert source.queues["etl"].weight == 3
    await source.look(tmp_path)
    assert source.queues["etl"].weight == 4
    path.write_text("# other filters beside them\n" + ETL.replace("weight: 3", "weight: 4"))
    for _ in range(2):
        await source.look(tmp_path)
    assert told == [(2, None)]


@pytest.mark.parametrize("damage", ["breaks", "vanishes"])
async def test_the_last_good_queues_serve_on(tmp_path: Path, damage: str) -> None:
    path, told = tmp_path / "q.yaml", list[tuple[int, str | None]]()
    path.write_text(ETL)
    source = QueueSource(path, on_reload=lambda *news: told.append(news))
    source.load()
    if damage == "breaks":
        path.write_text(ETL + "  {")
    else:
        path.unlink()
    with structlog.testing.capture_logs() as logs:
        for _ in range(4):
            await source.look(path)
    assert [line["event"] for line in logs] == ["queues refused; the last good ones serve on"]
    assert [(generation, error is None) for generation, error in told] == [(1, False)]
    assert source.queues["etl"].weight == 3
    path.write_text(ETL)
    await source.look(path)
    assert told[-1] == (1, None)


def test_without_a_source_there_are_none() -> None:
    source = QueueSource(None)
    source.load()
    assert source.queues is NO_QUEUES


def test_a_source_that_cannot_be_read_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        QueueSource(tmp_path / "none.yaml").load()
