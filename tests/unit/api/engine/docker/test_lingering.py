"""What of a container's configuration holds more than its process does."""

import pytest

from api.engine.docker.decode import tell_lingering


@pytest.mark.parametrize(
    ("host", "networks", "mounts", "lingers"),
    [
        ({}, {}, [], False),
        ({"RestartPolicy": {"Name": "no"}}, {"bridge": None}, [{"Type": "bind"}], False),
        ({"PortBindings": {}}, {"mine": {"IPAMConfig": {}}}, [{"Driver": "local"}], False),
        ({"RestartPolicy": {"Name": "on-failure"}}, {}, [], True),
        ({"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, {}, [], True),
        ({"PublishAllPorts": True}, {}, [], True),
        ({}, {"mine": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}}}, [], True),
        ({}, {}, [{"Type": "bind"}, {"Type": "volume", "Driver": "block"}], True),
    ],
)
def test_what_holds_more_than_its_process_lingers(
    host: dict[str, object],
    networks: dict[str, dict[str, object] | None],
    mounts: list[dict[str, object]],
    lingers: bool,
) -> None:
    assert tell_lingering(host, networks, mounts) is lingers
