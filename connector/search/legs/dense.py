"""A leg that looks for what is near to the query's vector, and what makes that vector."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

from connector.models.encoder import Encoder
from connector.retries import CircuitBreaker
from connector.search.run import SearchRun
from connector.settings.search import LegKind, LegSettings
from connector.types import Ranking, Vector


class QueryEncoder:
    """Encodes the query of a search once, whoever asks for it."""

    def __init__(self, encoder: Encoder, breaker: CircuitBreaker) -> None:
        self._encoder = encoder
        self._breaker = breaker
        # threads that are always the same: a new one would first set up the model's own threads
        self._threads = ThreadPoolExecutor(encoder.queries_at_once, thread_name_prefix="encode")

    async def vector(self, run: SearchRun) -> Vector | None:
        """The query's vector; None where it could not be made, which the run has noted."""
        async with run.encoding:
            if not run.encoded:
                encode = partial(self._encode, run.request.text)
                run.vector = await run.attempt("encode", encode, share=run.legs_share, breaker=self._breaker)
                run.encoded = True
        return run.vector

    def close(self) -> None:
        """End the threads, once they have nothing to do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _encode(self, query: str) -> Vector:
        context = copy_context()  # with the trace that the search is part of
        encode = partial(context.run, self._encoder.encode_query, query)
        return await asyncio.get_running_loop().run_in_executor(self._threads, encode)


class DenseLeg:
    """What is near to the vector of the query."""

    kind: LegKind = "dense"

    def __init__(self, name: str, settings: LegSettings, encoder: QueryEncoder) -> None:
        self.name = name
        self._settings = settings
        self._encoder = encoder

    def check(self, run: SearchRun) -> None:
        """Any index with vectors can be asked."""

    async def ask(self, run: SearchRun) -> Ranking | None:
        request, share = run.request, run.legs_share
        vector = await self._encoder.vector(run)
        if vector is None:
            return None
        return await run.attempt(
            self.name,
            lambda: run.index.dense(
                vector,
                depth=self._settings.depth or request.depth,
                filter=request.filter_for(self.name),
                field=self._settings.field,
                timeout_s=run.left_s(share),
                passages=request.passages,
                note=partial(run.note, self.name, lasting=True),
            ),
            share=share,
        )
