"""Command-line options of pulling, and the settings they make."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import structlog

from api.runtime.file_permissions import warn_of_exposure
from api.runtime.options import Seconds, option
from api.server.filters.config import PullPolicy
from api.server.images.credentials import RegistryConfig, RegistryConfigError
from api.server.images.settings import Pulling
from api.server.options import ApiOptions

_log = structlog.get_logger(__name__)


def pull_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that ``make_pulling`` reads."""
    default = Pulling()
    for decorate in reversed(
        (
            option(
                "--pull",
                env="PULL_POLICY",
                type=click.Choice([str(policy) for policy in PullPolicy], case_sensitive=False),
                default=str(default.policy),
                help="Whether images are pulled; a filter config's pull wins.",
            ),
            option(
                "--pull-timeout",
                env="PULL_TIMEOUT",
                type=Seconds(0.1),
                default=default.timeout,
                metavar="SECONDS",
                help="How long a pull may take.",
            ),
            option(
                "--registry-config",
                env="REGISTRY_CONFIG",
                type=click.Path(path_type=Path),
                help="Docker config file with credentials of registries (no credential helpers)."
                " Without it, config.json of the directory DOCKER_CONFIG, if there is one.",
            ),
        )
    ):
        command = decorate(command)
    return command


def make_pulling(options: ApiOptions) -> Pulling:
    """Return what is asked for, or end with a usage error for credentials of no use."""
    config = None
    if (path := find_config(options.registry_config)) is not None:
        config = RegistryConfig(path)
        try:
            unused = config.check()
        except RegistryConfigError as error:
            raise click.UsageError(f"--registry-config: {error}") from error
        warn_of_exposure(path, secret=True)
        if unused:
            _log.warning("credential helpers are not supported", file=str(path), ignored=unused)
    return Pulling(
        PullPolicy(options.pull),
        timeout=options.pull_timeout,
        waiting=max(1, options.max_waiting // 2),
        config=config,
    )


def find_config(path: Path | None) -> Path | None:
    """Return ``path``, or without one the file that the Docker command line would read there."""
    folder = os.environ.get("DOCKER_CONFIG")
    if path is not None or not folder:
        return path
    default = Path(folder, "config.json")
    return default if default.exists() else None
