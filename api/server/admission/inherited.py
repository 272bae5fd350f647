"""What an image hands on to its containers counts as if the manifest had said it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.server.admission.limits import (
    MAX_COMMAND,
    MAX_LABELS,
    MAX_REST,
    MAX_VARIABLES,
    measure,
)
from api.server.admission.sanitize import sanitize
from api.server.admission.settings import Profile
from api.server.admission.values import COPIES, MAX_COPIED, check_folder, copies
from api.server.admission.violations import Violation, refuse_denied, refuse_form
from api.v1.labels import PREFIX

_JUDGED: Final = ("User", "WorkingDir", "StopSignal", "Volumes", "ExposedPorts")
_MERGED: Final = frozenset({"Volumes", "ExposedPorts"})
"""Members that a container has of both; of the others the manifest's replaces the image's."""
_NEWEST: Final = (1, 99)


@dataclass(frozen=True, slots=True)
class Inherited:
    """The bytes of what an image hands on, and what is wrong with it by the member's name."""

    labels: int = 0
    variables: int = 0
    entrypoint: int = 0
    command: int = 0
    rest: int = 0
    faults: tuple[tuple[str, str], ...] = ()
    folder: str = ""


def measure_image(config: Mapping[str, Any]) -> Inherited:
    """Return what counts of an image's config, which is spelt as a create call."""
    judged = {key: config[key] for key in _JUDGED if config.get(key)}
    _, violations = sanitize(judged, _NEWEST)
    labels: Mapping[str, str] = config.get("Labels") or {}
    return Inherited(
        labels=measure(labels) + measure(labels.values()),
        variables=measure(config.get("Env") or ()),
        entrypoint=measure(config.get("Entrypoint") or ()),
        command=measure(config.get("Cmd") or ()),
        rest=len(json.dumps({key: judged[key] for key in sorted(_MERGED & judged.keys())})),
        faults=tuple((v.pointer.split("/")[1], v.message) for v in violations),
        folder=(config.get("WorkingDir") or "")[:MAX_REST],
    )


def refuse_inherited(image: Inherited, body: Mapping[str, Any], profile: Profile) -> None:
    """Raise ``Problem`` for what the container would have of its image beyond every limit.

    400 ``InvalidManifest`` for too much of something, 403 ``Denied`` for what ``profile`` refuses.
    ``body`` is the admitted manifest.
    """
    if faults := list(_check_sizes(image, body)):
        refuse_form(faults, ())
    if profile is not Profile.PRIVILEGED:
        refuse_denied(profile, _check_values(image, body))


def _check_values(image: Inherited, body: Mapping[str, Any]) -> Iterator[Violation]:
    if not body.get("WorkingDir"):
        yield from check_folder(image.folder, "/Image")
    if copies(body) and image.labels + image.variables > MAX_COPIED:
        yield Violation("/Image", COPIES, "logDrivers", "the profile privileged")


def _check_sizes(image: Inherited, body: Mapping[str, Any]) -> Iterator[Violation]:
    for member, message in image.faults:
        if member in _MERGED or not body.get(member):
            yield Violation("/Image", f"its {member} {message}")
    labels = _leave_ours_out(body.get("Labels", {}))
    entrypoint, command = body.get("Entrypoint", ()), body.get("Cmd", ())
    # the engine takes an image's Cmd only where the manifest has neither
    inherited = (0 if entrypoint else image.entrypoint) + (
        0 if entrypoint or command else image.command
    )
    for name, of_image, of_manifest, most in (
        ("labels", image.labels, measure(labels) + measure(labels.values()), MAX_LABELS),
        ("variables", image.variables, measure(body.get("Env", ())), MAX_VARIABLES),
        ("Entrypoint and Cmd", inherited, measure(entrypoint) + measure(command), MAX_COMMAND),
        ("volumes and ports", image.rest, 0, MAX_REST),
    ):
        if of_image and of_image + of_manifest > most:
            yield Violation(
                "/Image", f"its {name} and the manifest's take more than {most >> 10} KiB"
            )


def _leave_ours_out(labels: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in labels.items() if not key.startswith(PREFIX)}
