"""On a real engine: a limit of time holds in images of busybox and of coreutils alike."""

import asyncio
import json
import re
import shutil
import subprocess
import tarfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.engine.docker.engine import DockerEngine
from api.server.admission.admit import AdmissionPolicy, admit
from api.server.filters.builtin import read_default
from api.server.filters.jq.program import JqProgram
from tests.support.filter_configs import MANIFESTS
from tests.support.private_engine import PrivateEngine

IMAGES = {"busybox": ["busybox"], "coreutils": ["timeout", "sleep", "dash"]}
LINKS = {"busybox": ["timeout", "sleep", "sh"], "dash": ["sh"]}
JOBS = {
    "one that sleeps": "exec sleep 60",
    "one that ignores TERM": "trap '' TERM; while :; do sleep 1; done",
}
KILLED_AFTER = 10.0


def make_image(programs: list[str]) -> bytes:
    """Return a tar of a root file system with programs of this machine and their libraries."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in programs:
            path = shutil.which(name)
            assert path is not None, name
            tar.add(Path(path).resolve(), f"bin/{name}")
            listed = subprocess.run(["ldd", path], check=False, capture_output=True, text=True)
            for library in re.findall(r"(/\S+) \(0x", listed.stdout):
                if library.lstrip("/") not in tar.getnames():
                    tar.add(Path(library).resolve(), library.lstrip("/"))
            for alias in LINKS.get(name, []):
                link = tarfile.TarInfo(f"bin/{alias}")
                link.type, link.linkname = tarfile.SYMTYPE, name
                tar.addfile(link)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def images(private_engine: PrivateEngine) -> PrivateEngine:
    for name, programs in IMAGES.items():
        private_engine.docker("import", "-", f"{name}:limits", stdin=make_image(programs))
    return private_engine


async def run(
    engine: DockerEngine, private: PrivateEngine, manifest: dict[str, Any]
) -> tuple[float, int]:
    """Run a job; return how many seconds it took and its exit code."""
    version = (await engine.info()).api_version
    admitted = admit(manifest, AdmissionPolicy(), api_version=version)
    uid = (await engine.create(admitted.name, admitted.body)).uid
    try:
        await engine.start(uid)
        began = time.monotonic()
        while (state := private.inspect(uid)["State"])["Status"] != "exited":
            assert time.monotonic() < began + 45, "the limit does not hold"
            await asyncio.sleep(0.2)
        return time.monotonic() - began, state["ExitCode"]
    finally:
        private.docker("rm", "-f", uid)


@pytest.mark.slow
@pytest.mark.parametrize(
    "image", ["busybox", pytest.param("coreutils", marks=pytest.mark.thorough)]
)
@pytest.mark.parametrize("job", JOBS)
async def test_the_built_in_filters_limit_ends_the_job(
    docker_engine: DockerEngine, images: PrivateEngine, namespace: str, image: str, job: str
) -> None:
    variables = {"JOB_TTL": "1", "JOB_RETRIES": "0", "JOB_IMAGE": f"{image}:limits"}
    program = JqProgram(read_default(), variables | {"JOB_COMMAND": "sh", "JOB_NETWORK": "none"})
    document = json.dumps({"args": ["-c", JOBS[job]], "id": namespace})
    [manifest] = program.run(document, "/job").values
    assert isinstance(manifest, dict)
    seconds, code = await run(docker_engine, images, manifest)
    assert code != 0
    assert (seconds > KILLED_AFTER) is ("ignores" in job)


@pytest.mark.slow
@pytest.mark.parametrize(
    "image", ["busybox", pytest.param("coreutils", marks=pytest.mark.thorough)]
)
async def test_the_shipped_limit_ends_a_job_that_ignores_term(
    docker_engine: DockerEngine, images: PrivateEngine, namespace: str, image: str
) -> None:
    config = yaml.safe_load((MANIFESTS / "retries.yaml").read_text())
    document = json.dumps({"month": "2026-03", "seconds": 1, "attempts": 1})
    [manifest] = JqProgram(config["spec"]["filter"], {}).run(document, "/job/report").values
    assert isinstance(manifest, dict)
    # only what the job is, not how it is ended
    manifest |= {"Name": namespace, "Image": f"{image}:limits"}
    manifest["Entrypoint"][-1] = "sh"
    manifest["Cmd"] = ["-c", JOBS["one that ignores TERM"]]
    manifest["HostConfig"] |= {"NetworkMode": "none", "Memory": 67108864}
    seconds, code = await run(docker_engine, images, manifest)
    assert seconds > KILLED_AFTER
    assert code != 0
