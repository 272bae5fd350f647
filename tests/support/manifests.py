"""Manifests for admission's tests, and strategies that make any that the engine could misread."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import strategies as st

from api.server.admission.admit import AdmissionPolicy, Admitted, admit
from api.server.admission.create_schema import (
    MANIFEST,
    KnownKey,
    Leaf,
    ListOf,
    MapOf,
    Struct,
    ValueKind,
)
from api.server.admission.settings import Permissions, Profile
from api.server.http.problem import Problem

OLD = (1, 41)
NEW = (1, 51)


def make_manifest(**members: Any) -> dict[str, Any]:
    """Return the smallest good manifest with ``members`` set."""
    return {"Name": "job-1", "Image": "busybox:job"} | members


def make_host(**members: Any) -> dict[str, Any]:
    """Return a good manifest with ``members`` of HostConfig set."""
    return make_manifest(HostConfig=members)


def make_policy(profile: Profile = Profile.BASELINE, **allow: Any) -> AdmissionPolicy:
    """Return a policy with the permissions ``allow``, spelt as in a filter config."""
    return AdmissionPolicy(profile, Permissions.model_validate(allow))


def accept(manifest: object, policy: AdmissionPolicy, version: tuple[int, int] = NEW) -> Admitted:
    """Admit ``manifest``."""
    return admit(manifest, policy, api_version=version)


def refuse(manifest: object, policy: AdmissionPolicy, version: tuple[int, int] = NEW) -> Problem:
    """Return the refusal of ``manifest``."""
    with pytest.raises(Problem) as caught:
        admit(manifest, policy, api_version=version)
    return caught.value


def list_violations(problem: Problem) -> list[dict[str, str]]:
    """Return the violations of a refusal."""
    found: Any = problem.details["violations"]
    assert isinstance(found, list)
    return found


def list_rules(problem: Problem) -> set[tuple[str, str]]:
    """Return pointer and rule of each violation."""
    return {(found["pointer"], found["rule"]) for found in list_violations(problem)}


def fill(kind: ValueKind, choose: Callable[[KnownKey], bool]) -> Any:
    """Return a value with every key of ``kind`` that ``choose`` takes."""
    match kind:
        case Struct(fields):
            taken = {key: known for key, known in fields.items() if choose(known)}
            return {key: fill(known.kind, choose) for key, known in taken.items()}
        case ListOf(inner):
            return [fill(inner, choose)]
        case MapOf(inner):
            return {"key": fill(inner, choose)}
        case Leaf.TEXT:
            return "text"
        case Leaf.VARIABLE:
            return "NAME=value"
        case Leaf.FLAG:
            return True
        case Leaf.NOTHING:
            return {}
        case _:
            return 7


def find_stray_keys(kind: ValueKind, value: object, pointer: str = "") -> list[str]:
    """Return the pointers of all keys that are not letter for letter those of ``kind``."""
    if isinstance(kind, Struct) and isinstance(value, Mapping):
        strays = [f"{pointer}/{key}" for key in value if key not in kind.fields]
        for key, member in value.items():
            if key in kind.fields:
                strays += find_stray_keys(kind.fields[key].kind, member, f"{pointer}/{key}")
        return strays
    if isinstance(kind, ListOf) and isinstance(value, list):
        return [s for i in value for s in find_stray_keys(kind.kind, i, f"{pointer}/-")]
    if isinstance(kind, MapOf) and isinstance(value, Mapping):
        return [s for i in value.values() for s in find_stray_keys(kind.kind, i, f"{pointer}/*")]
    return [] if isinstance(kind, Leaf) else [f"{pointer}: {value!r}"]


_TEXTS = st.sampled_from(
    [
        *("", "host", "container:other", "private", "bind", "volume", "tmpfs", "image", "local"),
        *("/", "/srv/data", "/srv/data/../..", "/var/run/docker.sock", "/proc:/x", "data:/data"),
        *("/srv/data:/d:ro", "/:/host", "ALL", "always", "on-failure", "no-new-privileges"),
        *("seccomp=unconfined", "none", "json-file", "syslog", "1000", "0", "root", "A=b"),
    ]
)


def _misspell(key: str) -> list[str]:
    kelvin, long_s = "\u212a", "\u017f"
    return [
        key.lower(),
        key.upper(),
        key.swapcase(),
        key.replace("s", long_s, 1),
        key.replace("k", kelvin, 1).replace("K", kelvin, 1),
        key + " ",
        key[:-1],
    ]


def make_values(kind: ValueKind) -> st.SearchStrategy[Any]:
    """Return a strategy of values of ``kind``, right for the most part; keys are mostly known."""
    match kind:
        case Struct(fields):
            values = {key: make_values(known.kind) for key, known in fields.items()}
            right = st.fixed_dictionaries({}, optional=values)
            strays = {bad: value for key, value in values.items() for bad in _misspell(key)}
            if not strays:
                return right
            stray = st.sampled_from(sorted(strays)).flatmap(
                lambda key: st.fixed_dictionaries({key: strays[key]})
            )
            return st.one_of(right, right, right, st.builds(lambda a, b: a | b, right, stray))
        case ListOf(inner):
            return st.lists(make_values(inner), max_size=2)
        case MapOf(inner):
            return st.dictionaries(_TEXTS, make_values(inner), max_size=2)
        case Leaf.TEXT:
            return _TEXTS
        case Leaf.VARIABLE:
            return st.sampled_from(["A=b", "A="])
        case Leaf.FLAG:
            return st.booleans()
        case Leaf.NOTHING:
            return st.just({})
        case _:
            return st.integers(-2, 3)


MANIFESTS = make_values(MANIFEST)
