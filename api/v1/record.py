"""Values that are made several times in a job's life: frozen for the type checker alone."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(kind: type[T]) -> type[T]:
    """Make a dataclass with slots, compared and hashed by value; mypy refuses to change one.

    One that is frozen at run time too sets each field through ``object.__setattr__``: to make a
    ``Job`` takes five times as long.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)
