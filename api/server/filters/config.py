"""The filter config as operators write it: a Kubernetes-style document of kind Filter."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from api.config.documents import API_VERSION
from api.config.models import ConfigMetadata, ConfigModel, ConfigName, Text
from api.server.admission.settings import AdmissionSettings
from api.server.admission.wishes import LONGEST_SHARE, read_duration
from api.server.filters.workers.patterns import translate
from api.v1.times import count_seconds
from api.v1.wishes import PRIORITIES, NodeLoss

KIND: Final = "Filter"
_PATH = re.compile(r"/job(/[^/\x00-\x1f\x7f]+)*")
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class PullPolicy(StrEnum):
    """Whether a missing image is pulled before a container is created."""

    NEVER = "Never"
    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"


class ConflictPolicy(StrEnum):
    """What becomes of another document under the name of a job that is there."""

    REFUSE = "refuse"
    EXISTING = "existing"
    """The answer names the job that is there, as the original's does."""


def _check_path(path: str) -> str:
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError(
            "a path is /job or lies below it, without a trailing slash and empty or dot segments"
        )
    return path


def _check_pattern(pattern: str) -> str:
    translate(pattern)
    return pattern


JobPath = Annotated[str, AfterValidator(_check_path)]
VariableName = Annotated[str, Field(pattern=_VARIABLE)]
Environment = dict[VariableName, str]


class FilterRule(ConfigModel):
    """A predicate in jq on the manifest; it holds if it has outputs and all are ``true``."""

    expression: Text
    message: Text


class ExpectedRefusal(ConfigModel):
    """The refusal an example expects: its reason and, if set, a part of its message."""

    reason: Text
    message: str | None = None


class FilterExample(ConfigModel):
    """A document and what must become of it; one of ``manifest``, ``contains`` and ``error``."""

    name: str | None = None
    path: JobPath | None = None
    env: Environment = Field(default_factory=dict)
    document: JsonValue
    manifest: JsonValue = None
    contains: dict[str, JsonValue] | None = None
    error: ExpectedRefusal | None = None

    @model_validator(mode="after")
    def _expect_one_thing(self) -> Self:
        expected = self.model_fields_set & {"manifest", "contains", "error"}
        if len(expected) != 1:
            raise ValueError("an example expects exactly one of manifest, contains and error")
        return self


class FilterVariable(ConfigModel):
    """What an environment variable that the filter reads must be, where it is set."""

    pattern: Annotated[str, AfterValidator(_check_pattern)]
    takes: Text
    """Told whoever sets it to something else."""


def _check_duration(value: str | float) -> str | float:
    duration = read_duration(value)
    if duration is None:
        raise ValueError("expected seconds, or a text such as 90s, 15m, 2h or 1d")
    return value


def _check_limit(value: str | float) -> str | float:
    if not read_duration(_check_duration(value)):
        raise ValueError("must be more than 0: no job would ever run")
    return value


Duration = Annotated[str | int | float, AfterValidator(_check_duration)]
Limit = Annotated[str | int | float, AfterValidator(_check_limit)]


class JobDefaults(ConfigModel):
    """What stands under the manifest's key ``Job`` where the filter leaves it out."""

    queue: ConfigName | None = None
    priority: int | None = Field(default=None, ge=PRIORITIES[0], le=PRIORITIES[-1])
    share: str | None = Field(default=None, max_length=LONGEST_SHARE)
    start_by: Limit | None = None
    run_for: Limit | None = None
    keep_for: Duration | None = None
    on_node_loss: NodeLoss | None = Field(default=None, strict=False)

    def show(self) -> dict[str, object]:
        """Return them as the manifest spells them, durations in seconds."""
        durations = {"StartBy": self.start_by, "RunFor": self.run_for, "KeepFor": self.keep_for}
        members: dict[str, object] = {
            "Queue": self.queue,
            "Priority": self.priority,
            "Share": self.share,
            **{key: count_seconds(read_duration(value)) for key, value in durations.items()},
            "OnNodeLoss": None if self.on_node_loss is None else str(self.on_node_loss),
        }
        return {key: value for key, value in members.items() if value is not None}


class FilterSpec(ConfigModel):
    """What a filter does and for which paths."""

    path: JobPath | None = None
    paths: tuple[JobPath, ...] = Field(default=(), strict=False)
    document_schema: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    env: Environment = Field(default_factory=dict)
    variables: dict[VariableName, FilterVariable] = Field(default_factory=dict)
    filter: Text
    rules: tuple[FilterRule, ...] = Field(default=(), strict=False)
    admission: AdmissionSettings = AdmissionSettings()
    job: JobDefaults = JobDefaults()
    pull: PullPolicy | None = Field(default=None, strict=False)
    on_conflict: ConflictPolicy = Field(default=ConflictPolicy.REFUSE, strict=False)
    examples: tuple[FilterExample, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _name_paths_once(self) -> Self:
        if (self.path is None) == (not self.paths):
            raise ValueError("give either path or paths")
        return self

    @property
    def served(self) -> tuple[str, ...]:
        """The paths this filter serves, each with those below it."""
        return self.paths if self.path is None else (self.path,)


class FilterConfig(ConfigModel):
    """One document of kind Filter."""

    api_version: Literal["docker-job-dispatcher/v1"]
    kind: Literal["Filter"]
    metadata: ConfigMetadata
    spec: FilterSpec


def wrap(
    name: str, source: str, variables: Mapping[str, Mapping[str, str]] | None = None
) -> FilterConfig:
    """Return the config that a bare jq program stands for: every path, as the original does."""
    return FilterConfig.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name},
            "spec": {
                "path": "/job",
                "filter": source,
                "variables": variables or {},
                "onConflict": ConflictPolicy.EXISTING,
            },
        }
    )
