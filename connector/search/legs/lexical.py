"""A leg that looks for the words of the query."""

from __future__ import annotations

from connector.lexical import LexicalQuery
from connector.search.refusals import as_asked
from connector.search.run import SearchRun
from connector.settings.search import LegKind, LegSettings
from connector.types import Ranking


class LexicalLeg:
    """The words of the query by BM25, or the query that is the application's own."""

    kind: LegKind = "lexical"

    def __init__(self, name: str, settings: LegSettings, *, brings_page: bool = False) -> None:
        """`brings_page`: total and aggregations come with this leg, and it is the one that is sorted."""
        self.name = name
        self._settings = settings
        self.brings_page = brings_page

    def check(self, run: SearchRun) -> None:
        """Nothing, where the index can be asked what the search needs of it. Raises QueryError."""
        run.index.check_lexical(self.query(run), run.request.page if self.brings_page else None)

    def query(self, run: SearchRun) -> LexicalQuery:
        """What the index is asked."""
        own = run.request.own.queries.get(self.name)
        return LexicalQuery(run.request.text, own=own, fields=None if own else self._settings.fields)

    def depth(self, run: SearchRun) -> int:
        """How many hits it brings at most; those of the page where the caller demands an order."""
        request = run.request
        return request.offset + request.k if request.sorts else self._settings.depth or request.depth

    async def ask(self, run: SearchRun) -> Ranking | None:
        return await run.attempt(self.name, lambda: self._ranking(run), share=run.legs_share)

    async def _ranking(self, run: SearchRun) -> Ranking:
        request = run.request
        page = request.page.of_leg if request.page and self.brings_page else None
        asked = run.index.lexical(
            self.query(run),
            depth=self.depth(run),
            filter=request.filter_for(self.name),
            timeout_s=run.left_s(run.legs_share),
            passages=min(request.passages, 1),
            page=page,
        )
        words = request.own.asked == self.name or (page and (page.sort is not None or page.aggregations is not None))
        answer = await (as_asked("query, sort or aggregations", lambda: asked) if words else asked)
        run.page = answer.page or run.page
        return answer.ranking
