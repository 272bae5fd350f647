"""The chaos suite itself, for some seconds with a fixed seed: all kinds of jobs and faults."""

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.counts import compare_counts
from tests.chaos.history import read_history
from tests.chaos.report import report
from tests.chaos.run import run_chaos
from tests.chaos.workload import Task


@pytest.mark.engine
@pytest.mark.timeout(400)
def test_no_invariant_breaks_in_a_short_run(tmp_path: Path) -> None:
    verdict = run_chaos(25, 1, tmp_path / "history.jsonl")
    text = "\n".join(report(verdict))
    assert verdict.breaches == [], text
    faults = Counter(fault.what for fault in verdict.story.faults)
    assert min(faults[what] for what in ("kill-api", "kill-controller", "kill-engine")) >= 1
    assert {order.task for order in verdict.story.orders.values()} >= set(map(str, Task))
    assert sum(life.started is not None for life in verdict.story.lives.values()) >= 12
    compared = Counter(comparison.scrape.moment for comparison in compare_counts(verdict.story))
    assert compared["last"] == 1
    assert min(compared["first"], compared["later"]) >= 1
    assert read_history(verdict.history) == verdict.story.entries
