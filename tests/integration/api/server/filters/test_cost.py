"""The worker pool costs a round trip, not a process, per document."""

import pytest

from tests.bench.filters_bench import compare


@pytest.mark.quiet
async def test_the_pool_costs_a_few_evaluations_at_most() -> None:
    """A ratio, as absolute times belong to a machine; starting a worker costs hundreds."""
    pool, here = await compare(10)
    print(f"pool {pool * 1e3:.3f} ms, in process {here * 1e3:.3f} ms")  # noqa: T201
    assert pool < 30 * here
