"""Ages come from the engine's time, whatever happens to this host's clock."""

import time
from email.utils import formatdate

import pytest

from api.engine.docker.clock import EngineClock

HOUR = 3600 * 1_000_000_000


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_of_this_hosts_clock_ages_no_job(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    """Until the engine has been heard again, and then if its clock has not jumped too."""
    real = time.time_ns
    clock = EngineClock()
    clock.observe(formatdate(real() / 1e9, usegmt=True), real(), real())
    monkeypatch.setattr(time, "time_ns", lambda: real() + jump)
    assert abs(clock.now() - real()) < HOUR // 100
    clock.observe(formatdate(real() / 1e9, usegmt=True), real() + jump, real() + jump)
    assert abs(clock.now() - real()) < HOUR // 100
