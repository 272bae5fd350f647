"""What an image hands on to its containers is bounded together with the manifest's own."""

from typing import Any

import pytest

from api.server.admission.inherited import measure_image, refuse_inherited
from api.server.admission.settings import Profile
from api.server.http.problem import Problem
from tests.support.manifests import list_violations

KIB = 1 << 10


def judge(
    config: dict[str, Any], body: dict[str, Any] | None = None, profile: Profile = Profile.BASELINE
) -> tuple[int, str] | None:
    try:
        refuse_inherited(measure_image(config), body or {}, profile)
    except Problem as problem:
        [found] = list_violations(problem)
        assert found["pointer"] == "/Image"
        return problem.code, found["message"]
    return None


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize(
    ("config", "body", "name"),
    [
        ({"Labels": {"a": "x" * (17 * KIB)}}, {}, "labels"),
        ({"Labels": {"a": "x" * (9 * KIB)}}, {"Labels": {"b": "x" * (8 * KIB)}}, "labels"),
        ({"Labels": {f"{i:07}": "" for i in range(2000)}}, {}, "labels"),
        ({"Cmd": ["x" * (33 * KIB)]}, {}, "Entrypoint and Cmd"),
        ({"Entrypoint": ["x" * (33 * KIB)]}, {"Cmd": ["true"]}, "Entrypoint and Cmd"),
        ({"Entrypoint": ["x" * (20 * KIB)], "Cmd": ["x" * (20 * KIB)]}, {}, "Entrypoint and Cmd"),
        ({"Env": ["A=" + "x" * (257 * KIB)]}, {}, "variables"),
        ({"Env": ["A=" + "x" * (200 * KIB)]}, {"Env": ["B=" + "x" * (60 * KIB)]}, "variables"),
        ({"User": "x" * 900_000}, {}, "User"),
        ({"WorkingDir": "/" + "x" * 5000}, {}, "WorkingDir"),
        ({"StopSignal": "x" * 65}, {}, "StopSignal"),
        ({"Volumes": {f"/{i}": {} for i in range(101)}}, {"Volumes": {"/a": {}}}, "Volumes"),
        ({"ExposedPorts": {f"{i}/tcp": {} for i in range(1001)}}, {}, "ExposedPorts"),
        ({"ExposedPorts": {"x" * 70_000: {}}}, {}, "volumes and ports"),
    ],
)
def test_too_much_of_an_image_is_refused_under_every_profile(
    config: dict[str, Any], body: dict[str, Any], name: str, profile: Profile
) -> None:
    refused = judge(config, body, profile)
    assert refused is not None
    assert refused[0] == 400
    assert f"its {name}" in refused[1]


@pytest.mark.parametrize(
    ("config", "body"),
    [
        ({}, {}),
        ({"Labels": None, "Cmd": None, "Env": None, "Entrypoint": None, "Volumes": None}, {}),
        ({"Labels": {"a": "x" * (7 * KIB)}}, {"Labels": {"b": "x" * (8 * KIB)}}),
        # ours are no part of the bound, and an image without labels takes nothing of it
        ({}, {"Labels": {"b": "x" * (16 * KIB - 3), "docker-job-dispatcher.name": "job"}}),
        ({"Cmd": ["x" * (33 * KIB)]}, {"Cmd": ["true"]}),
        ({"Cmd": ["x" * (33 * KIB)]}, {"Entrypoint": ["true"]}),
        ({"Entrypoint": ["x" * (33 * KIB)]}, {"Entrypoint": ["true"]}),
        ({"User": "x" * 600, "WorkingDir": "/proc"}, {"User": "1000", "WorkingDir": "/tmp"}),
        ({"Env": ["PATH=/bin", "ODD"], "WorkingDir": "/srv", "User": "nobody"}, {}),
    ],
)
def test_what_fits_or_the_manifest_replaces_is_taken(
    config: dict[str, Any], body: dict[str, Any]
) -> None:
    assert judge(config, body) is None


def test_an_images_working_directory_is_judged_like_the_manifests() -> None:
    config = {"WorkingDir": "/proc/self/fd/8"}
    refused = judge(config)
    assert refused is not None
    assert refused[0] == 403
    assert judge(config, {"WorkingDir": "/tmp"}) is None
    assert judge(config, profile=Profile.PRIVILEGED) is None


@pytest.mark.parametrize("option", ["env", "env-regex", "labels", "labels-regex"])
def test_what_log_options_copy_of_an_image_counts(option: str) -> None:
    body = {"HostConfig": {"LogConfig": {"Config": {option: "a"}}}}
    for config in ({"Env": ["A=" + "x" * 4096]}, {"Labels": {"a": "x" * 4096}}):
        refused = judge(config, body)
        assert refused is not None
        assert refused[0] == 403
        assert judge(config) is None
        assert judge(config, body, Profile.PRIVILEGED) is None
    assert judge({"Env": ["A=" + "x" * 4000]}, body) is None
