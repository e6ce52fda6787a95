"""The first stage: every leg is asked side by side, each within the same share of the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from connector.errors import SearchFailed
from connector.lexical import LexicalQuery
from connector.models.encoder import Encoder
from connector.retries import CircuitBreaker
from connector.search.run import SearchRun
from connector.search.weights import TermWeights, Weight
from connector.types import Degradation, Ranking, Vector


@dataclass(frozen=True, slots=True)
class FirstStage:
    """What a search knows before it fuses: what each leg found, and the weights of the query's words."""

    query: str
    legs: Mapping[str, Ranking]
    weights: tuple[Weight, ...] | None
    degraded: tuple[Degradation, ...] = ()


class Leg(Protocol):
    """Finds documents for a query."""

    name: str

    async def ask(self, run: SearchRun) -> Ranking | None:
        """What it found; None where it failed, which the run has noted."""
        ...


class LexicalLeg:
    """The words of the query, by BM25."""

    name = "lexical"

    async def ask(self, run: SearchRun) -> Ranking | None:
        return await run.attempt(self.name, lambda: self._ranking(run), share=run.legs_share)

    async def _ranking(self, run: SearchRun) -> Ranking:
        request = run.request
        answer = await run.index.lexical(
            LexicalQuery(request.text),
            depth=request.depth,
            filter=request.filter,
            timeout_s=run.left_s(run.legs_share),
            passages=min(request.passages, 1),
        )
        return answer.ranking


class DenseLeg:
    """What is near to the vector of the query."""

    name = "dense"

    def __init__(self, encoder: Encoder, breaker: CircuitBreaker) -> None:
        self._encoder = encoder
        self._breaker = breaker
        # threads that are always the same: a new one would first set up the model's own threads
        self._threads = ThreadPoolExecutor(encoder.queries_at_once, thread_name_prefix="encode")

    async def ask(self, run: SearchRun) -> Ranking | None:
        request, share = run.request, run.legs_share
        encode = partial(self._encode, request.text)
        vector = run.vector = await run.attempt("encode", encode, share=share, breaker=self._breaker)
        if vector is None:
            return None
        return await run.attempt(
            self.name,
            lambda: run.index.dense(
                vector,
                depth=request.depth,
                filter=request.filter,
                timeout_s=run.left_s(share),
                passages=request.passages,
                note=partial(run.note, self.name, lasting=True),
            ),
            share=share,
        )

    def close(self) -> None:
        """End the threads, once they have nothing to do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _encode(self, query: str) -> Vector:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._encoder.encode_query, query)


async def ask_legs(run: SearchRun, legs: Sequence[Leg], term_weights: TermWeights | None) -> FirstStage:
    """What all legs found. Raises AccessDenied where one was refused, SearchFailed where none answered."""
    async with asyncio.TaskGroup() as tasks:
        asked = {leg.name: tasks.create_task(leg.ask(run)) for leg in legs}
        weighed = tasks.create_task(term_weights.ask(run)) if term_weights and run.request.reranks else None
    found = {name: task.result() for name, task in asked.items()}
    run.check_allowed(*found)
    if all(ranking is None for ranking in found.values()):
        raise SearchFailed(run.failures)
    legs_found = {name: ranking or () for name, ranking in found.items()}
    return FirstStage(run.request.text, legs_found, weighed.result() if weighed else None, tuple(run.degraded))
