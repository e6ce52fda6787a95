"""What every cluster can do. `tests/contract` runs the same tests on each implementation."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

from connector.credentials import Credentials
from connector.filters import Filter
from connector.lexical import Group, LexicalAnswer, LexicalPage, LexicalQuery, Mark, MarkedHit, PageRequest
from connector.schema import IndexSchema
from connector.source_filter import SourceFilter
from connector.types import Highlights, HitContent, IndexedDocument, Ranking, TermStatistics, Vector, WriteOutcome

NEAR = 0.75  # how alike two names are, of 1, for one to be taken for a slip of the other
DOC_ID, SCORE = attrgetter("doc_id"), attrgetter("score")


@dataclass(frozen=True, slots=True)
class Engine:
    """The product behind a URL: "elasticsearch", "opensearch" or "embedded", and its version."""

    kind: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class ForeignFields:
    """The names that make an index searchable which somebody else made: text fields with boosts, the vector field, and
    the index of ours that has its vectors (None: looked for by its usual name)."""

    text: Mapping[str, float]
    vector: str | None = None
    beside: str | None = None


def ignore(note: str) -> None:
    """Nobody asked for notes."""


class SearchableIndex(Protocol):
    """One index as a search sees it. Scores of `lexical` are BM25, of `dense` the cosine; both rank by `(-score,
    doc_id)`."""

    name: str
    schema: IndexSchema

    def check_lexical(self, query: LexicalQuery, page: PageRequest | None = None) -> None:
        """Nothing, where `lexical` can be asked this. Raises QueryError for what this store cannot answer, or a field
        that the index lacks."""
        ...

    async def lexical(
        self,
        query: LexicalQuery,
        *,
        depth: int,
        filter: Filter | None,
        timeout_s: float,
        passages: int = 1,
        page: PageRequest | None = None,
    ) -> LexicalAnswer:
        """The best `depth` documents by BM25, or by the query that is the application's own, each with the passage that
        matches best, or else its first; with none for 0 `passages`. With `page`, what a results page needs of all
        documents that match; a sort in it decides the order, and collapses where the page does."""
        ...

    @property
    def results_page(self) -> ResultsPage:
        """What a results page needs beside the legs, of the same index and for the same caller."""
        ...

    async def dense(
        self,
        vector: Vector,
        *,
        depth: int,
        filter: Filter | None,
        timeout_s: float,
        field: str | None = None,
        passages: int = 1,
        note: Callable[[str], None] = ignore,
    ) -> Ranking:
        """The `depth` documents with the nearest passage to `vector` [dims], each with its nearest `passages` (0:
        none), best first.

        `field` names another vector field of an index that has several; raises SettingsError where there is none of
        that name. `note` is told where the engine gave fewer than there are."""
        ...

    async def get(
        self,
        doc_ids: Sequence[str],
        *,
        fields: Iterable[str] | None,
        timeout_s: float,
        source: SourceFilter | None = None,
    ) -> dict[str, dict[str, Any]]:
        """The named fields of those documents that exist, as last written; `content_hash` can be named.

        None: all fields that `source` shows, without passages, as searches see them."""
        ...

    async def content(
        self,
        doc_ids: Sequence[str],
        *,
        query: str | None,
        vector: Vector | None,
        timeout_s: float,
        source: SourceFilter | None = None,
    ) -> dict[str, HitContent]:
        """All fields of those documents that exist and that `source` shows, as searches see them, each with its passage
        that is nearest to `vector` and the one that matches `query` best, or else its first; engines take as long for
        either as for the fields, so None leaves one out."""
        ...

    async def term_statistics(self, text: str, *, timeout_s: float) -> TermStatistics:
        """In how many documents each term of `text` occurs. Stop words of the analyzer are left out."""
        ...

    def as_caller(self, credentials: Credentials) -> SearchableIndex:
        """The same index over the same connections, asked as another principal. Raises CredentialsError where there
        are no users."""
        ...

    async def open_view(self, keep_s: int, *, timeout_s: float) -> str:
        """The name of the index's present state, which the store keeps for so long while the index is written to."""
        ...

    async def as_of(self, view: str, keep_s: int) -> FrozenIndex:
        """The index in that state. Each search keeps it for so long again. Raises ViewLost where the store has seen at
        once that it is gone."""
        ...


