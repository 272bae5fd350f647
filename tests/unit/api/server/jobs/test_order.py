"""What the API knows of a job that it has just created."""

import pytest

from api.server.admission.settings import Profile
from api.server.filters.service import ConflictPolicy, PullPolicy
from api.server.jobs.order import Order, make_new_job
from api.v1.spec import JobSpec


@pytest.mark.parametrize(
    ("policy", "lingers"), [(None, False), ({}, False), ({"Name": "no"}, False)]
    + [({"Name": name}, True) for name in ("on-failure", "always", "unless-stopped")],
)  # fmt: skip
def test_only_a_restart_policy_has_the_engine_run_a_job_again(
    policy: dict[str, str] | None, lingers: bool
) -> None:
    host = {} if policy is None else {"HostConfig": {"RestartPolicy": policy}}
    order = Order(
        "job",
        None,
        {"Image": "image", **host},
        JobSpec("/job"),
        PullPolicy.NEVER,
        ConflictPolicy.REFUSE,
        Profile.BASELINE,
    )
    job = make_new_job("uid", order, "ns", 7)
    assert (job.lingers, job.told, job.made, job.is_pending) == (lingers, True, True, True)
    assert (job.id, job.uid, job.spec, job.order) == ("job", "uid", JobSpec("/job"), 7)
