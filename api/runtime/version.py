"""The version that both processes tell."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("docker-job-dispatcher")
