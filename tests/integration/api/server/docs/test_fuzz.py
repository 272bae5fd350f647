"""The OpenAPI document is true, and nothing gets through: a short run of ``hack/fuzz``."""

import pytest

from tests.fuzz.oracle import find_escapes
from tests.fuzz.run import fuzz
from tests.support.private_engine import IMAGE, PrivateEngine


# Hypothesis spells a strategy out when it refuses what that has drawn
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_no_request_gets_an_undocumented_answer_or_leaves_what_it_was_refused(
    private_engine: PrivateEngine, namespace: str
) -> None:
    report = fuzz(private_engine, namespace, requests=150, first_seed=8, longest=2.0)
    assert report.by_schema + report.by_shots >= 150
    assert report.cancelled > 0, "nothing was cancelled: no DELETE has found the job that waits"
    assert report.created > 0, "nothing was recorded: the run has shown nothing"
    assert {200, 201, 400, 403, 404, 405, 415} <= set(report.codes)


@pytest.mark.parametrize(
    "options",
    [
        ("--privileged",),
        ("--cap-add", "SYS_ADMIN"),
        ("--network", "host"),
        ("--pid", "host"),
        ("-v", "/etc:/etc"),
        ("--mount", "type=bind,source=/etc,target=/x"),
        (
            "--mount",
            "type=volume,target=/x,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc",
        ),
    ],
    ids=" ".join,
)
def test_the_oracle_sees_a_container_that_reaches_the_host(
    private_engine: PrivateEngine, options: tuple[str, ...]
) -> None:
    container = private_engine.docker("create", *options, IMAGE, "true").stdout.strip()
    try:
        assert list(find_escapes(private_engine.inspect(container)))
    finally:
        private_engine.docker("rm", "-v", container)
