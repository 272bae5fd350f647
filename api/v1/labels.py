"""The labels that make a container a job, and the rule that tells a job from a stranger."""

import re
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "docker-job-dispatcher."
"""Every label key of ours starts with this; a manifest may set none of them."""

NAMESPACE: Final = PREFIX + "namespace"
"""Groups the jobs of one dispatcher. The original's only label."""
NAME: Final = PREFIX + "name"
"""The job's id: the name that its container was created with."""
DOCUMENT: Final = PREFIX + "document"
"""Digest of what was posted."""
FILTER: Final = PREFIX + "filter"
"""Name of the filter config that made the manifest."""
PATH: Final = PREFIX + "path"
"""Request path that the document was posted to."""
OWNER: Final = PREFIX + "owner"
"""Digest of the token that the document was posted with; empty where there are no tokens."""
NONCE: Final = PREFIX + "nonce"
"""Random for each job: what was committed from a job into an image cannot carry a new job's."""

QUEUE: Final = PREFIX + "queue"
"""Name of the queue that the job waits in; empty for the default one."""
PRIORITY: Final = PREFIX + "priority"
"""Whole number; empty for 0."""
SHARE: Final = PREFIX + "share"
"""Whose job it is among those of one priority."""
START_BY: Final = PREFIX + "start-by"
"""Seconds after its creation from which the job is not started any more."""
RUN_FOR: Final = PREFIX + "run-for"
"""Seconds after which a run is stopped."""
KEEP_FOR: Final = PREFIX + "keep-for"
"""Seconds after its end at which the job is collected."""
ON_NODE_LOSS: Final = PREFIX + "on-node-loss"
"""``Rerun`` to have the job run again if its node is lost; absent for ``Fail``.

It need not be stamped empty, as the others: what hands an image's labels on has one node.
"""

CANCELS: Final = PREFIX + "cancels"
"""The full uid of the job that a mark cancels. A job has it empty."""
REQUESTED: Final = PREFIX + "requested"
"""When that cancel was asked for, RFC 3339: a list shows creation in whole seconds."""
GRACE: Final = PREFIX + "grace"
"""Of a mark: seconds between the stop signal and the kill."""
PURGE: Final = PREFIX + "purge"
"""Of a mark: ``true`` to have the job collected as soon as it is over."""
WHY: Final = PREFIX + "why"
"""Of a mark: what the client gave as the reason."""

WISHES: Final = (QUEUE, PRIORITY, SHARE, START_BY, RUN_FOR, KEEP_FOR)
"""The keys of what a job asks of the controller that are stamped on each."""

KEYS: Final = (NAMESPACE, NAME, DOCUMENT, FILTER, PATH, OWNER, NONCE, *WISHES, CANCELS)
"""All keys of a job. Docker cannot change a label after create: they are permanent."""

DEFAULT_NAMESPACE: Final = "default"

_NAMESPACE_PATTERN: Final = re.compile(
    r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,126}[^\s\x00-\x1f\x7f])?"
)
# Some versions of the engine take names of one character and of 5,000. A name is also a host name
# and a file name: 2 to 128 characters are what every version takes.
_NAME_PATTERN: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}")


def is_valid_namespace(namespace: str) -> bool:
    """Tell whether ``namespace`` can be a label value: 1 to 128 printable characters."""
    return _NAMESPACE_PATTERN.fullmatch(namespace) is not None


def is_valid_name(name: str) -> bool:
    """Tell whether ``name`` is a container name that means itself in an engine's URL.

    ``fullmatch``, because ``$`` also matches before a trailing newline.
    """
    return _NAME_PATTERN.fullmatch(name) is not None


def read_job_id(name: str, labels: Mapping[str, str]) -> str:
    """Return the id of the job that a container called ``name`` would be.

    Our jobs carry it in a label, which a rename does not change; the original's do not.
    """
    return labels.get(NAME) or name


def is_job(
    labels: Mapping[str, str],
    *,
    namespace: str,
    image_labels: Mapping[str, str] | None = None,
) -> bool:
    """Tell whether a container that carries ``labels`` is a job of ``namespace``.

    A label counts only if the image does not carry it with the same value, because an image hands
    its labels on to every container (``docker commit`` of a job makes such an image). A job of ours
    has its id in a label, and of the labels beside the namespace one at least that counts; its
    container's name may be another by now. A job of the original has the namespace label alone,
    and its image does not have that. A mark, which names another container, is never a job.
    ``image_labels`` is ``None`` where the image is not known or gone: then the container's labels
    are believed.
    """
    if labels.get(NAMESPACE) != namespace:
        return False
    if labels.get(NAME):
        return not image_labels or any(
            labels.get(key, "") != image_labels.get(key, "") for key in KEYS if key is not NAMESPACE
        )
    if any(labels.get(key) for key in KEYS if key != NAMESPACE):
        return False
    return not image_labels or NAMESPACE not in image_labels


def claims_name(name: str, labels: Mapping[str, str], namespace: str) -> bool:
    """Tell whether a container called ``name`` claims to be the job of that id.

    It may have that from its image.
    """
    return labels.get(NAMESPACE) == namespace and labels.get(NAME) == name
