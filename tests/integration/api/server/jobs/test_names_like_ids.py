"""A name that is also the beginning of a container's id means the job of that name."""

import pytest

from tests.support.api import Api, manifest
from tests.support.private_engine import IMAGE, PrivateEngine


@pytest.mark.parametrize("length", [4, 12, 40, 63])
async def test_a_job_named_like_another_containers_id_is_found_at_once(
    api: Api, private_engine: PrivateEngine, length: int
) -> None:
    stranger = private_engine.docker("create", IMAGE, "true").stdout.strip()
    name = stranger[:length]
    try:
        assert (await api.get(f"/job/{name}")).code == 404
        posted = await api.post(manifest(name))
        assert posted.code == 201
        assert posted.body["uid"] != stranger
        seen = await api.get(f"/job/{name}")
        assert (seen.code, seen.body["uid"]) == (200, posted.body["uid"])
        again = await api.post(manifest(name))
        assert (again.code, again.body["sameDocument"]) == (200, True)
    finally:
        private_engine.docker("rm", "-f", stranger)


async def test_a_job_is_not_named_like_a_full_id(api: Api, private_engine: PrivateEngine) -> None:
    stranger = private_engine.docker("create", IMAGE, "true").stdout.strip()
    try:
        assert (await api.get(f"/job/{stranger}")).code == 404
        reply = await api.post(manifest(stranger))
        assert (reply.code, reply.body["error"]["reason"]) == (400, "InvalidName")
    finally:
        private_engine.docker("rm", "-f", stranger)
