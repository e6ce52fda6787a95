"""What a results page needs beside its hits: counts of what only other legs found, one hit of a group, highlights."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from connector.errors import QueryError
from connector.lexical import Group, LexicalQuery
from connector.search.legs.ask import FirstStage
from connector.search.legs.lexical import LexicalLeg
from connector.search.refusals import as_asked
from connector.search.run import SearchRun
from connector.types import Highlights, Passage, Ranking

PASSAGE = "passage"  # under which a hit's passage is shown, marked, where the lexical leg did not find it


def check_page(run: SearchRun, leg: LexicalLeg | None) -> None:
    """Nothing, where the index and its lexical leg can make the page. Raises QueryError."""
    page = run.request.page
    if leg is None and page and (page.aggregations or page.sort is not None or page.facets == "union"):
        raise QueryError("only a lexical leg counts, aggregates and sorts; search.legs has none")


async def count_facets(run: SearchRun, found: FirstStage, leg: LexicalLeg | None) -> None:
    """Total and aggregations of the answer, where they are to count what only other legs found too; and what is said
    where the leg that brings them has failed."""
    page = run.request.page
    if leg is None or page is None or (page.total is False and not page.aggregations):
        return
    if page.facets == "union":
        others = {hit.doc_id for name, ranking in found.legs.items() if name != leg.name for hit in ranking}
        query = leg.query(run)

        async def count() -> None:
            run.page = await run.index.results_page.union(
                query, sorted(others), filter=run.request.filter_for(leg.name), timeout_s=run.left_s(), page=page
            )

        await run.attempt("facets", lambda: as_asked("aggregations", count), share=run.ranking_share)
    elif run.page is None:
        run.note("facets", f"no total and no aggregations: they come with the leg {leg.name}, which failed")


async def fetch_groups(run: SearchRun, order: Ranking) -> dict[str, Group] | None:
    """The group of each document that is there, where the search shows groups."""
    field = run.request.page.collapse if run.request.page else None
    if field is None or run.request.sorts:  # a sorted order comes collapsed
        return None
    doc_ids = [hit.doc_id for hit in order]
    source = run.index.results_page
    groups = await run.attempt(
        "collapse",
        lambda: as_asked("collapse", lambda: source.groups(doc_ids, field, timeout_s=run.left_s())),
        share=1.0,
    )
    run.check_allowed("collapse")
    if groups is not None:
        run.gone.update(doc_id for doc_id in doc_ids if doc_id not in groups)
    return groups


async def highlight(
    run: SearchRun,
    leg: LexicalLeg | None,
    top: list[str],
    by_words: Collection[str] | None,
    passages: Mapping[str, Passage],
) -> dict[str, Highlights]:
    """The highlights of each hit: those of the leg's query where that found the document (`by_words`; None: where the
    engine marks something), or else the passage with the query's words marked."""
    page = run.request.page
    if page is None or page.highlight is None:
        return {}
    options, source = page.highlight, run.index.results_page
    query = leg.query(run) if leg else LexicalQuery(run.request.text)
    found = run.request.filter_for(leg.name) if leg else run.request.filter

    async def work() -> dict[str, Highlights]:
        matching = [doc_id for doc_id in top if by_words is None or doc_id in by_words]
        marked = await source.highlight(query, matching, filter=found, options=options, timeout_s=run.left_s())
        without = set(top).difference(marked if by_words is None else by_words)
        others = [doc_id for doc_id in top if doc_id in without and doc_id in passages]
        texts = await source.mark(
            run.request.text, [passages[doc_id].text for doc_id in others], options=options, timeout_s=run.left_s()
        )
        return marked | {doc_id: {PASSAGE: [text]} for doc_id, text in zip(others, texts, strict=True)}

    highlights = await run.attempt("highlight", lambda: as_asked("highlight", work), share=1.0)
    run.check_allowed("highlight")
    return highlights or {}
