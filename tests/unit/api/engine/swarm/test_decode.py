"""What a service and its tasks say of a job: one row for each way that a job can be."""

import pytest

from api.engine.swarm.labels import (
    END,
    LOSS,
    STOP,
    End,
    Loss,
    Stop,
    encode_end,
    encode_loss,
    encode_stop,
)
from api.engine.swarm.services import read_service
from api.engine.swarm.tasks import Beginnings
from api.v1.condition import derive_condition
from api.v1.job import Job, Phase, Reason, Status
from api.v1.labels import NAME
from api.v1.spec import JobSpec
from api.v1.wishes import NodeLoss, Wishes
from tests.unit.api.engine.swarm.scenes import (
    BEGIN,
    DOWN,
    NAMESPACE,
    SECOND,
    TASK,
    judge,
    make_service_data,
    make_service_of,
    make_task,
)

RERUN = JobSpec(wishes=Wishes(on_node_loss=NodeLoss.RERUN))
NO_PROGRAM = "starting container failed: failed to create shim task: no such file or directory"
RETRIES = {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}}


def tell(job: Job) -> tuple[Phase, Reason | None, str]:
    """Return what people are shown of a job."""
    condition = derive_condition(job, BEGIN)
    return condition.phase, condition.reason, condition.message


def at(seconds: float) -> int:
    return BEGIN + round(seconds * SECOND)


def test_what_was_recorded_waits() -> None:
    job = judge(make_service_of(replicas=0, start=0))
    assert (job.status, job.is_pending, job.created, job.error) == (Status.CREATED, True, BEGIN, "")
    assert (job.exact, job.made, job.detailed, job.lingers) == (True, True, True, False)


def test_what_was_told_to_start_starts_before_it_has_a_task() -> None:
    job = judge(make_service_of())
    assert (job.status, job.is_pending, job.started) == (Status.STARTING, False, False)
    assert tell(job)[:2] == (Phase.PENDING, Reason.SCHEDULING)


@pytest.mark.parametrize("state", ["new", "pending", "assigned", "preparing", "ready", "starting"])
def test_what_no_node_runs_yet_starts(state: str) -> None:
    job = judge(make_service_of(), make_task(state))
    assert (job.status, job.started, job.started_at) == (Status.STARTING, False, None)


def test_what_no_node_takes_says_why() -> None:
    why = "no suitable node (insufficient resources on 3 nodes)"
    job = judge(make_service_of(), make_task("pending", error=why))
    assert tell(job) == (Phase.PENDING, Reason.SCHEDULING, why)


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [
        ("rejected", "No such image: none:such", None),
        ("failed", NO_PROGRAM, 127),
        ("shutdown", "", None),
    ],
)
def test_what_could_not_be_started_waits_again_with_its_error(
    state: str, error: str, code: int | None
) -> None:
    task = make_task(state, error=error, code=code, desired="shutdown", has_container=bool(code))
    job = judge(make_service_of(), task)
    assert (job.status, job.is_pending, job.exit_code) == (Status.CREATED, True, None)
    assert error in job.error
    assert tell(job)[:2] == (Phase.PENDING, Reason.START_ERROR)


def test_what_is_started_again_starts_while_only_its_last_task_is_there() -> None:
    """Else it would be started once more, and run twice."""
    before = make_task("rejected", error="No such image: none:such", desired="shutdown")
    job = judge(make_service_of(start=2), before)
    assert (job.status, job.error) == (Status.STARTING, "")


def test_what_runs_has_the_time_at_which_it_began() -> None:
    job = judge(make_service_of(), make_task("running", at=4))
    assert (job.status, job.started, job.started_at) == (Status.RUNNING, True, at(4))


@pytest.mark.parametrize(
    ("state", "error", "code", "shown"),
    [
        ("complete", "", 0, (Phase.SUCCEEDED, None, "")),
        ("failed", "task: non-zero exit (3)", 3, (Phase.FAILED, Reason.ERROR, "exited 3")),
        (
            "failed",
            "task: non-zero exit (137): unhealthy container",
            137,
            (Phase.FAILED, Reason.ERROR, "exited 137, unhealthy container"),
        ),
    ],
)
@pytest.mark.parametrize("desired", ["running", "shutdown"])
def test_what_ran_has_ended(
    state: str, error: str, code: int, shown: tuple[Phase, Reason | None, str], desired: str
) -> None:
    ran = make_task("running", at=4)
    over = make_task(state, error=error, code=code, desired=desired, at=6)
    job = judge(make_service_of(), over, before=[ran])
    assert (job.status, job.started_at, job.finished_at) == (Status.EXITED, at(4), at(6))
    assert tell(job) == shown