class FrozenIndex(SearchableIndex, Protocol):
    """An index in a state that stands still. All that is asked of it raises ViewLost where that is gone."""

    @property
    def view(self) -> str:
        """The state's name, as last given."""
        ...

    async def lexical_after(
        self, query: LexicalQuery, mark: Mark, *, depth: int, filter: Filter | None, timeout_s: float
    ) -> tuple[MarkedHit, ...]:
        """The next `depth` documents of the lexical order behind a mark, without passages; fewer at the end of the
        order. Equal scores are in the store's own order, which stands still too."""
        ...

    async def close_view(self, *, timeout_s: float) -> None:
        """Let the store forget the state."""
        ...


class ResultsPage(Protocol):
    """What a results page asks of an index beside the legs."""

    async def union(
        self,
        query: LexicalQuery,
        doc_ids: Sequence[str],
        *,
        filter: Filter | None,
        timeout_s: float,
        page: PageRequest,
    ) -> LexicalPage:
        """Total and aggregations over what the lexical query and the filter match, and those documents too."""
        ...

    async def highlight(
        self,
        query: LexicalQuery,
        doc_ids: Sequence[str],
        *,
        filter: Filter | None,
        options: Mapping[str, Any],
        timeout_s: float,
    ) -> dict[str, Highlights]:
        """Fragments of those documents with what the lexical query looks for marked, worded by `options` as the
        engines' `highlight`; a document in which nothing is marked is left out."""
        ...

    async def mark(
        self, words: str, texts: Sequence[str], *, options: Mapping[str, Any], timeout_s: float
    ) -> list[str]:
        """The texts whole, with those words marked that the index's analyzer takes for one of `words`."""
        ...

    async def groups(self, doc_ids: Sequence[str], field: str, *, timeout_s: float) -> dict[str, Group]:
        """The values of those documents that exist in a field that can be filtered by; equal ones are one group."""
        ...


class Index(SearchableIndex, Protocol):
    """One index."""

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        """Write each document with its passages in one atomic step, replacing what was there; an outcome for each,
        in order.

        Raises ClusterUnavailable where nothing is known of any of them, and IndexGone where the index was dropped, or
        dropped and made anew, since it was opened: a write makes none."""
        ...

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        """Remove documents with their passages; removing what is not there succeeds. Raises as `write` does."""
        ...

    def scan(self) -> AsyncIterator[tuple[str, str]]:
        """Every (doc_id, content_hash) of the index, in no particular order."""
        ...

    async def finish(self) -> None:
        """Make all that was written visible to searches."""
        ...


class Cluster(Protocol):
    """A connection to one cluster."""

    engine: Engine

    async def create_index(self, name: str, schema: IndexSchema) -> Index:
        """Create an index; raises IndexExists where there is one of that name."""
        ...

    async def open_index(self, name: str, foreign: ForeignFields | None = None) -> Index:
        """An existing index; `foreign` names the fields of one that is not ours. Raises IndexMissing, which names an
        index that may be meant."""
        ...

    async def drop_index(self, name: str) -> None:
        """Remove an index with all it holds; raises IndexMissing."""
        ...

    async def count(self, name: str) -> int:
        """How many documents the index holds (passages not counted)."""
        ...

    async def close(self) -> None:
        """End all connections."""
        ...


def ordered(hits: Iterable[Any], depth: int) -> Ranking:
    """The ranking of hits by `(-score, doc_id)`, each document once, cut at `depth`."""
    best: dict[str, Any] = {}
    # two sorts by what is at hand take less time than one by pairs; the second keeps the first's order of equals
    for hit in sorted(sorted(hits, key=DOC_ID), key=SCORE, reverse=True):
        best.setdefault(hit.doc_id, hit)
    return tuple(best.values())[:depth]


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The one of the names that somebody who typed `name` may have meant, in whatever case; None where none is like
    it."""
    others = {other.casefold(): other for other in names if other != name}
    near = difflib.get_close_matches(name.casefold(), others, 1, NEAR)
    return others[near[0]] if near else None
