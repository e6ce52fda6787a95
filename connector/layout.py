"""The types of fields, and what is particular about an index that somebody else made: where texts and vectors lie, and
which indices a name stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import quote, unquote

FieldType = Literal["keyword", "keyword[]", "integer", "number", "boolean", "date", "stored"]
FIELD_TYPES: tuple[str, ...] = get_args(FieldType)
# and those of fields in somebody else's index; of "engine", any other type, the engine itself says which values fit
AnyFieldType = Literal["keyword", "keyword[]", "integer", "number", "boolean", "date", "date_nanos", "stored", "engine"]

LISTED = 3  # indices that a message names


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
class Address:
    """Where a document is: its index, its `_id` there, and the routing that it was written with, where that tells it
    from others."""

    index: str
    id: str
    routing: str | None = None


@dataclass(frozen=True, slots=True)
class Members:
    """The indices that are searched under one name, where that may stand for several; `names` is empty for one index.

    `notes` say what of the searched texts differs between them, `vector_notes` what of each vector field, and
    `differences` what of all their fields does.
    `fitting` are, for a vector field, those that can be asked by it, where that is not all."""

    names: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()  # not searched: the engine has them closed
    hidden: tuple[str, ...] = ()  # not searched: they fit the pattern, but the engine hides them from patterns
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # field -> the members that have none
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    vector_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fitting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def notes_of(self, vector_fields: Iterable[str]) -> Iterator[str]:
        """What differs between the members in the texts and in these vector fields, for a search by them."""
        yield from self.notes
        for name in dict.fromkeys(vector_fields):
            yield from self.vector_notes.get(name, ())

    def notes_on(self, fields: Iterable[str]) -> Iterator[str]:
        """What a filter by these fields leaves out, since some members lack them."""
        for name in dict.fromkeys(fields):
            if lacking := self.lacking.get(name):
                yield f"no document of {listed(lacking, len(self.names))} has the field {name!r} that is filtered by"


ONE = Members()


@dataclass(frozen=True, slots=True)
class Layout:
    """What is particular about an index that somebody else made.

    `places` says where the text of each text field is, `analyzed` under which names the engine looks terms up;
    `nested` names the nested object that a field is in; `vectors` are the fields that no hit shows, all that a
    back-fill added among them; `vector_fields` those that can be searched, and `vector` the one that is.
    `nested_places` says, for each nested object, where the texts in it are. `routed`: a document is told from others by
    its routing too. Where a back-fill put passages there, `marked` is the field and the term that every document with
    them has, and `passages` are the nested object and the field in it that hold their texts."""

    places: Mapping[str, TextPlace] = field(default_factory=dict)
    analyzed: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # text field -> (field, path of its text)
    nested: Mapping[str, str] = field(default_factory=dict)
    vectors: tuple[str, ...] = ()
    vector: VectorField | None = None
    vector_fields: Mapping[str, VectorField] = field(default_factory=dict)
    nested_places: Mapping[str, tuple[TextPlace, ...]] = field(default_factory=dict)
    has_source: bool = True
    routed: bool = False
    marked: tuple[str, str] | None = None
    passages: tuple[str, str] | None = None
    members: Members = ONE

    def place(self, name: str) -> TextPlace:
        return self.places.get(name) or TextPlace(source=(name,))

    def doc_id(self, index: str, id: str, routing: str | None) -> str:
        """What a document is called in rankings: its `_id`, after its index where there are several, and after its
        routing where only that tells it from others."""
        if self.routed:
            id = f"{quote(routing or '', safe='')}/{id}"
        return f"{index}/{id}" if self.members.names else id

    def address(self, doc_id: str, index: str) -> Address:
        """Where the document of that name is; in `index` where that is one."""
        routing: str | None = None
        if self.members.names:
            index, _, doc_id = doc_id.partition("/")  # no index has a slash in its name
        if self.routed:
            routing, _, doc_id = doc_id.partition("/")
        return Address(index, doc_id, unquote(routing) if routing else None)


def listed(names: Sequence[str], of: int) -> str:
    """So many of the indices, the first by name."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{len(names)} of {of} indices ({', '.join(names[:LISTED])}{more})"


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
