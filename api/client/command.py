"""The command itself: its verbs, and how what goes wrong becomes an exit status."""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Final

import click
from click.shell_completion import shell_complete

from api.client.completion import VARIABLE, complete_for_docker
from api.client.context import Context
from api.client.docker_cli import heed
from api.client.errors import ClientError
from api.client.plugin import PROGRAM, Invocation
from api.client.status import FINE, INTERRUPTED, READER_LEFT, TROUBLE, USAGE

_VERBS: Final = {
    "submit": "submitting:submit",
    "run": "submitting:run",
    "ls": "listing:list_jobs",
    "show": "listing:show_job",
    "logs": "logging:show_logs",
    "wait": "waiting:wait_for_jobs",
    "cancel": "cancelling:cancel",
    "queues": "listing:list_queues",
    "completion": "completing:write_completion",
}
"""Each verb's module and function, in the order of --help."""
_EPILOG: Final = (
    "DJD_URL says where the server is (http://127.0.0.1:8000), DJD_TOKEN_FILE or DJD_TOKEN who"
    " asks, DJD_CA whom to trust, DJD_PATIENCE for how many seconds a lost server is tried again"
    " (300). Exit status: 0; of `run` and of `wait` for one job its own; 1 if"
    " a job did not succeed; 2 usage; 124 the time is up; 125 trouble of ours or the server's;"
    " 130 interrupted; 141 the reader of its output has left."
)


class Verbs(click.Group):
    """The verbs; one is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        del ctx
        return [*_VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of them, None for what is none."""
        del ctx
        if cmd_name not in _VERBS:
            return None
        module, _, name = _VERBS[cmd_name].partition(":")
        found = getattr(import_module(f"api.client.verbs.{module}"), name)
        assert isinstance(found, click.Command)
        return found


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(package_name="docker-job-dispatcher", message="%(prog)s %(version)s")
def group() -> None:
    """Run and watch jobs of a docker-job-dispatcher."""


def execute(invocation: Invocation) -> int:
    """Carry out a command line; return its exit status."""
    context = Context(invocation.program)
    if invocation.completes:
        lines = complete_for_docker(group, invocation.arguments)
        return _guard(context, lambda: context.output.out.writelines(f"{n}\n" for n in lines))

    if asked := os.environ.get(VARIABLE):
        return shell_complete(group, {}, PROGRAM, VARIABLE, asked)

    if invocation.program != PROGRAM:
        heed(os.environ)

    def call() -> object:
        # not by main(), which makes 1 of a reader that has left
        arguments = [*invocation.arguments]
        with group.make_context(invocation.program, arguments, obj=context) as made:
            return group.invoke(made)

    return _guard(context, call)


def _guard(context: Context, call: Callable[[], object]) -> int:
    """Return the exit status of a call, and say why it failed."""
    try:
        status = call()
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        context.output.before_words()
        error.show()
        return USAGE
    except ClientError as error:
        context.output.say(str(error))
        return error.status
    except BrokenPipeError:
        # whoever read has enough; what is left in the buffer would complain at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_LEFT
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - a fault of ours has the status of trouble, and is shown
        import traceback

        traceback.print_exc()
        return TROUBLE
    return status if isinstance(status, int) else FINE
