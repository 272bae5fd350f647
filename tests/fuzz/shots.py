"""Requests of our own making: manifests that the engine could misread, bodies, paths, headers."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from api.server.admission.create_schema import MANIFEST, Struct
from tests.fuzz.hostile_manifests import HOSTILE, NUMBERS
from tests.support.manifests import MANIFESTS, make_values
from tests.support.private_engine import IMAGE

MANIFEST_PATH = "/job/manifest"
"""Where a filter takes the document for the manifest, under ``baseline``."""
RESTRICTED_PATH = "/job/restricted"
"""The same under ``restricted``."""
EXISTING_PATH = "/job/existing"
"""The same under ``baseline`` with ``onConflict: existing``."""

WAITING = "fuzz-waits"
"""A job that is there all the time, and waits."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One request; ``target`` is what stands in the request line."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict, hash=False)
    body: bytes | None = None


def _post(target: str, body: bytes, headers: dict[str, str] | None = None) -> Shot:
    return Shot("POST", target, {"Content-Type": "application/json"} | (headers or {}), body)


def _list_parts() -> st.SearchStrategy[dict[str, Any]]:
    """Return one or two members of a host config: a whole one is hardly ever admitted."""
    host = MANIFEST.fields["HostConfig"].kind
    assert isinstance(host, Struct)

    def take(keys: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({key: make_values(host.fields[key].kind) for key in keys})

    return st.lists(st.sampled_from(sorted(host.fields)), max_size=2, unique=True).flatmap(take)


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()


_NAMED = {"Name": "fuzz-job", "Image": IMAGE, "Cmd": ["true"], "User": "1000"}
_MANIFEST_BODIES = st.one_of(
    MANIFESTS.map(_dump),
    MANIFESTS.map(lambda made: _dump(made | _NAMED)),
    _list_parts().map(lambda host: _dump(_NAMED | {"HostConfig": host})),
    _list_parts().map(lambda host: _dump(_NAMED | {"HostConfig": host})),
    HOSTILE.map(_dump),
    HOSTILE.map(_dump),
    HOSTILE.map(_dump),
    NUMBERS.map(lambda number: _dump(_NAMED)[:-1] + b', "StopTimeout": ' + number + b"}"),
)

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
_BODIES = st.one_of(
    _VALUES.map(_dump),
    st.builds(lambda args, name: _dump({"args": args, "id": name}), _VALUES, _VALUES),
    NUMBERS.map(lambda number: b'{"args": [], "id": ' + number + b"}"),
    st.binary(max_size=200),
    st.text(max_size=50).map(lambda text: text.encode("utf-16")),
    st.builds(lambda depth, end: b"[" * depth + end, st.integers(0, 100_000), st.just(b"1")),
    st.sampled_from(
        [
            *(b"NaN", b"-Infinity", b"1e999", b"9007199254740993", b"1" * 5000, b"", b" "),
            *(b'{"a":1,"a":2}', b'"\\ud800"', b'"\\u0000"', b"\xef\xbb\xbf{}", b'{"args":'),
            b'{"a":' * 5000 + b"1" + b"}" * 5000,
            b"[" + b"{}," * 60_000 + b"{}]",
            b"[" + b"{}," * 49_000 + b"{}]",
            b"[" + b"1e300," * 170_000 + b"0]",
            b"[" + b"0," * 520_000 + b"0]",
            b'"' + b"x" * (1 << 20) + b'"',
        ]
    ),
)

_PIECES = st.sampled_from(
    [
        *("job", "manifest", "x", "..", ".", "", "%2f", "%2F", "%2e%2e", "%00", "%0a", "%0d%0a"),
        *("%", "%zz", "%ff", "%e2%80%ae", "%20", "a%5cb", ";", "*", "^job.a$", "images", "json"),
        *("é".encode().hex("%"), "a" * 300, "0123456789ab", "-x", "fuzz-job", "live", "page.js"),
        *(WAITING, "default", "etl"),
        *("0f" * 32, "existing", "%1b%5b2J", "e3b0c44298fc"),
    ]
)
_QUERIES = st.sampled_from(
    [
        *("", "", "", "?dryRun=true", "?dryRun=yes", "?dryrun=true", "?", "?a", "?wait=0"),
        *("?wait=0.01", "?wait=301", "?wait=%00", "?limit=1000", "?limit=0", "?limit=1&limit=2"),
        *("?continue=x", "?continue=n1-ff-00000000", "?phase=Failed&order=oldest", "?label=%ff"),
        *("?label==", "?path=/job/%2e%2e", "?since=1d&until=0", "?since=9999999d", "?after=0000-1"),
        *("?after=x", "?snapshot=false", "?since=9999-12-31T23:59:59Z", "?queue=%0a"),
    ]
)
_CANCELS = st.builds(
    lambda target, parts: f"{target}?{'&'.join(parts)}",
    st.sampled_from(["/job", f"/job/{WAITING}", "/job/nobody", f"/job/{WAITING}/log", "/job/"]),
    st.lists(
        st.sampled_from(
            [
                *("grace=1", "grace=1.5", "grace=0", "grace=1d", "grace=2d", "grace=-1", "grace="),
                *("purge=true", "purge=1", "why=x", "why=%00", "why=%e2%80%ae", "why=" + "a" * 257),
                *("wait=0.01", "wait=301", "dryRun=true", "dryRun=yes", "phase=Pending", "queue="),
                *("phase=Failed", "path=/job", "queue=default", "label=a", "since=1d", "limit=1"),
            ]
        ),
        max_size=3,
    ),
)
_TARGETS = st.builds(
    lambda root, pieces, query: root + "".join("/" + piece for piece in pieces) + query,
    st.sampled_from(
        [
            *("/job", "/job", "/health", "/docs", "", "/metrics", "/openapi.json", "/events"),
            *("/queue", "/ui", "/ui/session", "/ui/login", "/ui/logout", "/ui/slots"),
        ]
    ),
    st.lists(_PIECES, max_size=4),
    _QUERIES,
).map(lambda target: target if target.startswith("/") else f"/{target}")

_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("Content-Type", "Content-Encoding", "Origin", "Accept", "X-Request-Id"),
            *("Authorization", "Expect", "X-Forwarded-For", "Cookie", "Accept-Encoding"),
            *("Last-Event-ID", "X-Requested-With"),
        ]
    ),
    st.sampled_from(
        [
            *("application/json", "text/plain", "application/json; charset=utf-16", "gzip"),
            *("identity", "http://evil.example", "null", "*/*", "a" * 100, "Bearer x"),
            *("application/openmetrics-text", "multipart/form-data; boundary=x", "%00", ""),
            *(
                "text/event-stream",
                "0000-1",
                "djd-ui",
                "djd-session=",
                "djd-session=1.x; djd-session",
            ),
        ]
    ),
    max_size=3,
)

SHOTS: st.SearchStrategy[Shot] = st.one_of(
    st.builds(_post, st.just(MANIFEST_PATH), _MANIFEST_BODIES),
    st.builds(_post, st.just(RESTRICTED_PATH), _MANIFEST_BODIES),
    st.builds(_post, st.just(MANIFEST_PATH + "?dryRun=true"), _MANIFEST_BODIES),
    st.builds(_post, st.just(EXISTING_PATH), _MANIFEST_BODIES),
    st.builds(_post, st.just("/job"), _BODIES),
    st.builds(_post, _TARGETS, _BODIES, _HEADERS),
    st.builds(
        _post,
        st.just("/ui/login"),
        _BODIES | _VALUES.map(lambda token: _dump({"token": token})),
        _HEADERS,
    ),
    st.builds(Shot, st.just("DELETE"), _CANCELS),
    st.builds(
        Shot,
        st.sampled_from(["GET", "GET", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "X"]),
        _TARGETS,
        _HEADERS,
    ),
)
