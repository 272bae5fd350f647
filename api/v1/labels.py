"""The labels that make a container a job, and the rule that tells a job from a stranger."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "docker-job-dispatcher."
"""Every label key of ours starts with this; a manifest may set none of them."""

NAMESPACE: Final = PREFIX + "namespace"
"""Groups the jobs of one dispatcher. The original's only label."""
NAME: Final = PREFIX + "name"
"""Repeats the container's name, so that a label inherited from an image is told apart."""
DOCUMENT: Final = PREFIX + "document"
"""Digest of what was posted; see :func:`digest_document`."""
FILTER: Final = PREFIX + "filter"
"""Name of the filter config that made the manifest."""
PATH: Final = PREFIX + "path"
"""Request path the document was posted to, percent-decoded, without a trailing slash."""

KEYS: Final = (NAMESPACE, NAME, DOCUMENT, FILTER, PATH)
"""All keys of this version. Docker cannot change a label after create: they are permanent."""

DEFAULT_NAMESPACE: Final = "default"

_NAMESPACE_PATTERN: Final = re.compile(
    r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,126}[^\s\x00-\x1f\x7f])?"
)
# The engine itself accepts one-character and 5,000-character names in some versions; a name is
# also a host name and a file name, so 2 to 128 characters are what every version agrees on.
_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_NAME_PATTERN: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}")


def is_valid_namespace(namespace: str) -> bool:
    """Tell whether ``namespace`` can be a label value: 1 to 128 printable characters."""
    return _NAMESPACE_PATTERN.fullmatch(namespace) is not None


def is_valid_name(name: str) -> bool:
    """Tell whether ``name`` is a container name that means itself in an engine's URL.

    ``fullmatch``, because ``$`` also matches before a trailing newline.
    """
    return _NAME_PATTERN.fullmatch(name) is not None


def digest_document(path: str, document: object) -> str:
    """Return the SHA-256 (hex) of the sorted-key JSON of ``[path, document]``."""
    text = _encode([path, document])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def stamp(
    labels: Mapping[str, str],
    *,
    namespace: str,
    name: str,
    document: str,
    filter_name: str,
    path: str,
) -> dict[str, str]:
    """Return ``labels`` with every key of ours set, last, so that nothing overrides them.

    An image hands its labels on to its containers: a key left out here could come in from there.
    """
    return {
        **labels,
        NAMESPACE: namespace,
        NAME: name,
        DOCUMENT: document,
        FILTER: filter_name,
        PATH: path,
    }


def needs_image_check(labels: Mapping[str, str]) -> bool:
    """Tell whether only the image can say if this is a job: a namespace, and no other key of ours.

    Such a container was made by the original, or inherited the label from its image.
    """
    return NAMESPACE in labels and not labels.get(NAME)


def is_job(
    name: str,
    labels: Mapping[str, str],
    *,
    namespace: str,
    image_labels: Mapping[str, str] | None = None,
) -> bool:
    """Tell whether a container is a job of ``namespace``.

    ``name`` is the container's name without a leading slash. A job of ours repeats it in its
    labels. A job of the original has the namespace label alone, and its image does not carry
    that label (``image_labels``; ``None`` means that the image is not known or gone, and then
    the namespace label is believed).
    """
    if labels.get(NAMESPACE) != namespace:
        return False
    if labels.get(NAME):
        return labels[NAME] == name
    if any(labels.get(key) for key in KEYS if key != NAMESPACE):
        return False
    return NAMESPACE not in (image_labels or {})
