"""Certificates for an engine on TLS: an authority, a server's pair and a client's pair."""

import ssl
import subprocess
from pathlib import Path


def make_certificates(folder: Path) -> None:
    """Write ``ca.pem``, ``cert.pem``, ``key.pem`` (client) and ``server-*.pem`` for 127.0.0.1."""
    _openssl(folder, "req", "-x509", "-subj", "/CN=authority", "-keyout ca-key.pem -out ca.pem")
    for prefix, usage in (("server-", "serverAuth"), ("", "clientAuth")):
        names = f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={usage}\n"
        (folder / "extensions").write_text(names)
        _openssl(folder, "req", "-subj", f"/CN={usage}", f"-keyout {prefix}key.pem -out request")
        _run(
            folder,
            "openssl x509 -req -in request -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2"
            f" -extfile extensions -out {prefix}cert.pem".split(),
        )


def make_server_context(folder: Path) -> ssl.SSLContext:
    """Return a server's context that admits only clients of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
    return context


def _openssl(folder: Path, kind: str, *words: str) -> None:
    files = words[-1].split()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _run(folder, ["openssl", kind, *key, *words[:-1], *files])


def _run(folder: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
