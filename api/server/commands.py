"""The commands beside serving: ``check`` and ``render``, with the admission of serving."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import click

from api.engine.docker.connection import NEWEST_API
from api.runtime.options import CONTEXT, option
from api.server.admission.admit import admit, choose_policy
from api.server.admission.settings import Profile
from api.server.filters.commands import build_check, build_render
from api.server.filters.examples import Admit
from api.server.filters.service import Rendered

_KEY: Final = __name__
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
    decorated: click.Command = admission_option(expose_value=False, callback=_remember)(command)
    return decorated


def _remember(context: click.Context, _parameter: click.Parameter, value: str) -> None:
    context.meta[_KEY] = Profile(value)


def _admit(rendered: Rendered) -> Mapping[str, object]:
    profile: Profile = click.get_current_context().meta[_KEY]
    policy = choose_policy(profile, rendered.admission)
    admitted = admit(
        rendered.manifest, policy, api_version=NEWEST_API, log_driver=_DEFAULT_LOG_DRIVER
    )
    return admitted.manifest


COMMANDS: Final[Mapping[str, Callable[[], click.Command]]] = {
    "check": partial(_build, build_check),
    "render": partial(_build, build_render),
}
"""By the word that a command line begins with, and that is then no jq program."""
