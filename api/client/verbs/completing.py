"""``completion``: what makes a shell complete the command."""

import click
from click.shell_completion import get_completion_class

from api.client.completion import VARIABLE
from api.client.context import Context, pass_context
from api.client.plugin import PROGRAM


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_context
def write_completion(context: Context, shell: str) -> None:
    """Write the script with which a shell completes docker-job, ids and queues too.

    For bash: source <(docker-job completion bash). Docker's own completion completes `docker job`.
    """
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    context.output.write(found(root, {}, PROGRAM, VARIABLE).source())
