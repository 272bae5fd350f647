"""The server's TLS context, from a certificate file and a key file."""

import ssl
from pathlib import Path


class TlsError(Exception):
    """The certificate or key file cannot be used; the message names it."""


def make_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a server's context, TLS 1.2 or newer; ``certificate`` holds the chain in PEM."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # without this, OpenSSL asks on the terminal for the password of an encrypted key
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        cause = error.reason or str(error)
        raise TlsError(f"{certificate} and {key}: not a certificate and its key: {cause}") from None
    except OSError as error:
        raise TlsError(f"{certificate} or {key}: {error.strerror or error}") from None
    return context
