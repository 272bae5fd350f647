"""The image allow list: patterns that the operator names."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from api.server.admission.policy import AdmissionPolicy
from api.server.admission.settings import Profile
from api.server.admission.violations import Violation
from api.v1.quoting import point, quote


def check_images(body: Mapping[str, Any], policy: AdmissionPolicy) -> Iterator[Violation]:
    """Yield the images that the list does not name: the job's own, and those it mounts.

    A list counts under every profile but ``privileged``; ``restricted`` takes no image without.
    """
    patterns = policy.allow.images
    if not patterns and policy.profile is not Profile.RESTRICTED:
        return
    for pointer, image in _find_images(body):
        if not any(_matches(image, pattern) for pattern in patterns):
            message = f"the image {quote(image)} is not among those allowed"
            yield Violation(pointer, message, "images", "images of the filter config")


def _find_images(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "/Image", body.get("Image", "")
    for index, mount in enumerate(body.get("HostConfig", {}).get("Mounts", ())):
        if mount.get("Type") == "image":
            yield f"{point('/HostConfig/Mounts', index)}/Source", mount.get("Source", "")


def _matches(image: str, pattern: str) -> bool:
    """Match segment by segment: ``debian*`` must not take ``debian.example.org/anything``."""
    segments, wanted = image.split("/"), pattern.split("/")
    if wanted[-1] == "**" and len(segments) >= len(wanted):
        wanted = wanted[:-1]
        segments = segments[: len(wanted)]
    return len(segments) == len(wanted) and all(map(fnmatchcase, segments, wanted))
