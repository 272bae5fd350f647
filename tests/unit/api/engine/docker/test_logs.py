"""What is asked for a log, and what is known of how it is kept."""

import pytest

from api.engine.docker.logs import LogFacts, make_log_params, read_log_facts, read_room

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
    assert facts == LogFacts(driver, has_terminal=True, rotates=rotates, room=facts.room)
    assert facts.is_exact(OLD) is not rotates
    assert facts.is_exact(NEW)


@pytest.mark.parametrize(
    ("driver", "options", "room"),
    [
        ("json-file", {}, None),
        ("json-file", {"max-size": "10m"}, None),
        ("json-file", {"max-size": "10m", "max-file": "1"}, None),
        ("json-file", {"max-size": "-1", "max-file": "3"}, None),
        ("json-file", {"max-size": "10m", "max-file": "3"}, 20 << 20),
        ("json-file", {"max-size": "64K", "max-file": "2"}, 64 << 10),
        ("json-file", {"max-size": "1.5 GiB", "max-file": "2"}, 3 << 29),
        ("json-file", {"max-size": "5000", "max-file": "2"}, 5000),
        ("json-file", {"max-size": "much", "max-file": "2"}, None),
        ("json-file", {"max-size": "1m", "max-file": "x"}, None),
        ("local", {}, 80 << 20),
        ("local", {"max-size": "1mb"}, 4 << 20),
        ("local", {"max-file": "2"}, 20 << 20),
        ("journald", {"max-size": "1m", "max-file": "2"}, None),
    ],
)
def test_what_is_kept_in_any_case_is_all_files_but_one(
    driver: str, options: dict[str, str], room: int | None
) -> None:
    assert read_room(driver, options) == room