def test_a_health_check_that_fails_ends_a_job_that_ran() -> None:
    """Its task was never "running": a swarm calls it so when it is healthy."""
    error = "task: non-zero exit (3)"
    job = judge(make_service_of(), make_task("failed", error=error, code=3, message="starting"))
    assert (job.status, job.started, job.exit_code) == (Status.EXITED, True, 3)


def test_the_beginning_of_a_short_run_is_what_was_seen_last_before() -> None:
    over = make_task("complete", at=6)
    assert judge(make_service_of(), over).started_at is None
    assert judge(make_service_of(), over, before=[make_task("pending", at=1)]).started_at == at(3)
    assert judge(make_service_of(), over, before=[make_task("starting", at=5)]).started_at == at(5)
    # by another clock than the node's it was seen later than it ended
    early = make_task("complete", at=2)
    assert judge(make_service_of(), early, before=[make_task("pending")]).started_at == at(2)


def test_a_late_answer_does_not_move_the_beginning_of_a_run_that_is_over() -> None:
    """Else it looks as if somebody had run it again."""
    beginnings = Beginnings(iter([at(3), at(8)]).__next__)
    over = make_task("complete", at=9)
    beginnings.note(make_task("pending"))
    assert beginnings.find(over) == at(3)
    beginnings.note(make_task("pending"))
    assert beginnings.find(over) == at(3)


def test_a_stop_under_way_does_not_move_the_beginning() -> None:
    first, later = make_task("running", at=4), make_task("running", at=9, desired="remove")
    assert judge(make_service_of(), later, before=[first]).started_at == at(4)


def test_a_label_tells_of_the_end_whatever_the_tasks_say() -> None:
    end = End(3, at(4), at(6), node="node-2")
    service = make_service_of(labels={END: encode_end(end)})
    for tasks in ([], [make_task("running")], [make_task("complete")]):
        job = judge(service, *tasks)
        assert (job.status, job.exit_code, job.finished_at) == (Status.EXITED, 3, at(6))


# Lost nodes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["assigned", "preparing", "starting", "running"])
def test_what_its_node_had_when_it_was_lost_may_have_run(state: str) -> None:
    job = judge(make_service_of(), make_task(state, desired="shutdown"), nodes=DOWN)
    assert (job.status, job.lost, job.exit_code) == (Status.EXITED, True, None)
    assert tell(job) == (Phase.FAILED, Reason.NODE_LOST, "node node-2 was lost")
    assert job.started_at == (at(5) if state == "running" else None)


def test_a_node_that_is_removed_is_lost() -> None:
    assert judge(make_service_of(), make_task("running", desired="shutdown"), nodes={}).lost
    assert judge(make_service_of(), make_task("orphaned", desired="shutdown")).lost


def test_what_is_taken_from_a_node_that_answers_runs_until_it_has_ended() -> None:
    job = judge(make_service_of(), make_task("running", desired="shutdown"))
    assert (job.status, job.lost) == (Status.RUNNING, False)


def test_what_a_drain_has_ended_failed_with_its_code() -> None:
    job = judge(make_service_of(), make_task("shutdown", desired="shutdown", code=143))
    assert (job.status, job.lost, job.exit_code) == (Status.EXITED, False, 143)
    assert "its node was drained" in job.error


@pytest.mark.parametrize("state", ["running", "shutdown"])
def test_what_wishes_so_waits_again_when_its_run_was_lost(state: str) -> None:
    job = judge(make_service_of(spec=RERUN), make_task(state, desired="shutdown"), nodes=DOWN)
    assert (job.is_pending, job.lost, job.rerun) == (True, True, 1)
    assert tell(job)[:2] == (Phase.PENDING, Reason.NODE_LOST)


def test_what_was_lost_waits_though_its_node_is_back() -> None:
    """The loss is noted: that the old run goes on, or ends, is no news of the job."""
    loss = {LOSS: encode_loss(Loss(1, TASK, "node node-2 was lost"))}
    service = make_service_of(spec=RERUN, labels=loss)
    for state in ("running", "complete", "shutdown"):
        job = judge(service, make_task(state, desired="shutdown"))
        assert (job.is_pending, job.lost, job.rerun) == (True, True, 1)


def test_a_second_loss_is_counted() -> None:
    loss = {LOSS: encode_loss(Loss(1, "another", ""))}
    again = make_task("running", desired="shutdown", start=2)
    service = make_service_of(spec=RERUN, labels=loss, start=2)
    assert judge(service, again, nodes=DOWN).rerun == 2
    assert judge(service, make_task("running", start=2)).rerun == 1


