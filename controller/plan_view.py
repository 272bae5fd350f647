"""The plan for machines: what is done, what waits and why, and how each queue is used."""

from collections.abc import Mapping
from typing import Any, Final

from api.v1.text import escape_hidden
from api.v1.times import format_time
from api.v1.view import Waiting
from controller.holders import list_holds
from controller.leadership import Role
from controller.plan import Plan, Wait, WaitReason
from controller.planner import plan_starts
from controller.queue_use import QueueUse, list_use
from controller.reconciler import Reconciler
from controller.scene import Scene, count_used, set_scene
from controller.waits import explain_job

_STANDS_BY: Final = {
    Role.STANDBY: "this controller stands by: another one serves this namespace",
    Role.SEEKING: "this controller does not serve this namespace yet",
}


def view_plan(reconciler: Reconciler, plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON shows it; times are RFC 3339, positions count from 1."""
    return {
        "role": reconciler.role,
        "engineUp": reconciler.informer.engine_status.is_up,
        "slotsUsed": count_used(reconciler.index, reconciler.ledger),
        "slotsAllowed": reconciler.policy.max_concurrent,
        "pending": reconciler.index.pending,
        "queues": [_view_queue(use) for use in list_use(_set_scene(reconciler)).values()],
        "holds": [{"id": hold.id, "uid": hold.uid, "cause": hold.cause} for hold in plan.holds],
        "actions": [
            {
                "action": action.kind.verb,
                "id": action.id,
                "uid": action.uid,
                "cause": action.cause,
                "attempt": action.attempt,
            }
            for action in plan.actions
        ],
        "waits": [
            {
                "id": wait.id,
                "uid": wait.uid,
                "queue": wait.queue,
                **view_wait(reconciler, wait),
            }
            for wait in plan.waits
        ],
        "unlisted": plan.unlisted,
    }


def find_wait(reconciler: Reconciler, uid: str) -> Wait | None:
    """Return why one job waits, at a cost that does not grow with the jobs; None: it does not."""
    scene = _set_scene(reconciler)
    return explain_job(scene, plan_starts(scene), scene.index.jobs[uid])


def view_job_plan(reconciler: Reconciler, uid: str) -> dict[str, Any]:
    """Return what is planned of one job; ``waiting`` is null of one that does not wait."""
    job, wait = reconciler.index.jobs[uid], find_wait(reconciler, uid)
    now, is_active = reconciler.now().engine, uid in reconciler.index.active
    hold = next(iter(list_holds({uid: job}, now, most=1))) if is_active else None
    return {
        "id": job.id,
        "uid": uid,
        "queue": job.spec.wishes.queue,
        "waiting": None if wait is None else view_wait(reconciler, wait),
        "hold": None if hold is None else hold.cause,
    }


def word_job_plan(view: Mapping[str, Any]) -> str:
    """Return one line that says the same as :func:`view_job_plan`."""
    waiting = view["waiting"]
    if waiting is not None:
        reason, position = waiting["reason"], waiting["position"]
        place = "" if position is None else f", {position}. in queue {view['queue']}"
        verb, cause = "wait", f"{reason}: {waiting['message']}{place}"
    elif view["hold"] is not None:
        verb, cause = "hold", view["hold"]
    else:
        verb, cause = "done", "it neither waits nor runs"
    return escape_hidden(f"{verb:<6} job/{view['id']}  {cause}")


def view_wait(reconciler: Reconciler, wait: Wait) -> Waiting:
    """Return why a job waits; that nobody can start anything goes before the planner's reasons."""
    reason, message = str(wait.reason), wait.cause
    if wait.reason is not WaitReason.CANCELLING:
        if not reconciler.informer.engine_status.is_up:
            reason, message = WaitReason.ENGINE_DOWN.value, "the engine does not answer"
        elif reconciler.role is not Role.ACTIVE:
            reason, message = WaitReason.NO_CONTROLLER.value, _STANDS_BY[reconciler.role]
    until = format_time(wait.until)
    return {"reason": reason, "message": message, "position": wait.position, "until": until}


def _set_scene(reconciler: Reconciler) -> Scene:
    return set_scene(
        reconciler.index,
        reconciler.policy,
        reconciler.ledger,
        reconciler.now(),
        reconciler.informer.unresponsive,
    )


def _view_queue(use: QueueUse) -> dict[str, Any]:
    queue = use.queue
    return {
        "name": queue.name,
        "maxConcurrent": queue.max_concurrent,
        "weight": queue.weight,
        "paused": queue.paused,
        "used": use.used,
        "pending": use.pending,
        "oldestPendingSeconds": use.oldest if use.pending else None,
    }
