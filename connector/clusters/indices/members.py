"""A name that stands for several indices: which they are, and what differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connector.backfilled import Backfilled
from connector.clusters.indices.foreign import kind_of, read_mapping
from connector.clusters.paths import SEVERAL
from connector.errors import SettingsError
from connector.layout import Members, listed
from connector.schema import Fields, IndexSchema

JSON = dict[str, Any]
BACKING = ".ds-"  # in the name of each index behind a data stream, also where one was mounted or shrunk


def stands_for_several(name: str, indices: Sequence[str]) -> bool:
    """Whether a name may stand for more than one index: a pattern, a list, a data stream, or an alias of several.

    A pattern that only one index fits today counts too, so that documents keep their names when there is another."""
    return bool(set(name) & SEVERAL) or len(indices) > 1 or any(BACKING in index for index in indices)


def find_members(name: str, mappings: JSON, settings: JSON) -> Members:
    """Those of the indices behind a name that are searched, from the replies of `_mapping` and of `_settings` for all
    that it could mean. Raises SettingsError where all of them are closed."""
    flat = {index: found.get("settings", {}) for index, found in settings.items()}
    closed = sorted(index for index, found in flat.items() if found.get("index.verified_before_close") == "true")
    hidden = sorted(set(flat) - set(mappings) - set(closed))
    names = sorted(set(mappings) - set(closed))
    if not names:
        raise SettingsError(f"{name!r} stands for closed indices alone ({', '.join(closed)}); open one of them")
    return Members(tuple(names), tuple(closed), tuple(hidden))


def join_ours(name: str, schemas: Mapping[str, IndexSchema | None]) -> IndexSchema | None:
    """The schema of several indices of ours that can be searched as one; None where some are somebody else's.

    Raises SettingsError where they cannot."""
    if not all(schemas.values()):
        return None
    (first, schema), *others = [(index, found) for index, found in schemas.items() if found is not None]
    metadata = dict(schema.fields.metadata)
    for index, other in others:
        same = other.encoder and schema.encoder and other.encoder.same_vectors(schema.encoder)
        if not same or dict(other.fields.text) != dict(schema.fields.text):
            raise SettingsError(
                f"{name!r} stands for indices of ours that cannot be searched as one: {first} and {index} differ in "
                "their encoder or their text fields; name one of them, or ingest both into one"
            )
        metadata |= other.fields.metadata
    found = [schema, *(other for _, other in others)]
    return replace(
        schema,
        fields=Fields(schema.fields.text, metadata, schema.fields.id, schema.fields.columns),
        keeps_ids=all(member.keeps_ids for member in found),
        keeps_original_text=any(member.keeps_original_text for member in found),
    )


def join_added(name: str, found: Mapping[str, Sequence[Backfilled]]) -> list[Backfilled]:
    """What back-fills added to all indices behind a name alike; empty where nothing was added to any.

    `found` has of each what searches use, and then what stands beside it. One whose encoder was switched, and one whose
    is not yet, have the vectors of both. Raises SettingsError where there are none that one query can ask."""
    filled = {index: added for index, added in found.items() if added}
    if not filled:
        return []
    (first, added), *others = filled.items()
    common = [
        candidate
        for candidate in added
        if all(any(_alike(candidate, other) for other in backfills) for _, backfills in others)
    ]
    if not common:
        index = next(index for index, backfills in others if not _alike(backfills[0], added[0]))
        raise SettingsError(
            f"{name!r} stands for indices that were back-filled differently: {first} and {index} differ in their "
            "encoder, their text fields or the names of what was added; name one of them"
        )
    return common


def _alike(added: Backfilled, other: Backfilled) -> bool:
    """Whether one query can ask both."""
    return (
        added.encoder.same_vectors(other.encoder)
        and added.names == other.names
        and dict(added.text) == dict(other.text)
    )


def compare_members(members: Members, mappings: Mapping[str, JSON], schema: IndexSchema) -> Members:
    """The same with what differs between their mappings, and what that means for searches by this schema."""
    found = _FieldKinds.of(members.names, mappings)
    vectors = {name for name in schema.layout.vector_fields or [schema.vector_field] if name}
    compared = replace(
        members,
        lacking=found.lacking,
        differences=tuple(found.differences()),
        fitting={name: found.most(name) for name in vectors if len(found.kinds.get(name, ())) > 1},
    )
    notes_of_vectors = {name: tuple(_vector_notes(compared, found, name)) for name in vectors}
    return replace(compared, notes=tuple(_notes(compared, found, schema)), vector_notes=notes_of_vectors)


@dataclass(frozen=True, slots=True)
class _FieldKinds:
    """For each field its kinds, each with the members that have it so."""

    names: tuple[str, ...]
    kinds: Mapping[str, Mapping[str, tuple[str, ...]]]

    @classmethod
    def of(cls, names: tuple[str, ...], mappings: Mapping[str, JSON]) -> _FieldKinds:
        kinds: dict[str, dict[str, tuple[str, ...]]] = {}
        for index in names:
            for name, found in read_mapping([mappings[index]]).fields.items():
                has = kinds.setdefault(name, {})
                has[kind_of(found)] = (*has.get(kind_of(found), ()), index)
        return cls(names, kinds)

    @property
    def lacking(self) -> dict[str, tuple[str, ...]]:
        """The members that lack a field, for each that any of them lacks."""
        having = {
            name: {index for indices in kinds.values() for index in indices} for name, kinds in self.kinds.items()
        }
        return {
            name: tuple(index for index in self.names if index not in has)
            for name, has in having.items()
            if len(has) < len(self.names)
        }

    def most(self, name: str) -> tuple[str, ...]:
        """The members that have a field in the way in which most have it; of two such ways, in the last one's."""
        return max(self.kinds[name].values(), key=lambda found: (len(found), found[-1]))

    def describe(self, name: str) -> str:
        """How a field is in which members."""
        return "; ".join(f"{kind} in {listed(found, len(self.names))}" for kind, found in self.kinds[name].items())

    def differences(self) -> Iterator[str]:
        lacking = self.lacking
        for name, kinds in sorted(self.kinds.items()):
            if len(kinds) > 1:
                yield f"{name} is {self.describe(name)}"
            if name in lacking:
                yield f"{name} is missing in {listed(lacking[name], len(self.names))}"


def _notes(members: Members, found: _FieldKinds, schema: IndexSchema) -> Iterator[str]:
    count = len(members.names)
    if members.closed:
        yield f"not searched, since they are closed: {listed(members.closed, count + len(members.closed))}"
    for name in schema.fields.text:
        if lacking := found.lacking.get(name):
            yield f"{listed(lacking, count)} have no text field {name!r}: their documents are searched without it"
        if len(found.kinds.get(name, ())) > 1 and len({_family(kind) for kind in found.kinds[name]}) > 1:
            yield f"text field {name!r} is {found.describe(name)}: where it holds no words, none are found in it"


def _vector_notes(members: Members, found: _FieldKinds, name: str) -> Iterator[str]:
    count = len(members.names)
    if missing := found.lacking.get(name):
        yield f"a dense leg finds no document of {listed(missing, count)}, which lack {name!r}"
    if fitting := members.fitting.get(name):
        others = sorted({index for indices in found.kinds[name].values() for index in indices} - set(fitting))
        yield (
            f"a dense leg does not search {listed(others, count)}, whose vectors are of another kind: "
            f"{name!r} is {found.describe(name)}"
        )


def _family(kind: str) -> str:
    """Kinds of text count as one: each is searched for words."""
    return "text" if "text" in kind else kind
