"""What the worker pool costs beside evaluation in the same process, both in one run.

Run it as a program; it prints medians in milliseconds and their difference.
"""

import asyncio
import json
import statistics
import time

from api.server.filters.builtin import read_default
from api.server.filters.jq.program import JqProgram
from api.server.filters.service import Filters, from_options

ROUNDS = 30
CALLS = 50
DOCUMENT = {"args": ["Hello", "world!"]}


async def time_pool(filters: Filters) -> list[float]:
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        await filters.render("/job", DOCUMENT)
        taken.append(time.perf_counter() - began)
    return taken


def time_program(program: JqProgram) -> list[float]:
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        text = json.dumps(DOCUMENT, ensure_ascii=False, separators=(",", ":"))
        [manifest] = program.run(text, "/job").values
        json.dumps(manifest)
        taken.append(time.perf_counter() - began)
    return taken


async def compare(rounds: int = ROUNDS) -> tuple[float, float]:
    """Return the median seconds of a rendering by the pool, and in this process."""
    filters = from_options(filter_source=None, from_file=None, filter_env=(), environ={})
    program = JqProgram(read_default(), {})
    await filters.start()
    pool: list[float] = []
    here: list[float] = []
    try:
        # by turns, so that a busy moment of the machine meets both
        for _ in range(rounds):
            pool += await time_pool(filters)
            here += time_program(program)
    finally:
        await filters.close()
    return statistics.median(pool), statistics.median(here)


def main() -> None:
    """Print the figures."""
    pool, here = asyncio.run(compare())
    print(f"worker pool {pool * 1e3:.3f} ms, in process {here * 1e3:.3f} ms,")  # noqa: T201
    print(f"difference {(pool - here) * 1e3:.3f} ms at the median")  # noqa: T201


if __name__ == "__main__":
    main()
