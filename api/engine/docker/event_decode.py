"""The engine's events, read from JSON: what happened to which job or mark."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from api.engine.interface import Event, EventKind
from api.v1.job import Job, Status
from api.v1.labels import claims_name
from api.v1.mark import decode_mark, is_mark
from api.v1.spec import decode
from api.v1.times import SECOND

Inherit = Callable[[str, Mapping[str, str], str], Mapping[str, str] | None]
"""Takes a new container's name, labels and image."""

Know = Callable[[str], Mapping[str, str] | None]
"""Takes what an image is called, and returns its labels if they are known."""

_CODE: Final = re.compile("[0-9]{1,3}")
_HIGHEST_CODE: Final = 255
# Events after which an inspect may show something else; exec, attach, top and the like are not
# here.
_KINDS: Final[Mapping[str, EventKind]] = {
    "create": EventKind.CREATED,
    "start": EventKind.STARTED,
    "restart": EventKind.RESTARTED,
    "die": EventKind.ENDED,
    "died": EventKind.ENDED,  # podman's word
    "destroy": EventKind.REMOVED,
    "remove": EventKind.REMOVED,  # podman's word
    **dict.fromkeys(("stop", "pause", "unpause", "oom", "rename", "update"), EventKind.CHANGED),
}


def read_event(
    data: Mapping[str, Any],
    namespace: str,
    inherit: Inherit = lambda *_: None,
    know: Know = lambda _: None,
) -> Event | None:
    """Read one line of the event stream; ``None`` for what tells nothing of a container.

    ``inherit`` tells of a new container that is a job without doubt what its image hands on, and
    ``know`` of any image what is known of it.

    Only ``Action`` and ``Actor`` are read: API 1.52 dropped ``status``, ``id`` and ``from``.
    podman puts the exit code into ``containerExitCode``, of a removal, too. The labels of a
    container overwrite the engine's attributes but for ``name`` and ``image``, which moby writes
    last.
    """
    actor: Mapping[str, Any] = data.get("Actor") or {}
    kind = _KINDS.get(str(data.get("Action") or ""))
    if kind is None or data.get("Type", "container") != "container" or not actor.get("ID"):
        return None
    attributes: Mapping[str, str] = actor.get("Attributes") or {}
    code = attributes.get("exitCode") or ""
    if kind is EventKind.ENDED:
        code = code or attributes.get("containerExitCode") or ""
    name, time = attributes.get("name", ""), _read_event_time(data)
    is_new, image = kind is EventKind.CREATED, attributes.get("image", "")
    if is_mark(attributes, namespace=namespace):
        image_labels, mark = know(image) if is_new else None, None
        if image_labels is not None and is_mark(
            attributes, namespace=namespace, image_labels=image_labels
        ):
            mark = decode_mark(actor["ID"], attributes, time)
        return Event(kind, actor["ID"], time, is_mark=True, mark=mark)
    inherited = inherit(name, attributes, image) if is_new else None
    return Event(
        kind=kind,
        uid=actor["ID"],
        time=time,
        exit_code=int(code) if _CODE.fullmatch(code) and int(code) <= _HIGHEST_CODE else None,
        is_job=claims_name(name, attributes, namespace),
        job=None
        if inherited is None
        else _read_new_job(actor["ID"], namespace, attributes, inherited, time),
    )


def _read_event_time(data: Mapping[str, Any]) -> int:
    return int(data.get("timeNano") or int(data.get("time") or 0) * SECOND)


def _read_new_job(
    uid: str,
    namespace: str,
    attributes: Mapping[str, str],
    inherited: Mapping[str, str],
    time: int,
) -> Job:
    """Return the job that a ``create`` event shows: it is sent when the creation is over."""
    labels = dict(attributes)
    name, image = labels.pop("name", ""), labels.pop("image", "")
    return Job(
        uid,
        name,
        namespace,
        decode(labels, image=image, inherited=inherited),
        Status.CREATED,
        created=time,
        order=time,
        made=True,
        told=True,
    )
