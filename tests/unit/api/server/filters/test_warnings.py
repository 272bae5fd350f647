"""``check`` warns of rules that pass what they forbid, and of nothing else."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.server.filters.commands import check
from tests.support.filter_configs import config

MEMORY = "HostConfig.Memory is absent, 0, -1"
LOOSE = [
    (".HostConfig.Memory <= 1073741824", [MEMORY]),
    (".HostConfig.Memory < 1073741824", [MEMORY]),
    ("1073741824 >= .HostConfig.Memory", [MEMORY]),
    (".HostConfig.Memory > 1073741824 | not", [MEMORY]),
    ("(.HostConfig.Memory // 0) <= 1073741824", [MEMORY]),
    ('.HostConfig["Memory"] <= 1e9', [MEMORY]),
    (".HostConfig.Memory / 1048576 <= 1024", ["HostConfig.Memory is 0, -1"]),
    (".HostConfig.Memory != 0 and .HostConfig.Memory <= 1e9",
     ["HostConfig.Memory is absent, -1"]),
    (".HostConfig.Memory // 0 | . >= 0 and . <= 1e9", ["HostConfig.Memory is absent, 0"]),
    (".HostConfig | .Memory <= 1e9 and .PidsLimit <= 100",
     [MEMORY, "HostConfig.PidsLimit is absent, 0, -1"]),
    (".HostConfig.NanoCpus <= 2000000000", ["HostConfig.NanoCpus is absent, 0"]),
    (".HostConfig.MemorySwap <= 2e9", ["HostConfig.MemorySwap is absent, 0, -1"]),
    (".HostConfig.CpuQuota <= 100000", ["HostConfig.CpuQuota is absent, 0, -1"]),
    (".HostConfig.RestartPolicy.MaximumRetryCount < 10",
     ["HostConfig.RestartPolicy.MaximumRetryCount is absent, 0"]),
    (".StopTimeout <= 60", ["StopTimeout is -1"]),
]  # fmt: skip
TIGHT = [
    ".HostConfig.Memory // 0 | 0 < . and . <= 1073741824",
    ".HostConfig.Memory | . != null and . >= 6291456 and . <= 1073741824",
    ".HostConfig.Memory == 536870912",
    ".HostConfig.Memory >= 6291456",
    '.HostConfig.RestartPolicy | .Name == "no" or (.MaximumRetryCount // 0 | 0 < . and . < 10)',
    ".HostConfig.ShmSize <= 67108864",
    '.Image | startswith("Memory")',
    "true",
]


class Configs:
    """Filters to be checked at once: starting a process for each would take long."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "f.yaml"
        self.texts: list[str] = []

    def add(self, *rules: str, extra: str = "", jq: str = ".") -> None:
        number = len(self.texts)
        lines = "".join(f"  - {{expression: {json.dumps(r)}, message: m}}\n" for r in rules)
        extra = f"  rules:\n{lines}{extra}" if rules else extra
        self.texts.append(config(f"f{number}", f"/job/f{number}", extra, jq))

    def check(self) -> list[list[str]]:
        """Return the warnings of each config."""
        self.file.write_text("---\n".join(self.texts))
        result = CliRunner().invoke(check, [str(self.file)])
        assert result.exit_code == 0, result.stderr
        lines = result.stderr.splitlines()
        assert all(line.startswith(f"warning: {self.file}:") for line in lines)
        assert (", with " in result.stdout) is bool(lines)
        return [
            [line for line in lines if f": document {number}: " in line]
            for number in range(1, len(self.texts) + 1)
        ]


@pytest.fixture
def configs(tmp_path: Path) -> Configs:
    return Configs(tmp_path)


def test_an_upper_bound_that_a_missing_limit_passes(configs: Configs) -> None:
    for rule, _ in LOOSE:
        configs.add("true", rule)
    for (rule, words), found in zip(LOOSE, configs.check(), strict=True):
        assert len(found) == len(words), (rule, found)
        for word in words:
            [line] = [line for line in found if f"where {word}, which" in line]
            assert ": spec.rules[1].expression: " in line


def test_bounds_that_hold_are_not_warned_of(configs: Configs) -> None:
    for rule in TIGHT:
        configs.add(rule)
    assert configs.check() == [[]] * len(TIGHT)


