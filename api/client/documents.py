"""The document that is posted: a file's bytes, or what options say; and the path it goes to."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from api.client.errors import WrongUseError


def read_document(
    file: str | None, strings: Sequence[tuple[str, str]], values: Sequence[tuple[str, Any]]
) -> bytes:
    """Return the document of ``FILE``, with the members of ``--arg`` and ``--argjson`` in it.

    What is not changed is sent as it was read. Raises ``click.UsageError`` and ``WrongUseError``.
    """
    members = [*strings, *values]
    if file is None and members:
        return json.dumps(dict(members)).encode()
    if file in {None, "-"}:
        if file is None and sys.stdin.isatty():
            raise click.UsageError("give a FILE, - for standard input, or --arg")
        document = sys.stdin.buffer.read()
    else:
        try:
            document = Path(str(file)).read_bytes()
        except OSError as error:
            raise WrongUseError(f"cannot read {file}: {error.strerror}") from None
    if not document.strip() and not members:
        raise WrongUseError(f"{'standard input' if file in {None, '-'} else file} is empty")
    return merge(document, members)


def merge(document: bytes, members: Sequence[tuple[str, Any]]) -> bytes:
    """Return a document with the members in it that were given apart, without any as it is.

    Raises ``WrongUseError``; pure.
    """
    try:
        body = json.loads(document if document.strip() else b"{}")
    except (ValueError, RecursionError) as error:
        raise WrongUseError(f"the document is no JSON: {error}") from None
    if not members:
        return document
    if not isinstance(body, dict):
        raise WrongUseError("only an object can be given members by --arg")
    return json.dumps(body | dict(members)).encode()


def make_post_path(path: str | None) -> str:
    """Return the path to post to: ``a``, ``/a`` and ``/job/a`` are one."""
    parts = [part for part in (path or "").split("/") if part]
    if parts[:1] == ["job"]:
        del parts[0]
    return "/".join(["/job", *(quote(part, safe="") for part in parts)])
