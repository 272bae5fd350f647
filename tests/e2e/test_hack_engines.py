"""``hack/engines``: the suite stands on the newest engine, too, with the image store to come."""

import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_TESTS = (
    *("tests/contract", "-k", "real"),
    "tests/e2e/test_dispatch.py::test_twenty_jobs_run_in_order_two_at_a_time_and_are_collected",
)


@pytest.mark.slow
@pytest.mark.timeout(600)  # the first time, it makes a Debian of sid
def test_the_newest_engine_holds_the_contract_with_images_kept_by_containerd() -> None:
    done = subprocess.run(
        [_ROOT / "hack/engines", "--only", "sid-containerd", "-n", "0", *_TESTS],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    print(done.stdout)  # noqa: T201
