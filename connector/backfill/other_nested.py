"""The nested objects of a document beside the passages that are filled, where their number is bounded: those of the
application, and passages of other encoders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from connector.backfilled import AddedNames, Backfilled
from connector.clusters.writing.nested_objects import Branches, NestedBranch, count_objects, nested_paths, read_branches
from connector.clusters.writing.nested_objects import may_have_vectors as may_have

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OtherNested:
    """Nested fields that an application mapped, and `ours`: the names of what other encoders filled. Neither where
    nothing need be counted."""

    theirs: Branches = field(default_factory=dict)
    ours: tuple[AddedNames, ...] = ()

    @property
    def any(self) -> bool:
        return bool(self.theirs or self.ours)

    @property
    def may_have_vectors(self) -> bool:
        return bool(self.ours) or may_have(self.theirs)

    def asked(self, names: AddedNames) -> list[str]:
        """What of `_source` shows how many there are, and how many passages of those names. No vectors: the engine puts
        none in for the name of an object."""
        if not self.any:
            return []
        return [*(f"{fields.passages}.ordinal" for fields in (names, *self.ours)), *nested_paths(self.theirs)]

    def count(self, source: JSON) -> int:
        """How many of them a document has."""
        return count_objects(
            source, {**self.theirs, **{fields.passages: NestedBranch("nested") for fields in self.ours}}
        )

    def count_own(self, source: JSON, names: AddedNames) -> int:
        """How many passages of those names a document has, where anything is counted."""
        return count_objects(source, {names.passages: NestedBranch("nested")}) if self.any else 0

    def taken_out(self, names: AddedNames, *, misread: bool) -> tuple[AddedNames, ...]:
        """Whose passages go from a document that is to lose those of those names. Where the engine has `misread` its
        vectors, an update stores wrong ones: then all of ours go, and nothing does where the application has some."""
        if not misread:
            return (names,)
        return () if may_have(self.theirs) else (names, *self.ours)


NO_OTHERS = OtherNested()


def read_others(mapping: JSON, names: AddedNames) -> OtherNested:
    """Those that a mapping knows beside the fields of those names."""
    added = Backfilled.all_from_meta(mapping.get("_meta", {}))
    ours = tuple(backfill.names for backfill in added if backfill.names.passages != names.passages)
    theirs = read_branches(mapping, without=[fields.passages for fields in (names, *ours)])
    return OtherNested(theirs, ours)
