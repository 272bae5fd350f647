"""Which cookies are sessions: ours, of a token in force, within their time, and no others."""

import ssl
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from api.server.access import identity
from api.server.access.identity import identify, is_still_granted
from api.server.access.session_handlers import _set_cookie
from api.server.access.sessions import LIFETIME, NAME, find_cookies, recall, spell_session
from api.server.access.token_store import TokenStore
from api.server.access.tokens import Act, Grant, parse_tokens, refer

A, B = "a" * 20, "b" * 20
NOW = 1_767_268_800.25
DIGEST, OTHER = (sha256(token.encode()).digest() for token in (A, B))
TOKENS = parse_tokens(f"{A} read /job/a\n{B}\n".encode())
COOKIE = spell_session(DIGEST, NOW)
ARABIC = {48 + digit: 0x660 + digit for digit in range(10)}
VERSION, REFERENCE, EXPIRY, SIGNATURE = COOKIE.split(".")


def test_a_session_is_its_tokens_and_allows_what_that_does() -> None:
    assert recall(COOKIE, TOKENS, NOW) == (DIGEST, Grant(frozenset({Act.READ}), ("/job/a",)))
    assert recall(COOKIE, parse_tokens(f"{A} post".encode()), NOW) == (
        DIGEST,
        Grant(frozenset({Act.POST})),
    )


def test_a_cookie_holds_neither_the_token_nor_its_digest() -> None:
    assert A not in COOKIE
    assert DIGEST.hex() not in COOKIE
    assert len(COOKIE) < 128


@pytest.mark.parametrize("file", ["", B, A.upper(), A + "a"])
def test_a_session_ends_with_its_token(file: str) -> None:
    assert recall(COOKIE, parse_tokens(file.encode()), NOW) is None


@pytest.mark.parametrize(
    ("after", "is_session"),
    [
        (0, True),
        (LIFETIME - 1, True),
        (LIFETIME, False),
        (10 * LIFETIME, False),
        (-30, True),
        # the clock was wrong at the login by more than that
        (-90, False),
        (-LIFETIME, False),
    ],
)
def test_a_session_lasts_for_half_a_day(after: float, *, is_session: bool) -> None:
    assert (recall(COOKIE, TOKENS, NOW + after) is not None) is is_session


def join(*parts: str) -> str:
    return ".".join(parts)


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        ".",
        "...",
        A,
        DIGEST.hex(),
        REFERENCE,
        join(VERSION, REFERENCE, EXPIRY),
        join(VERSION, REFERENCE, EXPIRY, ""),
        join(VERSION, REFERENCE, EXPIRY, "0" * 64),
        join(VERSION, REFERENCE, EXPIRY, SIGNATURE[:-1]),
        join(VERSION, REFERENCE, EXPIRY, SIGNATURE.upper()),
        join(VERSION, REFERENCE, EXPIRY, SIGNATURE, SIGNATURE),
        # another time, another token, another's signature
        join(VERSION, REFERENCE, str(int(EXPIRY) + 1), SIGNATURE),
        join(VERSION, REFERENCE, "0" + EXPIRY, SIGNATURE),
        join(VERSION, REFERENCE, "9999999999", SIGNATURE),
        join(VERSION, refer(OTHER), EXPIRY, SIGNATURE),
        join(VERSION, REFERENCE, EXPIRY, spell_session(OTHER, NOW).rpartition(".")[2]),
        # of a token that is nobody's, signed with what stands for its key
        spell_session(bytes(32), NOW),
        join("0", REFERENCE, EXPIRY, SIGNATURE),
        join("", REFERENCE, EXPIRY, SIGNATURE),
        # spellings that a reader may take for the same
        COOKIE + "\n",
        COOKIE + " ",
        COOKIE + "\x00",
        f'"{COOKIE}"',
        COOKIE.replace(".", "%2E"),
        COOKIE.replace("1", "\u0661", 1),
        join(
            VERSION, REFERENCE, EXPIRY.translate({48 + n: 0x660 + n for n in range(10)}), "0" * 64
        ),
        COOKIE[:-1] + "\udcff",
        COOKIE + "é",
        COOKIE * 1000,
    ],
)
def test_nothing_else_is_a_session(cookie: str) -> None:
    assert recall(cookie, TOKENS, NOW) is None


def test_no_character_of_a_session_can_be_changed() -> None:
    for place, was in enumerate(COOKIE):
        for character in {*"01.af/:g ", "\u0660"} - {was}:
            assert recall(COOKIE[:place] + character + COOKIE[place + 1 :], TOKENS, NOW) is None


def test_of_many_tokens_the_session_is_of_one() -> None:
    names = [f"{number:020d}" for number in range(100)]
    tokens = parse_tokens("\n".join(f"{name} read /job/{name}" for name in names).encode())
    for name in names:
        found = recall(spell_session(sha256(name.encode()).digest(), NOW), tokens, NOW)
        assert found is not None
        assert found[1].paths == (f"/job/{name}",)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], []),
        (["a=b"], []),
        ([f"{NAME}=x"], ["x"]),
        ([f"a=b;{NAME} = x ;c=d"], ["x"]),
        ([f"{NAME}=x; {NAME}=y"], ["x", "y"]),
        ([f"{NAME}=x", f"{NAME}=x"], ["x", "x"]),
        ([f"{NAME}=x=y"], ["x=y"]),
        ([f"{NAME}"], [""]),
        ([f"{NAME}="], [""]),
        ([f'{NAME}="x"'], ['"x"']),
        ([f"{NAME}x=y; x{NAME}=y; {NAME.upper()}=y; a={NAME}"], []),
        ([f"$Version=1, {NAME}=x"], []),
        ([";;;=;=;"], []),
    ],
)
def test_every_cookie_of_the_sessions_name_is_found(headers: list[str], found: list[str]) -> None:
    assert find_cookies(headers) == found


def test_what_goes_on_is_told_when_its_session_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokens").write_text(A)
    now = NOW
    monkeypatch.setattr(identity, "time", lambda: now)
    request = make_mocked_request("GET", "/events", headers={"Cookie": f"{NAME}={COOKIE}"})
    identify(request, TokenStore(tmp_path / "tokens"))
    assert is_still_granted(request)
    now = NOW + LIFETIME
    assert not is_still_granted(request)


@pytest.mark.parametrize(
    ("context", "headers", "is_secure"),
    [
        (None, {}, False),
        (None, {"Origin": "http://localhost"}, False),
        (None, {"Origin": "https://jobs.example"}, True),
        # whoever has no TLS may say what it likes here
        (None, {"X-Forwarded-Proto": "https"}, False),
        (ssl.create_default_context(), {}, True),
    ],
)
def test_what_came_by_tls_is_sent_by_tls_alone(
    context: ssl.SSLContext | None, headers: dict[str, str], *, is_secure: bool
) -> None:
    request = make_mocked_request("POST", "/ui/login", headers=headers, sslcontext=context)
    response = web.Response()
    _set_cookie(response, request, COOKIE, LIFETIME)
    assert bool(response.cookies[NAME]["secure"]) is is_secure
