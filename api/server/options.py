"""What the command line of the API asks for, as one typed value."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """One field for each option of the command, by the option's name; times are in seconds."""

    filter_source: str | None
    from_file: str | None
    filter_env: tuple[str, ...]
    queues: Path | None
    controller_url: str

    bind: str
    port: int
    allow_anonymous: bool
    token_file: Path | None
    allowed_host: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None
    receive_timeout: float
    idle_timeout: float
    max_connections: int
    max_waiting: int
    max_pending: int
    max_watchers: int

    admission: str
    pull: str
    pull_timeout: float
    registry_config: Path | None

    engine: str
    transport: str
    namespace: str
    engine_timeout: float

    log_level: str
    log_format: str
