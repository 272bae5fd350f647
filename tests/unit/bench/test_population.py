"""What the benchmark fills an engine with is what an operator would give both processes."""

from pathlib import Path

from api.config.queue_source import QueueSource
from tests.bench.population import make_queues, write_queues


def test_queues_are_written_as_both_processes_read_them(tmp_path: Path) -> None:
    queues = make_queues(50, 4)
    write_queues(queues, tmp_path / "queues.yaml")
    source = QueueSource(tmp_path)
    source.load()
    assert source.queues == {queue.name: queue for queue in queues}
    assert {queue.weight for queue in queues} == {1, 2, 3, 4, 5}
