"""The tokens in force: read from their file at start and whenever it changes."""

import asyncio
from hashlib import sha256
from pathlib import Path

import structlog

from api.config.reload import ChangeDetector, Verdict
from api.runtime.file_permissions import warn_of_exposure
from api.server.access import sessions
from api.server.access.tokens import Act, Grant, TokenFileError, Tokens, parse_tokens

_log = structlog.get_logger(__name__)
_MAX_BYTES = 1 << 20


class TokenStore:
    """The tokens of the file at ``path``, which is read every ``interval`` seconds.

    Raises ``TokenFileError`` if the file cannot be used at start. Later, a file that cannot be
    used changes nothing: the last good tokens stay in force.
    """

    def __init__(self, path: Path, *, interval: float = 2.0) -> None:
        self._path = path
        self._interval = interval
        content = self._read()
        self._watch = ChangeDetector(_fingerprint(content))
        self._apply(self._parse(content))

    def identify(self, token: bytes) -> Grant | None:
        """Return what ``token`` allows, or None if it is not in force."""
        return self._tokens.identify(token)

    def recall(self, cookie: str, now: float) -> tuple[bytes, Grant] | None:
        """Return the digest of a session's token and what that allows, or None if it has ended.

        ``now`` is in seconds since the Unix epoch.
        """
        return sessions.recall(cookie, self._tokens, now)

    @property
    def has_sole_poster(self) -> bool:
        """Whether not more than one token may post."""
        return sum(Act.POST in grant.acts for _, grant in self._tokens.grants) <= 1

    async def keep_watching(self) -> None:
        """Apply changes of the file until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self._check_file()
            except Exception:  # noqa: BLE001 - see below
                # if the watch ended, nobody would notice before a token had to be revoked
                _log.exception("reading the token file failed")

    async def _check_file(self) -> None:
        content: bytes | TokenFileError
        try:
            content = await asyncio.to_thread(self._read)
            seen = _fingerprint(content)
        except TokenFileError as error:
            content, seen = error, f"error: {error}"
        was_bad = self._watch.bad is not None
        self._watch, verdict = self._watch.see(seen)
        if verdict is Verdict.SERVED and was_bad:
            _log.info("token file is again the one in force")
        elif verdict is Verdict.LOAD:
            try:
                if isinstance(content, TokenFileError):
                    raise content
                self._apply(self._parse(content))
            except TokenFileError as error:
                self._watch = self._watch.reject(seen)
                _log.error("token file refused; the last good one stays in force", error=str(error))
            else:
                self._watch = self._watch.serve(seen)
                _log.info("token file reloaded", tokens=len(self._tokens.grants))

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise TokenFileError(f"{self._path}: {error.strerror or 'cannot be read'}") from None
        if len(content) > _MAX_BYTES:
            raise TokenFileError(f"{self._path}: larger than {_MAX_BYTES} bytes")
        return content

    def _parse(self, content: bytes) -> Tokens:
        try:
            return parse_tokens(content)
        except TokenFileError as error:
            raise TokenFileError(f"{self._path}: {error}") from None

    def _apply(self, tokens: Tokens) -> None:
        self._tokens = tokens
        if not tokens.grants:
            _log.warning("token file lists no token: nobody may ask", file=str(self._path))
        warn_of_exposure(self._path, secret=True)


def _fingerprint(content: bytes) -> str:
    return sha256(content).hexdigest()
