"""The types of fields, and what is particular about an index that somebody else made: where texts and vectors lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

FieldType = Literal["keyword", "keyword[]", "integer", "number", "boolean", "date", "stored"]
FIELD_TYPES: tuple[str, ...] = get_args(FieldType)
# and those of fields in somebody else's index; of "engine", any other type, the engine itself says which values fit
AnyFieldType = Literal["keyword", "keyword[]", "integer", "number", "boolean", "date", "date_nanos", "stored", "engine"]


@dataclass(frozen=True, slots=True)
class TextPlace:
    """Where the text of a field of somebody else's index is to be had. All empty: nowhere, and `why_not` says why."""

    source: tuple[str, ...] = ()  # paths in `_source`
    stored: tuple[str, ...] = ()  # fields that are stored beside it
    columns: tuple[str, ...] = ()  # fields with doc values
    computed: tuple[str, ...] = ()  # fields that the engine works out for each document
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class VectorField:
    """A vector field: its dimensions and similarity, what a component is (float, byte or bit), and whether it is
    indexed."""

    dims: int
    similarity: str
    element: str = "float"
    indexed: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """What is particular about an index that somebody else made.

    `places` says where the text of each text field is, `analyzed` under which names the engine looks terms up;
    `nested` names
    the nested object that a field is in; `vectors` are the fields that no hit shows."""

    places: Mapping[str, TextPlace] = field(default_factory=dict)
    analyzed: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # text field -> (field, path of its text)
    nested: Mapping[str, str] = field(default_factory=dict)
    vectors: tuple[str, ...] = ()
    vector: VectorField | None = None
    has_source: bool = True

    def place(self, name: str) -> TextPlace:
        return self.places.get(name) or TextPlace(source=(name,))


class FilterableFields(Mapping[str, AnyFieldType]):
    """Types of fields by name. Below each of the `roots` every name is a field: `labels.owner` of a flattened
    `labels`."""

    def __init__(self, types: Mapping[str, AnyFieldType], roots: Iterable[str] = ()) -> None:
        self._types = dict(types)
        self._roots = tuple(f"{root}." for root in roots)

    def __getitem__(self, name: str) -> AnyFieldType:
        if name not in self._types and name.startswith(self._roots) and self._roots:
            return "engine"
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __repr__(self) -> str:
        return f"FilterableFields({self._types!r}, roots={self._roots!r})"
