"""What a manifest leaves open is set: neither its image nor the engine's default decides."""

from typing import Any

import pytest

from api.server.admission.admit import AdmissionPolicy, admit
from api.server.admission.settings import Profile
from tests.support.manifests import make_host, make_manifest, make_policy

SECOND = 1_000_000_000
BOUNDED = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
JUDGED = [AdmissionPolicy(), make_policy(Profile.RESTRICTED, images=["**"])]


def make_body(
    manifest: dict[str, Any],
    policy: AdmissionPolicy,
    version: tuple[int, int] = (1, 51),
    log_driver: str = "json-file",
) -> dict[str, Any]:
    manifest = manifest | {"User": "1000"}
    return admit(manifest, policy, api_version=version, log_driver=log_driver).body


@pytest.mark.parametrize("policy", JUDGED)
def test_a_manifest_without_a_health_check_has_none_whatever_its_image_says(
    policy: AdmissionPolicy,
) -> None:
    assert make_body(make_manifest(), policy)["Healthcheck"] == {"Test": ["NONE"]}
    assert make_body(make_manifest(Healthcheck=None), policy)["Healthcheck"] == {"Test": ["NONE"]}


@pytest.mark.parametrize("policy", JUDGED)
@pytest.mark.parametrize("test", [["CMD", "true"], ["CMD-SHELL", "true"], [], None])
def test_no_time_of_a_health_check_comes_from_the_image(
    policy: AdmissionPolicy, test: list[str] | None
) -> None:
    manifest = make_manifest(Healthcheck={"Test": test, "Interval": 0, "Retries": 7})
    probe = make_body(manifest, policy)["Healthcheck"]
    times = {key: value for key, value in probe.items() if key != "Test"}
    assert times == {
        "Interval": 30 * SECOND,
        "Timeout": 30 * SECOND,
        "StartInterval": 5 * SECOND,
        "Retries": 7,
    }
    old = make_body(manifest, policy, (1, 43))["Healthcheck"]
    assert "StartInterval" not in old


def test_a_health_check_of_its_own_is_kept() -> None:
    times = {"Interval": 5 * SECOND, "Timeout": SECOND, "StartInterval": 6 * SECOND, "Retries": 1}
    probe = {"Test": ["CMD", "true"], "StartPeriod": 7 * SECOND, **times}
    assert make_body(make_manifest(Healthcheck=probe), JUDGED[0])["Healthcheck"] == probe
    none = {"Test": ["NONE"]}
    assert make_body(make_manifest(Healthcheck=none), JUDGED[0])["Healthcheck"] == none


@pytest.mark.parametrize("policy", JUDGED)
@pytest.mark.parametrize(
    ("manifest", "log_driver", "expected"),
    [
        (make_manifest(), "json-file", BOUNDED),
        (make_host(LogConfig={}), "json-file", BOUNDED),
        (make_host(LogConfig={"Type": "json-file"}), "journald", BOUNDED),
        (
            make_host(LogConfig={"Config": {"max-file": "1"}}),
            "json-file",
            {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "1"}},
        ),
        (
            make_host(LogConfig={"Type": "json-file", "Config": {"max-size": "1m"}}),
            "json-file",
            {"Type": "json-file", "Config": {"max-size": "1m"}},
        ),
        (make_manifest(), "journald", None),
        (make_manifest(), "local", None),
        (make_manifest(), "", None),
        (make_host(LogConfig={"Type": "none"}), "json-file", {"Type": "none"}),
        (make_host(LogConfig={"Type": "local"}), "json-file", {"Type": "local"}),
    ],
)
def test_only_a_log_without_bounds_gets_some(
    policy: AdmissionPolicy, manifest: dict[str, Any], log_driver: str, expected: object
) -> None:
    body = make_body(manifest, policy, log_driver=log_driver)
    assert body.get("HostConfig", {}).get("LogConfig") == expected


def test_privileged_leaves_open_what_a_manifest_leaves_open() -> None:
    body = make_body(make_manifest(), AdmissionPolicy(Profile.PRIVILEGED))
    assert body == {"Image": "busybox:job", "User": "1000"}