@pytest.mark.parametrize("desired", ["running", "shutdown"])
def test_what_its_node_may_not_run_any_more_has_run(desired: str) -> None:
    """A node that loses a label that its tasks ask for: they are "rejected", and were running."""
    why = "assigned node no longer meets constraints"
    taken = make_task("rejected", desired=desired, error=why, code=0, has_container=True)
    job = judge(make_service_of(), taken)
    assert (job.status, job.lost, job.exit_code) == (Status.EXITED, True, None)
    assert tell(job) == (Phase.FAILED, Reason.NODE_LOST, f"the swarm has ended it: {why}")
    job = judge(make_service_of(spec=RERUN), taken)
    assert (job.is_pending, job.lost, job.rerun) == (True, True, 1)


def test_what_its_node_may_not_run_any_more_may_have_run_before_its_container_is_known() -> None:
    why = "assigned node no longer meets constraints"
    taken = make_task("rejected", desired="shutdown", error=why, has_container=False)
    job = judge(make_service_of(), taken)
    assert (job.status, job.lost, job.started_at) == (Status.EXITED, True, None)
    assert judge(make_service_of(spec=RERUN), taken).rerun == 1
    refused = make_task("rejected", error="No such image: busybox:job", has_container=False)
    assert judge(make_service_of(), refused).is_pending


def test_what_a_restarted_node_has_lost_has_not_succeeded() -> None:
    """Seen after a restart that took a job along: its task has failed, with an exit code of 0."""
    why = "No such container: djd-6bbda351.1.qus9qr99"
    gone = make_task("failed", desired="shutdown", error=why, code=0)
    job = judge(make_service_of(), gone)
    assert (job.status, job.lost, job.exit_code) == (Status.EXITED, True, None)
    assert tell(job) == (Phase.FAILED, Reason.NODE_LOST, f"the swarm has ended it: {why}")
    assert judge(make_service_of(spec=RERUN), gone).rerun == 1


def test_a_failed_task_that_shows_0_did_not_exit_with_it() -> None:
    ill = make_task("failed", desired="shutdown", error="unhealthy container", code=0)
    job = judge(make_service_of(), ill)
    assert (job.status, job.lost, job.exit_code) == (Status.EXITED, False, None)
    assert tell(job)[0] is Phase.UNKNOWN


def test_what_was_cut_off_in_its_start_may_have_run() -> None:
    why = "starting container failed: context canceled"
    cut = make_task("failed", desired="shutdown", error=why, has_container=True)
    job = judge(make_service_of(), cut)
    assert (job.status, job.lost, job.exit_code) == (Status.EXITED, True, None)
    assert tell(job) == (Phase.FAILED, Reason.NODE_LOST, f"the swarm has ended it: {why}")
    assert judge(make_service_of(spec=RERUN), cut).rerun == 1
    refused = make_task("failed", desired="shutdown", error="starting container failed: exec /x")
    assert judge(make_service_of(), refused).is_pending


# Stops -----------------------------------------------------------------------------------------


def test_what_is_stopped_runs_until_its_task_is_over() -> None:
    service = make_service_of(replicas=0, labels={STOP: encode_stop(Stop(at(7), ran=True))})
    assert judge(service, make_task("running", desired="remove")).status is Status.RUNNING
    job = judge(service, make_task("shutdown", desired="remove", code=137, at=9))
    assert (job.status, job.exit_code, job.finished_at) == (Status.EXITED, 137, at(9))
    assert job.error == ""


def test_what_was_stopped_and_is_gone_is_over_and_never_waits_again() -> None:
    stop = Stop(at(7), ran=True, started_at=at(4))
    job = judge(make_service_of(replicas=0, labels={STOP: encode_stop(stop)}))
    assert (job.status, job.started, job.exit_code) == (Status.EXITED, True, None)
    assert (job.started_at, job.finished_at) == (at(4), at(7))


def test_what_never_ran_when_it_was_stopped_waits() -> None:
    unknown = make_service_of(replicas=0, labels={STOP: encode_stop(Stop(at(7)))})
    gone = make_task("shutdown", desired="remove", has_container=False)
    assert judge(unknown, gone).is_pending
    # the first that is seen of it, if anything
    assert judge(unknown, make_task("pending", desired="remove")).is_pending
    assert not judge(unknown, make_task("assigned", desired="remove")).is_pending
    # nobody saw its task go: it may have run, or not
    job = judge(unknown)
    assert (job.status, job.started, job.exit_code) == (Status.EXITED, False, None)
    noted = make_service_of(replicas=0, labels={STOP: encode_stop(Stop(at(7), ran=False))})
    assert judge(noted).is_pending


