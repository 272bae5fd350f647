"""What a job was recorded as, and how it is written into labels and read from them."""

import hashlib
import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from api.v1.labels import CANCELS, DOCUMENT, FILTER, NAME, NAMESPACE, NONCE, OWNER, PATH, PREFIX
from api.v1.record import record
from api.v1.wishes import NO_WISHES, Wishes, decode_wishes, encode_wishes

Labels = tuple[tuple[str, str], ...]
"""Keys and values, sorted by key."""

_to_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@record
class JobSpec:
    """What never changes about a job; all of it is empty for a job of the original's.

    ``path`` is the request path that the document was posted to, percent-decoded, without a
    trailing slash; ``filter`` the name of the filter config that made the manifest; ``document``
    the digest of what was posted, see :func:`digest_document`; ``owner`` that of the token that it
    was posted with, empty where there are none. ``image`` is the one that the manifest names, or
    its id in a list of an engine on which that name means another by now; ``labels`` are the
    manifest's own.
    """

    path: str = ""
    filter: str = ""
    document: str = ""
    owner: str = ""
    image: str = ""
    labels: Labels = ()
    wishes: Wishes = NO_WISHES


def encode(
    spec: JobSpec, *, namespace: str, job_id: str, labels: Mapping[str, str], nonce: str = ""
) -> dict[str, str]:
    """Return a manifest's ``labels`` with every key of ours set, last, so that none is overridden.

    What is not set is written as an empty text: an image hands its labels on to its containers,
    and a key that is left out could come in from there. A ``nonce`` that no other job has tells a
    job from a container of an image that was committed from a job of the same document.
    """
    return {
        **labels,
        NAMESPACE: namespace,
        NAME: job_id,
        DOCUMENT: spec.document,
        FILTER: spec.filter,
        PATH: spec.path,
        OWNER: spec.owner,
        NONCE: nonce,
        **encode_wishes(spec.wishes),
        CANCELS: "",
    }


def decode(
    labels: Mapping[str, str], *, image: str = "", inherited: Mapping[str, str] = _NONE
) -> JobSpec:
    """Return what the labels of a job of ``image`` say; the inverse of :func:`encode`.

    ``inherited`` are the labels that the image hands on, as far as they are known.
    """
    return JobSpec(
        # many jobs share these: one copy of each serves all
        path=sys.intern(labels.get(PATH, "")),
        filter=sys.intern(labels.get(FILTER, "")),
        document=labels.get(DOCUMENT, ""),
        owner=sys.intern(labels.get(OWNER, "")),
        image=sys.intern(image),
        labels=find_own_labels(labels, inherited),
        wishes=decode_wishes(labels),
    )


def find_own_labels(labels: Mapping[str, str], inherited: Mapping[str, str] = _NONE) -> Labels:
    """Return those of a job's ``labels`` that are its manifest's: neither ours nor the image's."""
    return _share(
        tuple(
            sorted(
                (sys.intern(key), value)
                for key, value in labels.items()
                if not key.startswith(PREFIX) and inherited.get(key) != value
            )
        )
    )


@lru_cache(1000)
def _share(labels: Labels) -> Labels:
    """Return the one object for equal values: a hundred thousand jobs may have the same."""
    return labels


def digest_document(path: str, document: object) -> str:
    """Return the SHA-256 (hex) of the sorted-key JSON of ``[path, document]``."""
    text = _to_json([path, document])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
