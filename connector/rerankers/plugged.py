"""A reranker that a plug-in brings, held to what a reranker promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connector.errors import WorkerError
from connector.models.scorer import QueryWeights
from connector.plugins import Plugin
from connector.rerankers.pace import Pace, PacedSearch
from connector.rerankers.protocol import RerankerInfo, RerankScores, Turn
from connector.settings.sections import RerankerSettings

MEMBERS = ("info", "score")


class PluggedReranker:
    """The plug-in's reranker: what it raises is a WorkerError with its own reason, so that a stage is left out and the
    search goes on. One that has no `expect` of its own is asked for as much as its speed of late allows."""

    def __init__(self, plugin: Plugin, settings: RerankerSettings, options: Mapping[str, Any]) -> None:
        """Raises PluginError where it cannot be opened, or is no reranker."""
        self._plugin = plugin
        opener = plugin.load()
        with plugin.blamed():
            self._reranker = opener(settings, options)
        plugin.check(self._reranker, *MEMBERS)
        self._pace = Pace()

    def expect(self, *, timeout_s: float) -> Turn:
        if expect := getattr(self._reranker, "expect", None):
            turn: Turn = expect(timeout_s=timeout_s)
            return turn
        return _PluggedTurn(self._pace, timeout_s)

    async def info(self, *, timeout_s: float) -> RerankerInfo:
        with self._plugin.blamed(WorkerError):
            info: RerankerInfo = await self._reranker.info(timeout_s=timeout_s)
        return info

    async def score(
        self,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        scope: str = "",
        timeout_s: float,
    ) -> RerankScores:
        with self._plugin.blamed(WorkerError), self._pace.metered([len(passage) for passage in passages]):
            scores: RerankScores = await self._reranker.score(
                query, passages, weights=weights, scope=scope, timeout_s=timeout_s
            )
        if scores.values.shape != (len(passages),):
            raise WorkerError(
                f"{self._plugin} gave scores of shape {scores.values.shape}, where {(len(passages),)} is due"
            )
        return scores

    async def rerankers(self, *, timeout_s: float) -> tuple[str, ...]:
        if rerankers := getattr(self._reranker, "rerankers", None):
            with self._plugin.blamed(WorkerError):
                names: tuple[str, ...] = await rerankers(timeout_s=timeout_s)
            return names
        return ()

    async def close(self) -> None:
        if close := getattr(self._reranker, "close", None):
            with self._plugin.blamed(WorkerError):
                await close()


class _PluggedTurn:
    """A search that shares the plug-in's reranker with the others of this process, by its measured speed."""

    def __init__(self, pace: Pace, timeout_s: float) -> None:
        self._pace = pace
        self._turn: PacedSearch = pace.turn(timeout_s)

    async def room(self, passages: Sequence[str], *, least: int, timeout_s: float) -> int:
        return self._pace.fit(self._turn, [len(text) for text in passages], least=least, timeout_s=timeout_s)

    def close(self) -> None:
        self._turn.close()