def test_another_rule_may_be_there_to_forbid_it(configs: Configs) -> None:
    configs.add(".HostConfig.Memory <= 1e9", "(.HostConfig.Memory // 0) > 0")
    configs.add(".HostConfig.Memory <= 1e9", "(.HostConfig.PidsLimit // 0) > 0")
    forbidden, passed = configs.check()
    assert (len(forbidden), len(passed)) == (0, 1)


def test_the_manifests_of_examples_are_tried_too(configs: Configs) -> None:
    rule = '(.Image | startswith("ours/")) and .HostConfig.Memory <= 1e9'
    extra = "  examples: [{document: {Image: ours/a, HostConfig: {Memory: 9}}, contains: {}}]\n"
    configs.add(rule)
    configs.add(rule, extra=extra)
    without, [found] = configs.check()
    assert without == []
    assert MEMORY in found


PATTERNS = [
    ('.Image | test("^ours/[a-z]+$")', ["$ matches"]),
    ('.Image | test("^ours/[a-z]+\\\\z")', []),
    ('.Image | test("^ours/[a-z]+\\\\Z")', ["\\Z matches"]),
    ('.Image | test( ["^a$", "i"] )', ["$ matches"]),
    ('.Image | test("^(a|b$)")', ["$ matches"]),
    ('[.Image | match("a$"; "g")] | length == 1', ["$ matches"]),
    ('.Image | test("^[$]\\\\$a")', []),
    ('.Image | test("\\\\[a$")', ["$ matches"]),
    ('.Image | test("^\\\\d+\\\\z")', ["\\d takes"]),
    ('.Image | test("^[\\\\d-]+\\\\z")', ["\\d takes"]),
    ('.Image | test("^\\\\\\\\d")', []),
    ('.Image | test("a\\("b$" | length)c")', []),
    ('.Image == "costs 5$"', []),
    ('.Image | sub("$"; "x") != ""', []),
]  # fmt: skip


def test_an_end_that_is_none_in_a_test_of_jq(configs: Configs) -> None:
    for source, _ in PATTERNS:
        configs.add(source)
    for (source, words), found in zip(PATTERNS, configs.check(), strict=True):
        assert len(found) == len(words), (source, found)
        for word, line in zip(words, found, strict=True):
            assert word in line
            assert ": jq line 1, column " in line


def test_patterns_in_filters_are_read_too(configs: Configs) -> None:
    configs.add(jq='if .a | test("^b$") then . else error("no") end')
    [[found]] = configs.check()
    assert ":6: document 1: spec.filter: jq line 1, column 9: test: $ matches" in found


TIMEOUTS = [
    ({"Entrypoint": ["timeout", "90", "a"]}, ["process 1", "without -k"]),
    ({"Entrypoint": ["timeout", "90", "a"], "HostConfig": {"Init": True}}, ["without -k"]),
    ({"Cmd": ["/usr/bin/timeout", "-k", "5", "90", "a"]}, ["process 1"]),
    ({"Entrypoint": ["timeout", "--kill-after=10", "9", "a"], "HostConfig": {"Init": True}},
     ["unknown to busybox"]),
    ({"Entrypoint": ["timeout"], "Cmd": ["-k5", "9", "a"], "HostConfig": {"Init": True}}, []),
    ({"Entrypoint": ["timeout", "-s", "INT", "-k", "5", "9", "a"], "HostConfig": {"Init": False}},
     ["process 1"]),
    ({"Entrypoint": ["sh", "-c", "timeout 9 a"]}, []),
    ({"Entrypoint": "timeout 9 a"}, []),
]  # fmt: skip


def test_a_limit_of_time_that_does_not_hold_in_every_image(configs: Configs) -> None:
    for manifest, _ in TIMEOUTS:
        example = json.dumps({"document": manifest, "contains": {}})
        configs.add(extra=f"  examples: [{example}, {example}]\n")
    for (manifest, words), found in zip(TIMEOUTS, configs.check(), strict=True):
        assert len(found) == len(words), (manifest, found)
        for word, line in zip(words, found, strict=True):
            assert word in line
            assert ": spec.filter: timeout" in line
