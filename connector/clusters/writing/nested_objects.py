"""The nested objects of a document: each, at each level, is a document of its own to the engine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JSON = dict[str, Any]
Branches = Mapping[str, "NestedBranch"]


@dataclass(frozen=True, slots=True)
class NestedBranch:
    """A field of a mapping that is nested, an object with such a field below it, or a vector in a nested object."""

    kind: Literal["nested", "object", "vector"]
    below: Branches = field(default_factory=dict)


def read_branches(mapping: JSON, *, without: Collection[str] = ()) -> Branches:
    """The part of a mapping that says which objects of a document are nested, without those fields at its root."""
    properties = mapping.get("properties", {})
    return _read({name: definition for name, definition in properties.items() if name not in without}, is_inside=False)


def _read(properties: JSON, *, is_inside: bool) -> Branches:
    """`is_inside`: whether these are fields of nested objects."""
    found: dict[str, NestedBranch] = {}
    for name, definition in properties.items():
        is_nested = definition.get("type") == "nested"
        if str(definition.get("enabled", True)).lower() == "false":
            continue  # the engine passes over what is in it
        below = _read(definition.get("properties", {}), is_inside=is_inside or is_nested)
        if definition.get("type") == "knn_vector" and is_inside:
            found[name] = NestedBranch("vector")
        elif is_nested or below:
            found[name] = NestedBranch("nested" if is_nested else "object", below)
    return found


def nested_paths(branches: Branches, prefix: str = "") -> list[str]:
    """The nested fields that are in no other one, by their paths."""
    paths: list[str] = []
    for name, branch in branches.items():
        paths += [prefix + name] if branch.kind == "nested" else nested_paths(branch.below, f"{prefix}{name}.")
    return paths


def may_have_vectors(branches: Branches) -> bool:
    """Whether a mapping has vectors in nested objects."""
    return any(branch.kind == "vector" or may_have_vectors(branch.below) for branch in branches.values())


def count_objects(source: JSON, branches: Branches) -> int:
    """How many nested objects the engine makes of a source: of lists in lists too, and of keys with dots in them; none
    of null."""
    return sum(
        (branch.kind == "nested") + count_objects(inner, branch.below) for branch, inner in _objects(source, branches)
    )


def holds_vectors(source: JSON, branches: Branches) -> bool:
    """Whether a nested object of a source has a vector."""
    if any(branch.kind == "vector" and value is not None for branch, value in _values(source, branches)):
        return True
    return any(holds_vectors(inner, branch.below) for branch, inner in _objects(source, branches))


def _objects(source: JSON, branches: Branches) -> Iterator[tuple[NestedBranch, JSON]]:
    """The objects in a source that lie at a branch, with it."""
    for branch, value in _values(source, branches):
        if branch.kind != "vector":
            yield from ((branch, inner) for inner in _flat(value))


def _values(source: JSON, branches: Branches) -> Iterator[tuple[NestedBranch, Any]]:
    for key, value in source.items():
        name, _, rest = key.partition(".")
        if branch := branches.get(name):
            yield from _values({rest: value}, branch.below) if rest else [(branch, value)]


def _flat(value: Any) -> Iterator[JSON]:
    if isinstance(value, list):
        for element in value:
            yield from _flat(element)
    elif isinstance(value, dict):
        yield value
