"""The option for the hosts that requests may name, which both processes have."""

from collections.abc import Callable
from typing import Any

import click

from api.http.origins import is_bare_host
from api.runtime.options import option


class Host(click.ParamType[str]):
    """A host's name or address, without a port."""

    name = "host"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the host as it is."""
        if not is_bare_host(value):
            self.fail(f"{value!r} is not a host's name or address without a port", param, ctx)
        return value


def allowed_host_option() -> Callable[[Any], Any]:
    """Return the option ``allowed_host``, which may be repeated."""
    return option(
        "--allowed-host",
        env="ALLOWED_HOST",
        type=Host(),
        multiple=True,
        help="A further host that requests may name; may be repeated."
        " Loopback names and the address listened on are always allowed.",
    )
