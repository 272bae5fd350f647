"""The commands beside serving: ``check`` and ``render``, with the admission of serving."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import click

from api.engine.capabilities import EngineKind
from api.engine.choose import find_unsupported
from api.engine.docker.connection import NEWEST_API
from api.runtime.options import CONTEXT, engine_option, option
from api.server.admission.admit import admit, choose_policy
from api.server.admission.settings import Profile
from api.server.admission.unsupported import refuse_unsupported
from api.server.filters.commands import build_check, build_render
from api.server.filters.examples import Admit
from api.server.filters.service import Rendered

_DEFAULT_LOG_DRIVER: Final = "json-file"  # Docker's


def admission_option(**settings: Any) -> Callable[[Any], Any]:
    """Return the option for the profile of filters that name none."""
    return option(
        "--admission",
        env="ADMISSION",
        type=click.Choice([str(profile) for profile in Profile], case_sensitive=False),
        default=str(Profile.BASELINE),
        help="What manifests may ask for where a filter config does not say.",
        **settings,
    )


def _build(build: Callable[[Admit], click.Command]) -> click.Command:
    command = build(_admit)
    command.context_settings = CONTEXT
    for decorate in (
        engine_option(
            "The kind of engine to render for: what it cannot do is refused.",
            expose_value=False,
            callback=_remember,
        ),
        admission_option(expose_value=False, callback=_remember),
    ):
        command = decorate(command)
    return command


def _remember(context: click.Context, parameter: click.Parameter, value: str) -> None:
    context.meta[f"{__name__}.{parameter.name}"] = value.lower()


def _recall(name: str) -> str:
    return str(click.get_current_context().meta[f"{__name__}.{name}"])


def _admit(rendered: Rendered) -> Mapping[str, object]:
    policy = choose_policy(Profile(_recall("admission")), rendered.admission)
    admitted = admit(
        rendered.manifest, policy, api_version=NEWEST_API, log_driver=_DEFAULT_LOG_DRIVER
    )
    refuse_unsupported(find_unsupported(EngineKind(_recall("engine")), admitted.asked))
    return admitted.manifest


COMMANDS: Final[Mapping[str, Callable[[], click.Command]]] = {
    "check": partial(_build, build_check),
    "render": partial(_build, build_render),
}
"""By the word that a command line begins with, and that is then no jq program."""
