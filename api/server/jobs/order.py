"""The create call that records a job, and the job that it makes."""

import secrets
from dataclasses import field
from typing import Any, Final

from api.server.admission.admit import Admitted
from api.server.admission.settings import Profile
from api.server.admission.wishes import show_wishes
from api.server.filters.service import ConflictPolicy, PullPolicy
from api.v1.job import Job, Status
from api.v1.record import record
from api.v1.spec import JobSpec, encode

_NONCE_BYTES: Final = 4  # two jobs of one document: a committed one's, and another's


@record
class Order:
    """A create call, labels and all; ``name`` is the id of the job that it makes.

    ``looks_at_image``: the engine has the image, so that what it hands on is judged, or pulls it.
    """

    name: str
    platform: str | None
    body: dict[str, object] = field(hash=False)
    spec: JobSpec
    pull: PullPolicy
    on_conflict: ConflictPolicy
    profile: Profile
    looks_at_image: bool = True

    @property
    def manifest(self) -> dict[str, object]:
        """The manifest that is recorded, as a filter would spell it."""
        platform = {"Platform": self.platform} if self.platform else {}
        return {"Name": self.name, **platform, **show_wishes(self.spec.wishes), **self.body}


def add_labels(admitted: Admitted, spec: JobSpec, namespace: str) -> dict[str, object]:
    """Return the body that was admitted, with our labels stamped last."""
    nonce = secrets.token_hex(_NONCE_BYTES)
    given, name = admitted.labels, admitted.name
    labels = encode(spec, namespace=namespace, job_id=name, labels=given, nonce=nonce)
    return {**admitted.body, "Labels": labels}


def make_new_job(uid: str, order: Order, namespace: str, now: int) -> Job:
    """Return the job that the engine has just made of ``order``, as ``uid``.

    Its time of creation is ours, ``now`` (ns); a list corrects its place.
    """
    host: Any = order.body.get("HostConfig") or {}
    policy = (host.get("RestartPolicy") or {}).get("Name")
    return Job(
        uid,
        order.name,
        namespace,
        order.spec,
        Status.CREATED,
        created=now,
        order=now,
        made=True,
        told=True,
        lingers=policy not in {None, "", "no"},
        stop_timeout=order.body.get("StopTimeout"),  # type: ignore[arg-type]  # admitted
    )
