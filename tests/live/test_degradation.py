"""A search answers late never, worse sometimes: whatever part fails or hangs, the answer comes in time and says what it
lacks.

TOLERANCE_S is what a deadline may be passed by, beside what a busy machine withholds; the deadline itself is never
moved by a failing part. What waits for a deadline to pass has little of it left for the parts that are whole, and is
tried again where one of those was late."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from support.indices.scratch import drop, unique_name, write_documents
from support.runs.withheld import withheld_s
from support.servers.proxy import Fault, Proxy, Seen

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster, Index
from connector.errors import ClusterUnavailable, ModelError, SearchFailed
from connector.models.encoder import Encoder
from connector.remote.process import WorkerProcess, running_worker
from connector.rerankers.worker import WorkerClient
from connector.schema import Fields
from connector.search.searcher import Searcher
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings
from connector.types import Document, SearchRequest, SearchResponse, Vector
from connector.wiring import build_searcher

TOLERANCE_S = 1.0
AT_ONE_INSTANT_S = 4.0  # for many searches whose deadline comes at the same moment, on cores that others use too
DEADLINE_S = 2.0
UNHURRIED_S = 120.0  # where nothing hangs
TRIES = 6
FIELDS = Fields(text={"title": 1.0, "text": 1.0}, metadata={"topic": "keyword"})
TOPICS = ("refunds", "cold rooms", "partners", "firmware", "invoices", "carriers", "audits", "holidays")
QUERY = "what is the rule on refunds of sensors"
LEGS = ("lexical", "dense")


@dataclass(frozen=True, slots=True)
class Place:
    """A store and the name of an index in it."""

    settings: ClusterSettings
    index: str


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        pytest.param("elasticsearch", marks=pytest.mark.live),
        pytest.param("opensearch", marks=pytest.mark.live),
    ],
)
def place(request: pytest.FixtureRequest, encoder: Encoder) -> Iterator[Place]:
    """Sixty documents in the embedded store and in an engine of either kind."""
    made = Place(request.getfixturevalue(request.param), unique_name())
    asyncio.run(fill(made, encoder))
    yield made
    asyncio.run(drop(made.settings, made.index))


async def fill(place: Place, encoder: Encoder) -> None:
    texts = [
        f"Rule {at} on {TOPICS[at % 8]}: {TOPICS[at % 7]} of sensors are handled in week {at}." for at in range(60)
    ]
    documents = [
        Document(f"d{at}", {"title": f"{TOPICS[at % 8]} {at}", "text": text, "topic": TOPICS[at % 8]})
        for at, text in enumerate(texts)
    ]
    await write_documents(place.settings, place.index, documents, FIELDS, encoder)


class Faulty:
    """The embedded index, in which the named calls fail or hang as those of an engine behind a broken network."""

    def __init__(self, index: Index, faults: dict[str, Fault]) -> None:
        self._index = index
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        fault = self._faults.get(name)
        return self._broken(fault) if fault else getattr(self._index, name)

    def _broken(self, fault: Fault) -> Any:
        async def call(*_: Any, **__: Any) -> Any:
            if fault == "stall":
                await asyncio.Event().wait()
            raise ClusterUnavailable("the disk is gone")

        return call


@asynccontextmanager
async def searching(
    place: Place, encoder: Encoder, *, faults: dict[str, Fault] | None = None, worker_url: str | None = None
) -> AsyncIterator[Searcher]:
    """A searcher over a store in which the named calls (lexical, dense, content, term_statistics) do not work."""
    settings = load_settings(environ={}, overrides={"search.deadline_s": DEADLINE_S, "search.rerank": {"window": 20}})
    worker = WorkerClient(worker_url) if worker_url else None
    is_embedded = place.settings.url.startswith("embedded")
    async with contextlib.AsyncExitStack() as stack:
        url = place.settings.url
        if not is_embedded:
            proxy = await stack.enter_async_context(Proxy(url))
            url = proxy.url
        cluster: Cluster = await connect(ClusterSettings(url=url))
        stack.push_async_callback(cluster.close)
        if worker:
            stack.push_async_callback(worker.close)
        index: Any = await cluster.open_index(place.index)
        if is_embedded:
            index = Faulty(index, faults or {})
        else:
            proxy.fault = lambda seen: (faults or {}).get(call_of(seen))
        yield build_searcher(index, encoder, {"local": worker} if worker else {}, settings)


def call_of(seen: Seen) -> str:
    """Which call a request to an engine comes from."""
    if seen.path.endswith("/_termvectors"):
        return "term_statistics"
    if not seen.is_search:
        return ""
    if b'"ids"' in seen.body:
        return "content"
    return "lexical" if b"multi_match" in seen.body else "dense"


async def timed(searcher: Searcher, *, tolerance_s: float = TOLERANCE_S, **options: Any) -> SearchResponse:
    """One search, which must end by its deadline."""
    started, withheld_before_s = time.monotonic(), withheld_s()
    try:
        return await searcher.search(SearchRequest(QUERY, **options))
    finally:
        took, allowed_s = time.monotonic() - started, tolerance_s + withheld_s() - withheld_before_s
        assert took < options.get("deadline_s", DEADLINE_S) + allowed_s


async def lacking(ask: Callable[[], Awaitable[SearchResponse]], *expected: str) -> SearchResponse:
    """A response that lacks just these stages; the last one where none of several does."""
    for number in range(TRIES):
        await asyncio.sleep(min(number, 1))
        response = await ask()
        if stages(response) == [*expected]:
            break
    return response


def stages(response: SearchResponse) -> list[str]:
    return [degradation.stage for degradation in response.degraded]


async def test_with_all_parts_at_work_nothing_is_degraded(
    place: Place, encoder: Encoder, worker: WorkerProcess
) -> None:
    async with searching(place, encoder, worker_url=worker.url) as searcher:
        response = await timed(searcher, deadline_s=UNHURRIED_S)

    assert response.degraded == ()
    assert [hit.stage for hit in response.hits] == ["local"] * 10
    assert response.hits[0].fields["topic"] == "refunds"


@pytest.mark.parametrize("fault", ["refuse", "reset", "stall"])
async def test_one_leg_answers_for_both(place: Place, encoder: Encoder, fault: Fault) -> None:
    async def without(leg: str) -> SearchResponse:
        deadline_s = 3.0 if fault == "stall" else UNHURRIED_S
        async with searching(place, encoder, faults={leg: fault}) as searcher:
            return await lacking(partial(timed, searcher, deadline_s=deadline_s), leg)

    responses = await asyncio.gather(*map(without, LEGS))
    for leg, other, response in zip(LEGS, reversed(LEGS), responses, strict=True):
        assert stages(response) == [leg]
        assert response.degraded[0].reason
        assert [hit.doc_id for hit in response.hits] == [hit.doc_id for hit in response.rankings[other]][:10]
        assert {hit.stage for hit in response.hits} == {other}
        assert all(hit.fields["topic"] for hit in response.hits)
        assert all(leg not in hit.explain.legs for hit in response.hits)


@pytest.mark.parametrize("leg", LEGS)
async def test_what_one_leg_found_is_reranked(place: Place, encoder: Encoder, worker: WorkerProcess, leg: str) -> None:
    async with searching(place, encoder, faults={leg: "reset"}, worker_url=worker.url) as searcher:
        response = await timed(searcher, deadline_s=UNHURRIED_S)

    assert stages(response) == [leg]
    assert {hit.stage for hit in response.hits} == {"local"}


@pytest.mark.parametrize("fault", ["refuse", "reset", "stall"])
async def test_without_either_leg_the_search_fails_in_time(place: Place, encoder: Encoder, fault: Fault) -> None:
    async with searching(place, encoder, faults=dict.fromkeys(LEGS, fault)) as searcher:
        with pytest.raises(SearchFailed, match="no leg answered") as caught:
            await timed(searcher, deadline_s=2.0 if fault == "stall" else UNHURRIED_S)

    assert set(caught.value.reasons) == set(LEGS)


@pytest.mark.parametrize("fault", ["refuse", "stall"])
async def test_hits_whose_fields_cannot_be_had_come_without(place: Place, encoder: Encoder, fault: Fault) -> None:
    async with searching(place, encoder, faults={"content": fault}) as searcher:
        deadline_s = 1.5 if fault == "stall" else UNHURRIED_S
        response = await lacking(partial(timed, searcher, deadline_s=deadline_s), "fields")

    assert stages(response) == ["fields"]
    assert len(response.hits) == 10
    assert all(hit.fields == {} for hit in response.hits)


async def test_words_that_cannot_be_weighed_count_alike(place: Place, encoder: Encoder, worker: WorkerProcess) -> None:
    async with searching(place, encoder, faults={"term_statistics": "reset"}, worker_url=worker.url) as searcher:
        response = await timed(searcher, deadline_s=UNHURRIED_S)

    assert stages(response) == ["term_weights"]
    assert {hit.stage for hit in response.hits} == {"local"}


async def test_many_searches_at_once_keep_the_leg_that_works(place: Place, encoder: Encoder) -> None:
    """More searches than a client may hold connections: those that a stalled leg waits on must not starve the other
    leg."""
    async with searching(place, encoder, faults={"lexical": "stall"}) as searcher:
        await searcher.search(SearchRequest(QUERY, deadline_s=0.5))  # the first query warms the encoder up
        for _ in range(TRIES):
            together = (timed(searcher, deadline_s=10.0, tolerance_s=AT_ONE_INSTANT_S) for _ in range(40))
            responses = await asyncio.gather(*together)
            if not {"dense", "encode"} & {stage for response in responses for stage in stages(response)}:
                break

    assert [stages(response)[0] for response in responses] == ["lexical"] * 40
    assert not any({"dense", "encode"} & set(stages(response)) for response in responses)


class Encoding:
    """The encoder, whose queries go through `encode_query`."""

    queries_at_once = 1

    def __init__(self, encoder: Encoder, encode_query: Callable[[str], Vector]) -> None:
        self.fingerprint = encoder.fingerprint
        self.encode_query = encode_query


async def test_a_query_that_cannot_be_encoded_is_searched_by_words(place: Place, encoder: Encoder) -> None:
    def fail(text: str) -> Vector:
        raise ModelError("out of memory")

    is_over = threading.Event()

    def hang(text: str) -> Vector:
        is_over.wait(60)
        return encoder.encode_query(text)

    responses = []
    for encode_query, deadline_s in ((fail, UNHURRIED_S), (hang, 4.0)):
        broken: Any = Encoding(encoder, encode_query)
        async with searching(place, broken) as searcher:
            responses.append(await lacking(partial(timed, searcher, deadline_s=deadline_s), "encode"))
    is_over.set()

    for response in responses:
        assert stages(response) == ["encode"]
        assert {hit.stage for hit in response.hits} == {"lexical"}


@pytest.mark.parametrize("known", [True, False], ids=["known worker", "new worker"])
async def test_a_worker_that_hangs_costs_the_rerank_only(
    place: Place, encoder: Encoder, worker: WorkerProcess, known: bool
) -> None:
    async with searching(place, encoder, worker_url=worker.url) as searcher:
        if known:
            await searcher.search(SearchRequest(QUERY, deadline_s=UNHURRIED_S))
        os.kill(worker.process.pid, signal.SIGSTOP)
        try:
            # of four seconds 300 ms are kept for the fields, which a busy machine needs
            asking = (lacking(partial(timed, searcher, deadline_s=4.0), "local") for _ in range(3))
            responses = await asyncio.gather(*asking)
        finally:
            os.kill(worker.process.pid, signal.SIGCONT)
        recovered = await lacking(partial(timed, searcher, deadline_s=UNHURRIED_S))

    for response in responses:
        assert stages(response) == ["local"]
        assert {hit.stage for hit in response.hits} == {"fused"}
        assert all(hit.fields["topic"] for hit in response.hits)
    assert recovered.degraded == ()


@pytest.mark.live
async def test_a_worker_that_is_killed_in_the_middle_costs_the_rerank_only(
    embedded: ClusterSettings, elasticsearch: ClusterSettings, opensearch: ClusterSettings, encoder: Encoder
) -> None:
    places = [Place(store, unique_name()) for store in (embedded, elasticsearch, opensearch)]
    for place in places:
        await fill(place, encoder)
    async with contextlib.AsyncExitStack() as stack:
        worker = await asyncio.to_thread(stack.enter_context, running_worker())
        searchers = [
            await stack.enter_async_context(searching(place, encoder, worker_url=worker.url)) for place in places
        ]
        searches = [
            asyncio.create_task(timed(searcher, deadline_s=UNHURRIED_S)) for searcher in searchers for _ in range(6)
        ]
        await asyncio.wait(searches, return_when=asyncio.FIRST_COMPLETED)
        worker.process.kill()
        during = await asyncio.gather(*searches)
        after = [await timed(searcher, deadline_s=UNHURRIED_S) for searcher in searchers]
    for place in places:
        await drop(place.settings, place.index)

    assert {tuple(stages(response)) for response in during} <= {(), ("local",)}
    for response in during:
        assert {hit.stage for hit in response.hits} == {"fused" if response.degraded else "local"}
    for response in after:
        assert stages(response) == ["local"]
        # Six searches of each searcher were under way: where five of them failed, its breaker is open by now.
        assert re.search(r"start one with: connector worker|failed \d+ times in a row", response.degraded[0].reason)
        assert len(response.hits) == 10
