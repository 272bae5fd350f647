"""All filters of one generation, validated, and which of them serves a path."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from api.config.documents import ConfigDocument, explain_clash, find_unreadable, read_documents
from api.config.faults import ConfigFault, FieldPath
from api.config.source import YAML_SUFFIXES, SourceFile
from api.server.filters.config import KIND, FilterConfig, wrap
from api.server.filters.workers.patterns import translate
from api.server.filters.workers.protocol import CompileFault, WorkerSpec

_SHOWN = 80
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class FilterEntry:
    """A config and where it stands; ``document`` is None for a bare jq program."""

    config: FilterConfig
    file: str
    document: ConfigDocument | None = field(default=None, repr=False)

    def blame(
        self, path: FieldPath, message: str, line: int | None = None, column: int | None = None
    ) -> ConfigFault:
        """Return a fault in a field; ``line`` and ``column`` count inside the field's text."""
        if self.document is None:
            return ConfigFault(self.file, message, line=line, column=column)
        return self.document.blame(path, message, line, column)


@dataclass(frozen=True, slots=True)
class FilterCatalog:
    """The filters of one generation in the order of their files."""

    entries: tuple[FilterEntry, ...]
    routes: Mapping[str, int] = field(repr=False)

    def route(self, path: str) -> int | None:
        """Return the index of the filter with the longest path that covers ``path``."""
        while path:
            index = self.routes.get(path)
            if index is not None:
                return index
            path = path.rpartition("/")[0]
        return None

    def specify(self, environment: Mapping[str, str]) -> list[WorkerSpec]:
        """Return what workers need; a config's own ``env`` wins over ``environment``."""
        return [
            WorkerSpec(
                name=e.config.metadata.name,
                source=e.config.spec.filter,
                env={**environment, **e.config.spec.env},
                schema=e.config.spec.document_schema,  # type: ignore[arg-type]  # JSON is JSON
                rules=tuple((r.expression, r.message) for r in e.config.spec.rules),
                job=e.config.spec.job.show(),
            )
            for e in self.entries
        ]

    def check_variables(self, environment: Mapping[str, str]) -> list[ConfigFault]:
        """Return each variable that is set to what its filter says it does not take."""
        faults = []
        for entry in self.entries:
            spec = entry.config.spec
            seen = {**environment, **spec.env}
            for name, variable in spec.variables.items():
                value = seen.get(name)
                if value is not None and not re.search(translate(variable.pattern), value):
                    message = f"{name} takes {variable.takes}, not {value[:_SHOWN]!r}"
                    faults.append(entry.blame(("spec", "variables", name), message))
        return faults

    def explain(self, faults: Iterable[CompileFault]) -> list[ConfigFault]:
        """Return what workers found as faults with their places."""
        return [self.entries[f.number].blame(f.field, f.message, f.line, f.column) for f in faults]


def build_catalog(entries: Sequence[FilterEntry]) -> tuple[FilterCatalog, list[ConfigFault]]:
    """Return the catalog of ``entries``, and where two of them clash."""
    faults: list[ConfigFault] = []
    names: dict[str, FilterEntry] = {}
    routes: dict[str, int] = {}
    for index, entry in enumerate(entries):
        name = entry.config.metadata.name
        if name in names:
            faults.append(_clash(entry, ("metadata", "name"), name, names[name]))
        names.setdefault(name, entry)
        spec = entry.config.spec
        for i, path in enumerate(spec.served):
            if path in routes:
                where: FieldPath = ("spec", "path") if spec.path else ("spec", "paths", i)
                faults.append(_clash(entry, where, path, entries[routes[path]]))
            routes.setdefault(path, index)
    return FilterCatalog(tuple(entries), routes), faults


def read_catalog(files: Sequence[SourceFile]) -> tuple[FilterCatalog, list[ConfigFault]]:
    """Return the catalog of what is valid in ``files``, and every fault found in the rest.

    What only jq can judge is judged later, by a worker (``FilterCatalog.explain``).
    """
    entries: list[FilterEntry] = []
    faults: list[ConfigFault] = []
    for file in files:
        good, bad = _read_file(file)
        entries.extend(good)
        faults.extend(bad)
    catalog, clashes = build_catalog(entries)
    return catalog, faults + clashes


def _read_file(file: SourceFile) -> tuple[list[FilterEntry], list[ConfigFault]]:
    if not file.name.endswith(YAML_SUFFIXES):
        return _read_program(file)
    documents, faults = read_documents(file)
    entries: list[FilterEntry] = []
    for document in documents:
        if document.kind == KIND:
            parsed = document.parse(FilterConfig)
            if isinstance(parsed, FilterConfig):
                entries.append(FilterEntry(parsed, file.name, document))
            else:
                faults.extend(parsed)
    return entries, faults


def _read_program(file: SourceFile) -> tuple[list[FilterEntry], list[ConfigFault]]:
    if (fault := find_unreadable(file)) is not None:
        return [], [fault]
    try:
        source = file.content.decode()
    except UnicodeDecodeError as error:
        line = file.content.count(b"\n", 0, error.start) + 1
        return [], [ConfigFault(file.name, "not UTF-8", line=line)]
    if not source:
        return [], [ConfigFault(file.name, "no jq program in this file")]
    stem = file.name.rpartition("/")[2].partition(".")[0].lower()
    name = _NOT_IN_A_NAME.sub("-", stem).strip(".-")[:63].rstrip(".-")
    return [FilterEntry(wrap(name or "file", source), file.name)], []


def _clash(entry: FilterEntry, path: FieldPath, value: str, first: FilterEntry) -> ConfigFault:
    return entry.blame(path, explain_clash(value, first.file, first.document))
