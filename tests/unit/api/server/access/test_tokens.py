"""Which tokens a file lists, and what each allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.server.access.tokens import ANYTHING, Act, Grant, TokenFileError, parse_tokens

A, B, C, D = ("a" * 20, "b" * 20, "c" * 20, "d" * 20)


def test_a_line_is_a_token_then_acts_then_paths() -> None:
    tokens = parse_tokens(
        f"# who asks\n{A}\n\n{B} read   # the scraper\n  {C} read,post /job/a /job/b/c\n"
        f"{D} /metrics\n".encode()
    )
    assert tokens.identify(A.encode()) == ANYTHING
    assert tokens.identify(B.encode()) == Grant(frozenset({Act.READ}))
    assert tokens.identify(C.encode()) == Grant(paths=("/job/a", "/job/b/c"))
    assert tokens.identify(D.encode()) == Grant(paths=("/metrics",))


@pytest.mark.parametrize(
    "token",
    [b"", b"a" * 19, b"a" * 21, b"A" * 20, A.encode() + b"\xff", b"\xff\xfe", b"#", b"read"],
)
def test_a_token_that_is_not_listed_is_nobodys(token: bytes) -> None:
    assert parse_tokens(f"{A}\n{B} read\n".encode()).identify(token) is None


def test_the_text_of_tokens_is_not_kept() -> None:
    assert A not in repr(parse_tokens(A.encode()))


def test_an_empty_file_lets_nobody_in() -> None:
    assert parse_tokens(b"# nobody\n\n").identify(b"") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"short", "line 1: a token is 16"),
        (f"{A}\n{B}!".encode(), "line 2: a token is 16"),
        (f"{A}\n# fine\n{A} read".encode(), "line 3: the token stands in an earlier line"),
        (f"{A} write".encode(), "line 1: after the token come"),
        (f"{A} read,".encode(), "line 1: after the token come"),
        (f"{A} read post".encode(), "line 1: path 1 must"),
        (f"{A} read /job/".encode(), "line 1: path 1 must"),
        (f"{A} /job //job".encode(), "line 1: path 2 must"),
        (f"{A} /job/../x".encode(), "line 1: path 1 must"),
        (f"{A}\n{B}é".encode(), "line 2: not ASCII"),
        (A.encode("utf-16"), "line 1: not ASCII"),
    ],
)
def test_a_fault_names_its_line_and_no_token(content: bytes, message: str) -> None:
    with pytest.raises(TokenFileError, match=message) as caught:
        parse_tokens(content)
    assert A not in str(caught.value)
    assert B not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_content_is_tokens_or_a_fault(content: bytes) -> None:
    try:
        tokens = parse_tokens(content)
    except TokenFileError as error:
        assert str(error).startswith("line ")  # noqa: PT017 - either is right
    else:
        assert tokens.identify(b"") is None


def test_a_token_for_a_path_covers_what_lies_below_and_nothing_else() -> None:
    grant = Grant(paths=("/job/thumbnails",))
    for path in ("/job/thumbnails", "/job/thumbnails/small", "/job/thumbnails/a b"):
        assert grant.covers(path)
        assert grant.may_read(path)
    for path in (
        "/job",
        "/job/thumbnails2",
        "/job/thumbnail",
        "/job/Thumbnails",
        "/job/thumbnails/../secret",
        "/job/thumbnails/./x",
        "/job/thumbnails//x",
        "/job/thumbnails/a\0b",
        "/metrics",
        "",
    ):
        assert not grant.covers(path)
        assert not grant.may_read(path)


def test_a_job_of_the_original_counts_as_posted_to_the_root() -> None:
    assert Grant(paths=("/job",)).may_read("")
    assert not Grant(paths=("/job/a",)).may_read("")
    assert ANYTHING.may_read("")


@pytest.mark.parametrize("act", list(Act))
def test_a_token_that_only_posts_reads_nothing(act: Act) -> None:
    assert Grant(frozenset({act})).may_read("/job/a") is (act is Act.READ)
