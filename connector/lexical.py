"""What the lexical leg is asked, and what it answers: its ranking, and what a results page needs beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from connector.errors import QueryError
from connector.schema import IndexSchema
from connector.source_filter import SourceFilter
from connector.types import Hit, Ranking, Total

Group = tuple[Any, ...]  # the values of a document in the field that a page collapses by


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """What the lexical leg looks for.

    The words of `text`, in the text fields that `fields` names with their boosts, or else in all. `own` is an engine's
    query object that takes the place of ours, as it is; `text` then only says which passages are shown and reranked."""

    text: str
    own: Mapping[str, Any] | None = None
    fields: Mapping[str, float] | None = None

    def boosts(self, schema: IndexSchema) -> Mapping[str, float]:
        """The text fields that are searched, with their boosts. Raises QueryError for one that the index lacks."""
        known = schema.fields.text
        unknown = [name for name in self.fields or () if name not in known]
        if unknown:
            raise QueryError(f"the index has no text field {unknown[0]!r}; it has: {', '.join(known)}")
        return self.fields or known


class Mark(NamedTuple):
    """A place in the lexical order: behind the document with this score and these `ties`, by which the store orders
    equal scores. Without `ties` before all documents of that score."""

    score: float
    ties: tuple[Any, ...] = ()


class MarkedHit(NamedTuple):
    """A document of the lexical order, and the mark behind it."""

    hit: Hit
    mark: Mark


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a results page needs beside the hits; what is None is not asked for.

    `total`: up to how many documents are counted; True: all, False: none. `aggregations`, `highlight`, `source` and
    `sort` are worded as the engine words them. `collapse` names the field of which each value is shown once. `facets`:
    whether total and aggregations count what the lexical query matches, or what only other legs found too."""

    total: bool | int = True
    aggregations: Mapping[str, Any] | None = None
    highlight: Mapping[str, Any] | None = None
    source: SourceFilter | None = None
    collapse: str | None = None
    sort: Any = None
    facets: Literal["lexical", "union"] = "lexical"

    @property
    def of_leg(self) -> PageRequest | None:
        """What of it the lexical leg is asked for; None for nothing."""
        of_leg = self if self.facets == "lexical" else replace(self, total=False, aggregations=None)
        return of_leg if of_leg.total is not False or of_leg.aggregations or of_leg.sort is not None else None


@dataclass(frozen=True, slots=True)
class LexicalPage:
    """What came along with the ranking: over all documents that the lexical query and the filter match.

    `total` is None where nothing was counted; `aggregations` are worded as the engine words them."""

    total: Total | None = None
    aggregations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LexicalAnswer:
    """The ranking of the lexical leg, and the page where one was asked for."""

    ranking: Ranking
    page: LexicalPage | None = None
