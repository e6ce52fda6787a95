"""A leg that looks for the words of the query."""

from __future__ import annotations

from connector.lexical import LexicalQuery
from connector.search.run import SearchRun
from connector.settings.search import LegKind, LegSettings
from connector.types import Ranking


class LexicalLeg:
    """The words of the query by BM25, or the query that is the application's own."""

    kind: LegKind = "lexical"

    def __init__(self, name: str, settings: LegSettings) -> None:
        self.name = name
        self._settings = settings

    def check(self, run: SearchRun) -> None:
        run.index.check_lexical(self.query(run))

    def query(self, run: SearchRun) -> LexicalQuery:
        """What the index is asked."""
        own = run.request.own.queries.get(self.name)
        return LexicalQuery(run.request.text, own=own, fields=None if own else self._settings.fields)

    def depth(self, run: SearchRun) -> int:
        """How many hits it brings at most."""
        return self._settings.depth or run.request.depth

    async def ask(self, run: SearchRun) -> Ranking | None:
        return await run.attempt(self.name, lambda: self._ranking(run), share=run.legs_share)

    async def _ranking(self, run: SearchRun) -> Ranking:
        request = run.request
        answer = await run.index.lexical(
            self.query(run),
            depth=self.depth(run),
            filter=request.filter_for(self.name),
            timeout_s=run.left_s(run.legs_share),
            passages=min(request.passages, 1),
        )
        return answer.ranking
