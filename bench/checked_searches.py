"""Searches by the library, all the time, each answer held against what its documents have ever held."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from support.indices.shop_writers import ShopWriter

from connector.client import Connector
from connector.errors import ConnectorError
from connector.settings.load import load_settings
from connector.text import normalise_text
from connector.types import SearchHit

SEARCHES_OF_ONE = 25  # of a connector, which sees the index as it was when it was opened
WORDS_OF_QUERY = 3


class CheckedSearches:
    """Searches for words of documents of these writers, with one encoder after the other or side by side."""

    def __init__(self, overrides: Mapping[str, Any], writers: Sequence[ShopWriter], seed: int, pause_s: float) -> None:
        self._overrides = overrides
        self._writers = writers
        self._chance = random.Random(seed)
        self._pause_s = pause_s
        self.counts: Counter[str] = Counter()
        self.degraded: Counter[str] = Counter()
        self.faults: list[str] = []

    async def search_until(self, stop: asyncio.Event, encoder: str) -> None:
        """Search with an encoder's vectors until told to stop."""
        settings = load_settings(overrides={**self._overrides, "encoder.model": encoder}, environ={})
        while not stop.is_set():
            try:
                async with await Connector.open(settings) as connector:
                    for _ in range(SEARCHES_OF_ONE):
                        if stop.is_set():
                            break
                        await self._search(connector, encoder)
                        await asyncio.sleep(self._pause_s)
            except ConnectorError as error:
                self.counts["errors"] += 1
                self.faults.append(f"a search with {encoder} failed: {type(error).__name__}: {error}")
                await asyncio.sleep(self._pause_s)

    async def _search(self, connector: Connector, encoder: str) -> None:
        answer = await connector.search(self._query(), rerank=False)
        self.counts["searches"] += 1
        self.counts[f"with {encoder}"] += 1
        self.degraded.update(f"{degradation.stage}: {degradation.reason}" for degradation in answer.degraded)
        self.counts["notes"] += len(answer.notes)  # of documents that were deleted while the search ran
        for hit in answer.hits:
            self.counts["hits"] += 1
            self.counts["passages"] += hit.passage is not None
            self.counts["dense hits"] += "dense" in hit.explain.legs
            if fault := self._fault_of(hit):
                self.counts["wrong"] += 1
                self.faults.append(fault)

    def _query(self) -> str:
        states = self._chance.choice(self._writers).states  # never empty, as their documents may be
        state = self._chance.choice(states[self._chance.choice(list(states))])
        words = f"{state.get('title', 'cold room')} {state.get('body', '')}".split()
        return " ".join(self._chance.choices(words, k=WORDS_OF_QUERY))

    def _fault_of(self, hit: SearchHit) -> str:
        """What a hit shows that its document does not hold, and never held; "" where all is right."""
        states = [state for writer in self._writers for state in writer.states.get(hit.doc_id, ())]
        number = hit.fields.get("n")
        if not any(state["n"] == number for state in states):
            return f"a hit shows document {hit.doc_id} with n={number}, which nobody wrote"
        if ours := [name for name in hit.fields if name.startswith("passages")]:
            return f"a hit of document {hit.doc_id} shows our own fields {ours}"
        if hit.passage and hit.passage.doc_id != hit.doc_id:
            return f"document {hit.doc_id} shows a passage of {hit.passage.doc_id}"
        if hit.passage and not any(is_part_of(hit.passage.text, state) for state in states):
            return f"document {hit.doc_id} shows a passage that none of its {len(states)} states has"
        return ""


def is_part_of(passage: str, state: Mapping[str, Any]) -> bool:
    """Whether a passage is the title, or a piece of the body with or without the title before it."""
    passage = normalise_text(passage)  # of a document that has no passages yet, words find the text as it is
    title, body = (normalise_text(str(state.get(name, ""))) for name in ("title", "body"))
    return passage in f"{title}\n{body}" or passage.removeprefix(f"{title}\n") in body
