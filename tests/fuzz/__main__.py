"""``hack/fuzz``: a run of a given length and seed on an engine of its own."""

import argparse
import json
import statistics
import sys
import time

from tests.fuzz.oracle import BrokenError
from tests.fuzz.run import fuzz
from tests.support.private_engine import PrivateEngine

MOST = 4
"""How many times as long as ``json`` reads a megabyte of numbers one callback may hold the loop."""


def time_reading() -> float:
    """Return how many seconds this machine takes to read a megabyte of numbers, as the API must."""
    text = f"[{'0.5,' * 250_000}0]"
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        json.loads(text)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    """Run and say what came of it."""
    parser = argparse.ArgumentParser(prog="hack/fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many, at least")
    parser.add_argument("--seed", type=int, default=1, help="another one makes up others")
    chosen = parser.parse_args()
    began = time.monotonic()
    longest = MOST * time_reading()
    with PrivateEngine() as engine:
        try:
            report = fuzz(engine, "fuzz", chosen.requests, chosen.seed, longest=longest)
        except BrokenError as error:
            sys.exit(f"seed {chosen.seed}: {error}")
    sys.stdout.write(f"seed {chosen.seed}: {report}; {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
