"""What a results page needs of the embedded store: counts, aggregations, a sort, highlights, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from connector.clusters.embedded.aggregations import aggregate, read_aggregations
from connector.clusters.embedded.columns import TableRow
from connector.clusters.embedded.highlights import highlight_texts, read_highlight_plan
from connector.clusters.embedded.sorting import SCORE, read_sort
from connector.clusters.embedded.words import matching_spans
from connector.clusters.reading.marks import mark, read_tags
from connector.clusters.reading.results_page import in_union
from connector.filters import Filter
from connector.lexical import Group, LexicalPage, LexicalQuery, PageRequest
from connector.schema import IndexSchema
from connector.types import Highlights, Total

if TYPE_CHECKING:
    from connector.clusters.embedded.index import EmbeddedIndex


class EmbeddedResultsPage:
    """What a results page asks of one index beside the legs."""

    def __init__(self, index: EmbeddedIndex) -> None:
        self._index = index

    async def beside(
        self, query: LexicalQuery, page: PageRequest, *, filter: Filter | None, timeout_s: float
    ) -> LexicalPage:
        """Total and aggregations of what the lexical query matches."""
        if page.total is False and not page.aggregations:
            return LexicalPage()
        rows = await self._index.matching_rows(query, filter, page_columns(page, self._index.schema), timeout_s)
        return build_page(rows, page, self._index.schema)

    async def union(
        self,
        query: LexicalQuery,
        doc_ids: Sequence[str],
        *,
        filter: Filter | None,
        timeout_s: float,
        page: PageRequest,
    ) -> LexicalPage:
        columns = page_columns(page, self._index.schema)
        found = await self._index.matching_rows(query, filter, columns, timeout_s)
        ids = {row["doc_id"] for row in found}
        others = [doc_id for doc_id in doc_ids if doc_id not in ids]
        rows = [*found, *await self._index.rows_of(others, columns, timeout_s)]
        return in_union(build_page(rows, page, self._index.schema))

    async def highlight(
        self,
        query: LexicalQuery,
        doc_ids: Sequence[str],
        *,
        filter: Filter | None,
        options: Mapping[str, Any],
        timeout_s: float,
    ) -> dict[str, Highlights]:
        schema = self._index.schema
        plan = read_highlight_plan(options, schema)
        searched = query.boosts(schema)
        rows = await self._index.rows_of(doc_ids, [name for name in plan.fields if name in searched], timeout_s)
        found = {row["doc_id"]: highlight_texts(query.text, row, plan, schema.analyzer) for row in rows}
        return {doc_id: highlights for doc_id, highlights in found.items() if highlights}

    async def mark(
        self, words: str, texts: Sequence[str], *, options: Mapping[str, Any], timeout_s: float
    ) -> list[str]:
        tags, analyzer = read_tags(options), self._index.schema.analyzer
        return [mark(text, matching_spans(words, text, analyzer), tags) for text in texts]

    async def groups(self, doc_ids: Sequence[str], field: str, *, timeout_s: float) -> dict[str, Group]:
        rows = await self._index.rows_of(doc_ids, [field], timeout_s)
        return {row["doc_id"]: group_of(row, field) for row in rows}


def check_page(page: PageRequest, schema: IndexSchema) -> None:
    """Nothing, where the embedded store can make such a page. Raises QueryError."""
    read_aggregations(page.aggregations or {}, schema)
    if page.sort is not None:
        read_sort(page.sort, schema)
    if page.highlight is not None:
        read_highlight_plan(page.highlight, schema)


def page_columns(page: PageRequest, schema: IndexSchema) -> list[str]:
    """The columns that a page is made of."""
    wanted = read_aggregations(page.aggregations or {}, schema)
    names = set().union(*(aggregation.columns for aggregation in wanted.values()))
    if page.sort is not None:
        names |= {key.field for key in read_sort(page.sort, schema)} | ({page.collapse} if page.collapse else set())
    return sorted(names - {SCORE, "doc_id"})


def build_page(rows: Sequence[TableRow], page: PageRequest, schema: IndexSchema) -> LexicalPage:
    """Total and aggregations over all documents that match."""
    most = len(rows) if page.total is True else int(page.total)
    counted = Total(min(len(rows), most), "eq" if len(rows) <= most else "gte")
    total = None if page.total is False else counted
    return LexicalPage(total, aggregate(rows, read_aggregations(page.aggregations or {}, schema)))


def group_of(row: TableRow, field: str) -> Group:
    """The values of a row in the field that is collapsed by."""
    value = row[field]
    return tuple(value) if isinstance(value, list) else () if value is None else (value,)


def collapse_rows(rows: Sequence[TableRow], field: str) -> list[TableRow]:
    """The first row of each group."""
    first: dict[Group, TableRow] = {}
    for row in rows:
        first.setdefault(group_of(row, field), row)
    return [*first.values()]
