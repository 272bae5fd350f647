"""Filter configs for tests: a small one to vary, and where those to learn from stand."""

from pathlib import Path

MANIFESTS = Path(__file__).parents[2] / "manifests" / "filters"


def config(name: str = "a", path: str = "/job", extra: str = "", jq: str = ".") -> str:
    """Return a config whose ``spec`` ends with the lines ``extra``, from line 7 on."""
    return (
        "apiVersion: docker-job-dispatcher/v1\nkind: Filter\n"
        f"metadata: {{name: {name}}}\nspec:\n  path: {path}\n  filter: '{jq}'\n{extra}"
    )
