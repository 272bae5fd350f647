"""What the models of all kinds have in common: camelCase, nothing unknown, nothing converted."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# pydantic reads Rust's expressions, where $ is the very end
_NAME = r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"

ConfigName = Annotated[str, Field(pattern=_NAME)]
"""What a document is called."""

Text = Annotated[str, Field(min_length=1)]
"""A string that is not empty."""


class ConfigModel(BaseModel):
    """A part of a config document."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=False
    )


class ConfigMetadata(ConfigModel):
    """What a document is called; names are unique within a kind."""

    name: ConfigName
    description: str | None = None
