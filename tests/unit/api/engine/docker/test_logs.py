"""What is asked for a log, and what is known of how it is kept."""

import pytest

from api.engine.docker.logs import LogFacts, make_log_params, read_log_facts

OLD, NEW = (1, 41), (1, 42)


def test_times_are_text_to_the_nanosecond() -> None:
    params = make_log_params(1_700_000_000_000_000_001, 1_700_000_001_000_000_000, 5, follow=True)
    assert params == {
        "stdout": "1",
        "stderr": "1",
        "timestamps": "1",
        "follow": "1",
        "since": "1700000000.000000001",
        "until": "1700000001.000000000",
        "tail": "5",
    }
    plain = make_log_params(None, None, None, follow=False)
    assert plain.keys() == {"stdout", "stderr", "timestamps", "follow"}


@pytest.mark.parametrize(
    ("driver", "options", "rotates"),
    [
        ("json-file", None, False),
        ("json-file", {"max-size": "-1"}, False),
        ("json-file", {"max-size": "10m"}, True),
        ("local", {}, True),
        ("journald", None, True),
    ],
)
def test_a_follow_is_exact_on_newer_engines_or_without_a_rotation(
    driver: str, options: dict[str, str] | None, rotates: bool
) -> None:
    log = {"Type": driver, "Config": options}
    facts = read_log_facts({"HostConfig": {"LogConfig": log}, "Config": {"Tty": True}})
    assert facts == LogFacts(driver, has_terminal=True, rotates=rotates)
    assert facts.is_exact(OLD) is not rotates
    assert facts.is_exact(NEW)
