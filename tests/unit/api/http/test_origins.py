"""Which hosts are ours, and whose pages may ask."""

import pytest

from api.http.origins import choose_hosts, is_bare_host, is_own_host, is_own_origin

HOSTS = choose_hosts("127.0.0.1", ["Jobs.Example.com", "2001:DB8::0:1"])


@pytest.mark.parametrize(
    "authority",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.:8000",
        "127.0.0.1:1",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "jobs.example.com",
        "jobs.example.com:443",
        "[2001:db8::1]:8000",
    ],
)
def test_a_host_of_ours_is_ours_in_any_spelling_and_with_any_port(authority: str) -> None:
    assert is_own_host(authority, HOSTS, None)


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:8000#localhost",
        "localhost@evil.example",
        "localhost:8000:1",
        "localhost:",
        "localhost:x",
        "localhost\n",
        " localhost",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "::1",
        "[::1",
        "[localhost]",
        "localho\u017ft",
        "192.0.2.1",
    ],
)
def test_a_host_of_others_is_foreign(authority: str) -> None:
    assert not is_own_host(authority, HOSTS, None)


def test_the_address_that_a_connection_reached_is_ours() -> None:
    everywhere = choose_hosts("0.0.0.0", [])
    assert is_own_host("192.0.2.1:8000", everywhere, "192.0.2.1")
    assert is_own_host("192.0.2.1:8000", everywhere, "::ffff:192.0.2.1")
    assert not is_own_host("192.0.2.2:8000", everywhere, "192.0.2.1")
    assert not is_own_host("0.0.0.0:8000", everywhere, "192.0.2.1")


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://localhost:8000", True),
        ("https://LOCALHOST:8000", True),
        ("http://localhost", False),
        ("http://localhost:3000", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000.evil.example", False),
        ("http://localhost:8000/", False),
        ("file://localhost:8000", False),
        ("localhost:8000", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_the_page_of_this_host_and_port_may_ask(origin: str, *, own: bool) -> None:
    assert is_own_origin(origin, "localhost:8000") is own


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("api", True),
        ("10.0.0.1", True),
        ("::1", True),
        ("api:80", False),
        ("[::1]", False),
        ("http://api", False),
        ("", False),
        ("*", False),
    ],
)
def test_an_allowed_host_has_no_port(text: str, *, bare: bool) -> None:
    assert is_bare_host(text) is bare
