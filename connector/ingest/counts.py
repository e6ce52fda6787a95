"""Counts that a job adds to while it runs: frozen, so that whoever is shown them may keep them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


def added(counts: C, **more: int) -> C:
    """The counts, with so much more of each that is named."""
    return replace(counts, **{name: getattr(counts, name) + number for name, number in more.items()})
