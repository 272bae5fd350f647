"""The OpenAPI document: written by hand in the YAML file beside this module, served as JSON."""

from pathlib import Path
from typing import Any

import yaml

from api.runtime.version import VERSION


def load() -> dict[str, Any]:
    """Return the document as clients get it: with the package's version, without YAML anchors."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)
    document["info"]["version"] = VERSION
    return {key: part for key, part in document.items() if not key.startswith("x-")}
