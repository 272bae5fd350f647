"""Command-line options of both processes, each with its variable and default."""

import os
from collections.abc import Callable
from typing import Any, Final

import click

from api.engine.capabilities import EngineKind
from api.engine.docker.endpoint import Endpoint, EndpointError, Transport, resolve_endpoint
from api.v1.labels import DEFAULT_NAMESPACE, is_valid_namespace

LEVELS: Final = ("error", "warn", "info", "debug", "trace")
"""Log levels of the original, the quietest first; it also takes them as 1 to 5."""

CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Click settings of both commands."""


class LogLevel(click.ParamType[str]):
    """``error`` to ``trace`` in any case, or 1 to 5."""

    name = "level"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the accepted words, for the help."""
        del param, ctx
        return f"[{'|'.join(LEVELS)}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the level's lower-case word."""
        word = value.strip().lower()
        if word in LEVELS:
            return word
        if word not in {"1", "2", "3", "4", "5"}:
            known = ", ".join(LEVELS)
            self.fail(f"{value!r} is not one of {known} (any case) or 1 to 5", param, ctx)
        return LEVELS[int(word) - 1]


class Namespace(click.ParamType[str]):
    """A label value of 1 to 128 printable characters."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the namespace as it is."""
        if not is_valid_namespace(value):
            self.fail(f"{value!r} is not 1 to 128 printable characters", param, ctx)
        return value


class Whole(click.IntRange):
    """A whole number whose error says what is accepted."""

    def __init__(self, low: int, high: int | None = None) -> None:
        super().__init__(min=low, max=high)
        self.name = f"whole number {_name_range(low, high)}"


class Seconds(click.FloatRange):
    """A number of seconds whose error says what is accepted."""

    def __init__(self, low: float, high: float | None = None) -> None:
        super().__init__(min=low, max=high)
        self.name = f"number of seconds {_name_range(low, high)}"


def _name_range(low: float, high: float | None) -> str:
    return f"from {low:g} up" if high is None else f"from {low:g} to {high:g}"


def option(*names: str, env: str, **settings: Any) -> Callable[[Any], Any]:
    """Return a click option that also reads the variable ``env`` and shows it in the help."""
    return click.option(
        *names,
        envvar=env,
        show_envvar=True,
        show_default=settings.pop("show_default", True),
        **settings,
    )


def engine_option(text: str, **settings: Any) -> Callable[[Any], Any]:
    """Return the option for the kind of engine."""
    return option(
        "--engine",
        env="ENGINE",
        type=click.Choice([str(kind) for kind in EngineKind], case_sensitive=False),
        default=str(EngineKind.DOCKER),
        help=text,
        **settings,
    )


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of both processes.

    Their parameters are ``engine``, ``transport``, ``namespace``, ``engine_timeout`` (seconds),
    ``log_level`` and ``log_format``.
    """
    for decorate in reversed(
        (
            engine_option(
                "What runs jobs: one Docker Engine, or the swarm that it is a manager of."
            ),
            option(
                "-t",
                "--transport",
                env="TRANSPORT",
                type=click.Choice([str(kind) for kind in Transport], case_sensitive=False),
                default=str(Transport.SOCKET),
                help="How to reach the engine; DOCKER_HOST and DOCKER_CERT_PATH say where it is.",
            ),
            option(
                "-n",
                "--namespace",
                env="NAMESPACE",
                type=Namespace(),
                default=DEFAULT_NAMESPACE,
                help="Label that groups the jobs of one dispatcher.",
            ),
            option(
                "--engine-timeout",
                env="ENGINE_TIMEOUT",
                type=Seconds(0.1, 600),
                default=10.0,
                metavar="SECONDS",
                help="Deadline of every call to the engine.",
            ),
            option(
                "--log-level",
                env="LOG_LEVEL",
                type=LogLevel(),
                default="info",
                help="How much is logged; any case, or 1 to 5.",
            ),
            option(
                "--log-format",
                env="LOG_FORMAT",
                type=click.Choice(["auto", "console", "json"], case_sensitive=False),
                default="auto",
                help="auto is console on a terminal and json elsewhere.",
            ),
        )
    ):
        command = decorate(command)
    return command


def read_endpoint(transport: str) -> Endpoint:
    """Return the engine's address, or end with a usage error that names the variable."""
    try:
        endpoint = resolve_endpoint(Transport(transport), os.environ)
        endpoint.make_ssl_context()
    except EndpointError as error:
        raise click.UsageError(str(error)) from error
    return endpoint
