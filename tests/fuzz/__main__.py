"""``hack/fuzz``: a run of a given length and seed on an engine of its own."""

import argparse
import sys
import time

from tests.fuzz.oracle import BrokenError
from tests.fuzz.run import fuzz
from tests.support.private_engine import PrivateEngine

LONGEST_CALLBACK = 0.1
"""Seconds that one callback may hold the event loop."""


def main() -> None:
    """Run and say what came of it."""
    parser = argparse.ArgumentParser(prog="hack/fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many, at least")
    parser.add_argument("--seed", type=int, default=1, help="another one makes up others")
    chosen = parser.parse_args()
    began = time.monotonic()
    with PrivateEngine() as engine:
        try:
            report = fuzz(engine, "fuzz", chosen.requests, chosen.seed, longest=LONGEST_CALLBACK)
        except BrokenError as error:
            sys.exit(f"seed {chosen.seed}: {error}")
    sys.stdout.write(f"seed {chosen.seed}: {report}; {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
