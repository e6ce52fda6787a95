"""What every reranker promises (`Reranker` in connector/rerankers/protocol.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import numpy as np
import pytest

from connector.errors import ConnectorError
from connector.rerankers.protocol import Reranker, RerankScores
from connector.settings.sections import Settings
from connector.wiring import open_reranker

T = TypeVar("T")
QUERY = "how long does the warranty of the gateway last"
PASSAGES = (
    "A cold room is checked twice a day.",
    "The warranty of the gateway lasts two years; how long it lasts does not depend on the gateway.",
    "Refunds reach the customer within a week.",
)
ODD_PASSAGES = ("", " ", "🙂", "Größe 日本語", "word " * 5_000)
TIMEOUT_S = 60.0
SAME = 1e-3


class RerankerContract:
    """Inherit it, and give the fixture `settings`: the first stage's reranker is the one that is tested. Override
    `open` where it is opened in another way."""

    def open(self, settings: Settings) -> Reranker:
        """The reranker, as a search opens it."""
        return open_reranker(settings, str(settings.first_stage.reranker))

    def test_it_says_what_it_is(self, settings: Settings) -> None:
        info = self._run(settings, lambda reranker: reranker.info(timeout_s=TIMEOUT_S))

        assert info.kind
        assert isinstance(info.model, str)
        assert isinstance(info.fingerprint, str)

    def test_each_passage_has_a_score_in_its_place(self, settings: Settings) -> None:
        scores = self._score(settings, *PASSAGES)
        backwards = self._score(settings, *PASSAGES[::-1])

        assert scores.values.shape == (len(PASSAGES),)
        assert int(np.argmax(scores.values)) == 1, "the passage that answers the query is to have the highest score"
        assert scores.kind
        assert backwards.values[::-1] == pytest.approx(scores.values, abs=SAME)

    def test_any_text_can_be_scored(self, settings: Settings) -> None:
        scores = self._score(settings, *ODD_PASSAGES)

        assert np.isfinite(scores.values).all()
        assert all(0 <= position < len(ODD_PASSAGES) for position in scores.truncated)

    def test_two_searches_at_once_get_what_each_would_get_alone(self, settings: Settings) -> None:
        alone = self._score(settings, *PASSAGES)

        async def twice(reranker: Reranker) -> list[RerankScores]:
            asking = (reranker.score(QUERY, PASSAGES, timeout_s=TIMEOUT_S) for _ in range(2))
            return list(await asyncio.gather(*asking))

        for scores in self._run(settings, twice):
            assert scores.values == pytest.approx(alone.values, abs=SAME)

    def test_no_time_is_an_error_of_ours_or_leaves_passages_unscored(self, settings: Settings) -> None:
        async def hurried(reranker: Reranker) -> RerankScores | None:
            try:
                return await reranker.score(QUERY, PASSAGES, timeout_s=0.0)
            except ConnectorError:
                return None

        scores = self._run(settings, hurried)

        assert scores is None or scores.values.shape == (len(PASSAGES),)

    def test_a_turn_gives_room_for_some_of_the_passages_and_closes_twice(self, settings: Settings) -> None:
        async def ask(reranker: Reranker) -> int:
            turn = reranker.expect(timeout_s=TIMEOUT_S)
            room = await turn.room(PASSAGES, least=1, timeout_s=TIMEOUT_S)
            turn.close()
            turn.close()
            return room

        assert 0 <= self._run(settings, ask) <= len(PASSAGES)

    def test_its_list_of_names_can_be_had(self, settings: Settings) -> None:
        names = self._run(settings, lambda reranker: reranker.rerankers(timeout_s=TIMEOUT_S))

        assert all(isinstance(name, str) for name in names)

    def _score(self, settings: Settings, *passages: str) -> RerankScores:
        return self._run(settings, lambda reranker: reranker.score(QUERY, passages, timeout_s=TIMEOUT_S))

    def _run(self, settings: Settings, use: Callable[[Reranker], Awaitable[T]]) -> T:
        """What is asked of a reranker that is opened for it and closed again."""

        async def opened() -> T:
            reranker = self.open(settings)
            try:
                return await use(reranker)
            finally:
                await reranker.close()

        return asyncio.run(opened())
