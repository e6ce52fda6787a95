"""Pages behind the first: the first search freezes the index and its order, and each cursor tells where to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from connector.clusters.protocol import FrozenIndex
from connector.errors import ConnectorError
from connector.lexical import Mark
from connector.search.hits import Ranked, fetch_fields_and_passages
from connector.search.legs.lexical import LexicalLeg
from connector.search.pages.frozen import FrozenHit, FrozenOrder, LexicalRest, read_cursor
from connector.search.pages.signature import Signer
from connector.search.request import MAX_DEPTH
from connector.search.results_page import highlight
from connector.search.run import SearchRun
from connector.settings.search import SearchSettings
from connector.types import Explanation, SearchHit

FIRST_PAGE = "total and aggregations come with the first page of a cursor"
CLOSING_S = 1.0  # what the last page waits for the store to forget what it kept


class Pages:
    """Gives out cursors, and reads the pages behind them."""

    def __init__(self, settings: SearchSettings, lexical: LexicalLeg | None, page_leg: LexicalLeg | None) -> None:
        """Behind the frozen order the one of the leg `lexical` goes on; None: nothing does. Highlights are those of the
        query of `page_leg`."""
        key = settings.cursor_key
        self._signer = Signer(key.get_secret_value() if key else None)
        self._keep_s = settings.cursor_s
        self._lexical = lexical
        self._page_leg = page_leg

    async def freeze(self, run: SearchRun) -> None:
        """Let the run read the index as it is now, whatever is written meanwhile; the answer is degraded where the
        store does not do that."""

        async def open_view() -> FrozenIndex:
            view = await run.index.open_view(self._keep_s, timeout_s=run.left_s(run.legs_share))
            return await run.index.as_of(view, self._keep_s)

        frozen = await run.attempt("view", open_view, share=run.legs_share)
        if frozen:
            run.index = run.frozen = frozen

    async def begin(
        self, run: SearchRun, ranked: Ranked, count: int, digest: str
    ) -> tuple[tuple[SearchHit, ...], str | None]:
        """What of the lexical order belongs to the first page, behind `count` hits, and the cursor of the next one;
        nothing where the index is not frozen."""
        if run.frozen is None:
            return (), None
        placed = ranked.placed_by
        left = tuple(FrozenHit(hit.doc_id, hit.score, placed[hit.doc_id]) for hit in ranked.order)
        rest = self._first_rest(run, ranked)
        order = FrozenOrder(run.index.name, digest, run.frozen.view, 0, left, rest)
        return await self._take(run, run.frozen, order.after(count, count, rest), run.request.k - count)

    async def read(self, run: SearchRun, cursor: str, digest: str) -> tuple[tuple[SearchHit, ...], str | None]:
        """The hits of the page behind a cursor, and the cursor of the next one. Raises CursorError, ViewLost or
        AccessDenied."""
        if run.request.page and run.request.page.of_leg:
            run.notes.append(FIRST_PAGE)
        order = read_cursor(cursor, self._signer, index=run.index.name, digest=digest, keep_s=self._keep_s)
        run.index = run.frozen = await run.index.as_of(order.view, self._keep_s)
        return await self._take(run, run.frozen, order, run.request.k)

    async def _take(
        self, run: SearchRun, index: FrozenIndex, order: FrozenOrder, count: int
    ) -> tuple[tuple[SearchHit, ...], str | None]:
        """The next hits of an order, and the cursor of what follows them."""
        hits: tuple[SearchHit, ...] = ()
        while len(hits) < count and not order.is_over:
            missing = count - len(hits)
            page, rest = list(order.left[:missing]), order.rest
            if rest and len(page) < missing:
                behind, rest = await self._read_rest(run, index, rest, missing - len(page))
                page += behind
            read = await self._read_hits(run, page, order.before) if page else ()
            hits, order = hits + read, order.after(len(page), len(read), rest)
            if len(read) == len(page):  # else some may not be seen any more, and those behind them move up
                break
        if not order.is_over:
            return hits, order.write(self._signer, index.view, self._keep_s)
        with contextlib.suppress(ConnectorError):  # the store may forget the state at once, and else does so by itself
            await index.close_view(timeout_s=min(max(run.left_s(), 0), CLOSING_S))
        return hits, None

    async def _read_hits(self, run: SearchRun, page: Sequence[FrozenHit], before: int) -> tuple[SearchHit, ...]:
        doc_ids = [hit.doc_id for hit in page]
        content = await fetch_fields_and_passages(run, doc_ids, near=())
        run.check_allowed("fields")
        run.gone.update(set(doc_ids).difference(content.fields))
        page = [hit for hit in page if hit.doc_id in content.fields]
        doc_ids = [hit.doc_id for hit in page]
        highlights = await highlight(run, self._page_leg, doc_ids, None, content.passages)
        return tuple(
            SearchHit(
                hit.doc_id,
                hit.score,
                rank,
                hit.stage,
                content.fields[hit.doc_id],
                content.passages.get(hit.doc_id),
                Explanation(),
                run.index.schema.layout.address(hit.doc_id, run.index.name),
                highlight=highlights.get(hit.doc_id, {}),
            )
            for rank, hit in enumerate(page, start=before + 1)
        )

    def _first_rest(self, run: SearchRun, ranked: Ranked) -> LexicalRest | None:
        """Where the lexical order goes on behind what its leg found; None where that is all there is."""
        leg = self._lexical if ranked.groups is None else None  # what follows is not known by its groups
        ranking = ranked.found.legs.get(leg.name, ()) if leg else ()
        if leg is None or len(ranking) < leg.depth(run):
            return None
        last = ranking[-1].score  # others of that score may not have been among those found
        found_above = {hit.doc_id for hit in ranking if hit.score > last}
        without = frozenset(hit.doc_id for hit in ranked.last if hit.doc_id not in found_above)
        return LexicalRest(leg.name, Mark(last), without)

    async def _read_rest(
        self, run: SearchRun, index: FrozenIndex, rest: LexicalRest, count: int
    ) -> tuple[list[FrozenHit], LexicalRest | None]:
        """The next documents of the lexical order, and what follows them; where that failed, none, and the same."""
        leg = self._lexical
        if leg is None or leg.name != rest.leg:
            return [], None
        depth = min(count + len(rest.without) + 1, MAX_DEPTH)  # and whether any follow
        query, found, share = leg.query(run), run.request.filter_for(leg.name), run.ranking_share
        marked = await run.attempt(
            leg.name,
            lambda: index.lexical_after(query, rest.mark, depth=depth, filter=found, timeout_s=run.left_s(share)),
            share=share,
        )
        run.check_allowed(leg.name)
        return ([], rest) if marked is None else rest.take(marked, count, is_end=len(marked) < depth)