def test_what_is_stopped_is_not_run_again_for_the_loss_of_its_node() -> None:
    labels = {STOP: encode_stop(Stop(at(7), ran=True))}
    service = make_service_of(replicas=0, spec=RERUN, labels=labels)
    job = judge(service, make_task("running", desired="remove"), nodes=DOWN)
    assert (job.status, job.lost) == (Status.EXITED, True)


def test_what_somebody_has_set_to_no_replica_does_not_wait_again() -> None:
    job = judge(make_service_of(replicas=0))
    assert (job.status, job.started) == (Status.EXITED, True)
    assert tell(job) == (Phase.UNKNOWN, None, job.error)
    assert "no replica" in job.error


# Restart policies ------------------------------------------------------------------------------


def test_a_policy_has_runs_counted() -> None:
    service = make_service_of(spec=RERUN, body=RETRIES)
    failed = make_task("failed", error="task: non-zero exit (4)", code=4, at=5, desired="shutdown")
    for state in ("new", "ready", "starting"):
        job = judge(service, failed, make_task(state, uid="second", created=6))
        assert (job.status, job.exit_code, job.restarts) == (Status.RESTARTING, 4, 1)
    job = judge(service, failed, make_task("running", uid="second", created=6, at=8))
    assert (job.status, job.restarts, job.lingers) == (Status.RUNNING, 1, True)
    last = make_task("failed", uid="second", created=6, code=4, at=9, desired="shutdown")
    job = judge(service, failed, last)
    assert (job.status, job.exit_code, job.restarts) == (Status.EXITED, 4, 1)


def test_what_is_stopped_between_two_runs_is_over_though_the_first_task_is_gone() -> None:
    """As seen on 28.5: the task that had failed went at once, its follower did not."""
    stop = Stop(at(7), ran=True, started_at=at(4))
    labels = {STOP: encode_stop(stop)}
    service = make_service_of(spec=RERUN, body=RETRIES, replicas=0, labels=labels)
    for state in ("pending", "shutdown"):
        follower = make_task(state, uid="second", desired="remove", has_container=False)
        job = judge(service, follower)
        assert (job.status, job.started, job.is_pending) == (Status.EXITED, True, False)
        assert (job.started_at, job.finished_at) == (at(4), at(7))


@pytest.mark.parametrize("state", ["pending", "shutdown", "rejected"])
def test_what_is_stopped_between_two_runs_has_ended_as_the_first_did(state: str) -> None:
    labels = {STOP: encode_stop(Stop(at(7), ran=True))}
    service = make_service_of(spec=RERUN, body=RETRIES, replicas=0, labels=labels)
    failed = make_task("failed", error="task: non-zero exit (4)", code=4, at=5, desired="remove")
    follower = make_task(state, uid="second", created=6, desired="remove", has_container=False)
    job = judge(service, failed, follower)
    assert (job.status, job.exit_code, job.finished_at) == (Status.EXITED, 4, at(5))
    assert (job.restarts, job.is_pending) == (0, False)


def test_a_failed_run_is_not_over_while_the_policy_has_not_said_so() -> None:
    service = make_service_of(spec=RERUN, body=RETRIES)
    failed = make_task("failed", error="task: non-zero exit (4)", code=4)
    assert judge(service, failed).status is Status.RESTARTING


@pytest.mark.parametrize("state", ["rejected", "orphaned"])
def test_what_was_taken_from_its_node_is_left_to_the_policy(state: str) -> None:
    service = make_service_of(spec=RERUN, body=RETRIES)
    taken = make_task(state, has_container=True, error="no longer meets constraints")
    assert judge(service, taken).status is Status.RESTARTING
    again = make_task("running", uid="second", created=6, at=8)
    job = judge(service, make_task(state, has_container=True, desired="shutdown"), again)
    assert (job.status, job.restarts, job.rerun) == (Status.RUNNING, 1, 0)


# Whose it is -----------------------------------------------------------------------------------


def test_only_a_service_that_is_called_as_its_job_is_one() -> None:
    data = make_service_data()
    assert read_service(data, NAMESPACE) is not None
    assert read_service(data, "other") is None
    assert read_service({**data, "Spec": {**data["Spec"], "Name": "djd-other"}}, NAMESPACE) is None
    assert read_service(make_service_data(labels={NAME: ""}), NAMESPACE) is None
    assert read_service(make_service_data(labels={NAME: "another"}), NAMESPACE) is None
