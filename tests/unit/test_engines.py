"""The table of engines tells what pytest's report tells, and hides nothing."""

import pytest

from tests.engines import Reported, Result, draw_table, read_report

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="one"/>
<testcase classname="tests.a" name="two">
  <properties><property name="engine" value="real"/>
  <property name="difference" value="since 26: lists late"/></properties>
</testcase>
<testcase classname="tests.a" name="three"><failure message="no">no</failure></testcase>
<testcase classname="tests.b" name="four"><error message="no">no</error></testcase>
<testcase classname="tests.b" name="five"><skipped message="no">no</skipped></testcase>
</testsuite></testsuites>"""


def make_result(name: str, *, chaos: bool | None = True, failed: tuple[str, ...] = ()) -> Result:
    differences = frozenset({"since 26: lists late"} if name != "installed" else ())
    return Result(name, "28.5.2", "1.51", Reported(9, failed, differences), chaos)


def test_what_was_skipped_or_did_not_begin_has_failed() -> None:
    assert read_report(REPORT) == Reported(
        passed=2,
        failed=("tests.a::three", "tests.b::four", "tests.b::five"),
        differences=frozenset({"since 26: lists late"}),
    )


def test_the_table_names_what_failed_and_every_difference_once() -> None:
    results = [
        make_result("installed", chaos=None),
        make_result("trixie", chaos=False, failed=("tests.a::three",)),
        make_result("sid"),
    ]
    assert draw_table(results) == [
        "engine     version  API   passed  failed  differences  chaos",
        "installed  28.5.2   1.51  9       0       0            -",
        "trixie     28.5.2   1.51  9       1       1            failed",
        "sid        28.5.2   1.51  9       0       1            passed",
        "failed on trixie: tests.a::three",
        "since 26: lists late (trixie, sid)",
    ]


@pytest.mark.parametrize(
    ("result", "is_well"),
    [
        (make_result("sid"), True),
        (make_result("sid", chaos=None), True),
        (make_result("sid", chaos=False), False),
        (make_result("sid", failed=("a",)), False),
        (Result("sid", "28", "1.51", read_report("<none/>"), chaos=True), False),
    ],
)
def test_an_engine_is_well_where_something_ran_and_nothing_failed(
    result: Result, *, is_well: bool
) -> None:
    assert result.is_well is is_well
