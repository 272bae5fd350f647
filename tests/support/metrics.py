"""Metrics read as a scraper reads them, and the table that describes them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from api.runtime.metrics import expose

TABLE = Path(__file__).parents[2] / "manifests" / "prometheus" / "README.md"
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def read_families(registry: CollectorRegistry) -> list[Metric]:
    """Return what a scrape shows, by way of OpenMetrics' strict text."""
    text, content_type = expose(registry, _OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    parse: Any = text_string_to_metric_families
    return list(parse(text.decode()))


def read_samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Return every value by the sample's name, then by its labels as ``name=value``, sorted."""
    return {
        (sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in read_families(registry)
        for sample in family.samples
    }


def describe(families: Iterable[Metric]) -> dict[str, tuple[str, set[str]]]:
    """Return type and labels by name, those that have been seen."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for family in families
    }


def read_table(process: str) -> dict[str, tuple[str, set[str]]]:
    """Return type and labels by name of the metrics that ``process`` has by the table."""
    found = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and cells[1] in {process, "both"}:
            found[cells[0].strip("`")] = (cells[2], set(re.findall(r"`(\w+)`", cells[3])))
    return found
