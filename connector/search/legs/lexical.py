"""A leg that looks for the words of the query."""

from __future__ import annotations

from connector.lexical import LexicalQuery
from connector.search.run import SearchRun
from connector.settings.search import LegKind, LegSettings
from connector.types import Ranking


class LexicalLeg:
    """The words of the query, by BM25."""

    kind: LegKind = "lexical"

    def __init__(self, name: str, settings: LegSettings) -> None:
        self.name = name
        self._settings = settings

    async def ask(self, run: SearchRun) -> Ranking | None:
        return await run.attempt(self.name, lambda: self._ranking(run), share=run.legs_share)

    async def _ranking(self, run: SearchRun) -> Ranking:
        request = run.request
        answer = await run.index.lexical(
            LexicalQuery(request.text),
            depth=self._settings.depth or request.depth,
            filter=request.filter,
            timeout_s=run.left_s(run.legs_share),
            passages=min(request.passages, 1),
        )
        return answer.ranking
