"""The house's rules, each shown by code that breaks it and by code that does not."""

from pathlib import Path

import pytest

from tests.house import find_breaches


def _check(root: Path, name: str, text: str) -> list[str]:
    file = root / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return [*find_breaches(root)]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("controller/a.py", 'if event.action == "die":\n    pass\n', "a.py:1: Docker's event word"),
        ("api/informer/a.py", "x = 1\nENDS = {'destroy'}\n", "a.py:2: Docker's event word"),
        ("api/server/jobs/a.py", 'x = b"die"\n', "event word"),
        ("api/server/jobs/a.py", 'x = "start die destroy".split()\n', "event word"),
        ("api/engine/interface.py", 'DIE = "die"\n', "event word"),
        ("api/server/metrics.py", 'def f(x):\n    return x == "die"\n', "event word"),
        ("api/server/jobs/a.py", 'DIE = "die"\n', "event word"),
        ("controller/a.py", 'import_module("aiodocker")\n', "'aiodocker' above"),
        ("controller/a.py", 'import_module("aiodocker.docker")\n', "'aiodocker.docker' above"),
        ("controller/a.py", "x = 1\n" * 301, "301 lines"),
        ("hack/a.py", "x = 1\n" * 301, "301 lines"),
        ("api/a.css", "p { margin: 0; }\n" * 301, "301 lines"),
        ("api/a.py", "class JobPicture:\n    pass\n", "the word 'Picture'"),
        ("api/a.py", "from b import Holds\n", "the word 'Holds'"),
        ("api/a.py", "gatherer = acquaintance\n", "the word 'gatherer'"),
        ("api/a.py", "self._acquaintance = 1\n", "the word 'acquaintance'"),
        ("api/a.py", "KEYRING = 1\n", "the word 'KEYRING'"),
        ("api/a.py", "JobTally()\n", "the word 'Tally'"),
        ("api/a.py", "self._trials = 3\n", "the word 'trials'"),
        ("manifests/a.yaml", "# an Envelope\n", "the word 'Envelope'"),
        ("api/engine/a.py", '"""Create a container; see the port."""\n', "the word 'the port'"),
    ],
)
def test_a_breach_is_told(tmp_path: Path, name: str, text: str, told: str) -> None:
    (breach,) = _check(tmp_path, name, text)
    assert breach.startswith(name)
    assert told in breach


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("api/engine/docker/a.py", 'KINDS = {"die": 1, "destroy": 2}\nimport aiodocker\n'),
        ("api/server/metrics.py", 'DIE: Final = "die"\nDESCRIPTION = "create, start and die"\n'),
        ("api/server/a.py", '"""Reports every die event."""\nx = "they create, start and die"\n'),
        ("controller/a.py", "x = 1\n" * 300),
        ("tests/a.py", 'x = "die"\n' * 301),
        ("api/server/a.py", '"""The slot that it holds totally; the port to listen on."""\n'),
    ],
)
def test_what_is_allowed_is_no_breach(tmp_path: Path, name: str, text: str) -> None:
    assert _check(tmp_path, name, text) == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("api/v1/a.py", "import pydantic\n", "imports pydantic"),
        ("api/v1/a.py", "from api.engine import interface\n", "imports api.engine.interface"),
        ("api/v1/a.py", "from ..engine import interface\n", "imports api.engine.interface"),
        ("api/v1/a.py", "def f():\n    import sortedcontainers\n", "imports sortedcontainers"),
        ("api/v1/__init__.py", "import controller.plan\n", "imports controller.plan"),
        (
            "controller/planner.py",
            "from api.informer.merge import Observed\n",
            "api.informer.merge",
        ),
        (
            "controller/policy.py",
            "from controller import executor\n",
            "imports controller.executor",
        ),
        ("controller/ledger.py", "from . import executor\n", "imports controller.executor"),
        ("controller/plan.py", "import tenacity\n", "imports tenacity"),
        ("controller/job_index.py", "import api\n", "imports api,"),
    ],
)
def test_the_contract_and_the_planner_import_nothing_else(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    (breach,) = _check(tmp_path, name, text)
    assert told in breach


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("api/v1/a.py", "import re\nfrom collections.abc import Iterable\nfrom api.v1 import b\n"),
        ("api/v1/a.py", "from . import labels\nfrom .labels import NAME\nfrom api import v1\n"),
        (
            "controller/planner.py",
            "from controller import plan\nfrom controller.plan import Plan\n",
        ),
        ("controller/job_index.py", "import sortedcontainers\nfrom api.v1.job import Job\n"),
        ("controller/executor.py", "import tenacity\nfrom api.informer.informer import Informer\n"),
    ],
)
def test_they_may_import_their_own_room_and_the_standard_library(
    tmp_path: Path, name: str, text: str
) -> None:
    assert _check(tmp_path, name, text) == []
