"""Documents of kind Queue: strictly read, and made into the queues of both processes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from api.config.documents import ConfigDocument, explain_clash, read_documents
from api.config.faults import ConfigError, ConfigFault
from api.config.models import ConfigMetadata, ConfigModel
from api.config.source import YAML_SUFFIXES, SourceFile
from api.v1.queue import Queue

KIND: Final = "Queue"
MOST_QUEUES: Final = 1000
_MOST: Final = 1_000_000

Amount = Annotated[int, Field(ge=0, le=_MOST)]


class QueueSpec(ConfigModel):
    """What a queue allows; see :class:`api.v1.queue.Queue`."""

    max_concurrent: Amount | None = None
    weight: int = Field(default=1, ge=1, le=1000)
    max_pending: Amount | None = None
    paused: bool = False


class QueueConfig(ConfigModel):
    """One document of kind Queue."""

    api_version: Literal["docker-job-dispatcher/v1"]
    kind: Literal["Queue"]
    metadata: ConfigMetadata
    spec: QueueSpec = QueueSpec()


def read_queues(files: Sequence[SourceFile]) -> Mapping[str, Queue]:
    """Return the queues in ``files`` by name; documents of other kinds are for others to judge.

    Raises ``ConfigError`` that names every fault.
    """
    found: dict[str, tuple[Queue, ConfigDocument]] = {}
    faults: list[ConfigFault] = []
    for file in files:
        documents, unreadable = _read(file)
        faults.extend(unreadable)
        for document in documents:
            config = document.parse(QueueConfig)
            if not isinstance(config, QueueConfig):
                faults.extend(config)
                continue
            name = config.metadata.name
            if name in found:
                first = found[name][1]
                message = explain_clash(name, first.file, first)
                faults.append(document.blame(("metadata", "name"), message))
            found.setdefault(name, (_build(config), document))
    if len(found) > MOST_QUEUES:
        faults.append(ConfigFault(files[0].name, f"more than {MOST_QUEUES} queues"))
    if faults:
        raise ConfigError(faults)
    return {name: queue for name, (queue, _) in found.items()}


def _read(file: SourceFile) -> tuple[Iterable[ConfigDocument], Sequence[ConfigFault]]:
    if not file.name.endswith(YAML_SUFFIXES):
        return (), ()  # a bare jq program
    documents, faults = read_documents(file)
    return (document for document in documents if document.kind == KIND), faults


def _build(config: QueueConfig) -> Queue:
    spec = config.spec
    return Queue(
        config.metadata.name, spec.max_concurrent, spec.weight, spec.max_pending, spec.paused
    )
