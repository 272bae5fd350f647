"""The name of the lease's config: one for each namespace, and one that a swarm takes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from api.engine.swarm.lease import name_lease


@given(st.text(min_size=1, max_size=128))
def test_any_namespace_makes_a_name_that_a_swarm_takes(namespace: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}[a-z0-9]", name_lease(namespace))


def test_namespaces_that_differ_in_case_alone_have_two() -> None:
    assert name_lease("Team") != name_lease("team") == name_lease("team")
