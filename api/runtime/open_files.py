"""How many files, connections among them, this process may have open."""

import resource


def raise_file_limit() -> None:
    """Raise the soft limit to the hard one: often 1,024, for programs that use ``select``."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
