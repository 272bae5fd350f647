"""Which engine the tests run on, and where engines differ: a test says so by version.

``PATH`` chooses the ``dockerd``; every private engine of a run is the same.
"""

import functools
import json
import os
import re
import subprocess
from collections.abc import Callable

Differs = Callable[[int, str], bool]
"""Takes a major version and a reason; tells whether the engine is of that version or newer.

The reason is counted as a known difference of the newer ones. Tried are 20.10, 26.1 and 28.5: a
difference since 26 may be as old as 23.
"""


@functools.cache
def read_engine_version() -> tuple[int, int]:
    """Return major and minor version of the ``dockerd`` that private engines run."""
    done = subprocess.run(
        ["dockerd", "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
    )
    found = re.search(r"version (\d+)\.(\d+)", done.stdout)
    assert found, done.stdout
    return int(found[1]), int(found[2])


def has_containerd_store() -> bool:
    """Tell whether private engines keep images with containerd: by default from 29 on."""
    features = json.loads(os.environ.get("ENGINE_OPTIONS", "{}")).get("features", {})
    return bool(features.get("containerd-snapshotter", read_engine_version()[0] >= 29))
