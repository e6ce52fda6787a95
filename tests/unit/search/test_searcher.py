"""The whole search over the real embedded store, a small encoder and a real worker on the loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.parts import HashEncoder, OverlapScorer, schema_of, serving, wait_until

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.credentials import Credentials
from connector.errors import (
    AccessDenied,
    ClusterError,
    ClusterUnavailable,
    ConnectorError,
    CredentialsError,
    FilterError,
    ModelError,
    QueryError,
    SearchFailed,
    SettingsError,
)
from connector.rerankers.worker import WorkerClient
from connector.search.order import whole_order
from connector.search.request import MAX_QUERY_CHARS
from connector.search.searcher import Searcher
from connector.settings.sections import Settings, WorkerSettings
from connector.types import (
    Document,
    Hit,
    IndexedDocument,
    LegExplanation,
    Passage,
    SearchRequest,
    SearchResponse,
    Vector,
)
from connector.worker.app import create_app

TEXTS = {
    "a": "red fish swims",
    "b": "red bird sings",
    "c": "blue fish sleeps",
    "d": "green frog jumps",
    "e": "a red red fish",
}
ENCODER = HashEncoder(dims=64)
PLAIN = Settings.model_validate({"rerank": {"window": 10}, "search": {"k": 5, "depth": 20}})


@pytest.fixture(scope="module")
def worker_url() -> Iterator[str]:
    with serving(create_app(OverlapScorer, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        yield url


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    cluster = await EmbeddedCluster.open(tmp_path)
    made = await cluster.create_index("docs", schema_of(ENCODER, text={"text": 1.0}, metadata={"kind": "keyword"}))
    await made.write(
        [
            IndexedDocument(
                Document(doc_id, {"text": text, "kind": text.split()[1]}),
                "h",
                (Passage(doc_id, 0, text),),
                ENCODER.encode([text]),
            )
            for doc_id, text in TEXTS.items()
        ]
    )
    await made.finish()
    yield made
    await cluster.close()


@pytest.fixture
async def worker(worker_url: str) -> AsyncIterator[WorkerClient]:
    client = WorkerClient(worker_url)
    yield client
    await client.close()


class Broken:
    """The index with a leg, or its fields, that fail or sleep."""

    def __init__(self, index: EmbeddedIndex, **faults: Any) -> None:
        self._index, self._faults = index, faults

    def __getattr__(self, name: str) -> Any:
        if name not in self._faults:
            return getattr(self._index, name)

        async def fail(*args: Any, **options: Any) -> Any:
            fault = self._faults[name]
            if isinstance(fault, Exception):
                raise fault
            await asyncio.sleep(fault)

        return fail


async def search(
    index: Any,
    worker: WorkerClient | None,
    query: str = "red fish",
    *,
    encoder: Any = ENCODER,
    settings: Settings = PLAIN,
    **request: Any,
) -> SearchResponse:
    return await Searcher(index, encoder, worker, settings).search(SearchRequest(query, **request))


def ids(response: SearchResponse) -> list[str]:
    return [hit.doc_id for hit in response.hits]


async def test_the_reranker_has_the_last_word_and_every_stage_is_explained(
    index: EmbeddedIndex, worker: WorkerClient
) -> None:
    response = await search(index, worker)

    first = response.hits[0]
    assert ids(response)[:2] == ["a", "e"]  # both hold both words; ties go by doc_id
    assert (first.rank, first.stage, first.score) == (1, "reranked", 1.0)
    assert first.passage == Passage("a", 0, TEXTS["a"])
    assert first.fields == {"text": TEXTS["a"], "kind": "fish"}
    assert isinstance(first.explain.lexical, LegExplanation)
    assert (first.explain.rerank_rank, first.explain.rerank_score) == (1, 1.0)
    assert response.degraded == ()
    assert {"lexical", "dense", "fused", "reranked"} == set(response.rankings)


@pytest.mark.parametrize("fusion", [{"kind": "rrf", "weights": [1.0, 3.0]}, {"kind": "linear", "alpha": 0.3}])
@pytest.mark.parametrize("blend", ["rerank", "rrf", "linear", None])
async def test_every_score_can_be_worked_out_from_its_explanation(
    index: EmbeddedIndex, worker: WorkerClient, fusion: dict[str, Any], blend: str | None
) -> None:
    rerank = {"window": 3, "blend": blend} if blend else {"enabled": False}
    settings = Settings.model_validate({"rerank": rerank, "search": {"k": 3, "depth": 4, "fusion": fusion}})
    response = await search(index, worker, settings=settings)

    assert len(response.hits) == 3
    for hit in response.hits:
        made_of = hit.explain.blend if blend else hit.explain.fusion
        assert made_of is not None
        assert made_of.score == pytest.approx(hit.score)
        assert made_of.kind == (blend or fusion["kind"])
        assert hit.explain.fusion is not None
        assert hit.explain.fusion.score == pytest.approx(hit.explain.fused_score)


async def test_documents_without_text_are_counted_as_not_reranked(index: EmbeddedIndex, worker: WorkerClient) -> None:
    class Wordless(Broken):
        """The index whose legs bring no passages of two of the documents."""

        async def dense(self, *args: Any, **options: Any) -> Any:
            found = await index.dense(*args, **options)
            return tuple(hit._replace(passages=()) if hit.doc_id in "ab" else hit for hit in found)

        async def lexical(self, *args: Any, **options: Any) -> Any:
            return ()

    response = await search(Wordless(index), worker)

    assert [one.stage for one in response.degraded] == ["rerank"]
    assert "2 documents of the window have no text to rerank" in response.degraded[0].reason
    assert {hit.doc_id for hit in response.hits if hit.stage != "reranked"} == {"a", "b"}


async def test_documents_beyond_the_cap_of_pairs_are_noted(index: EmbeddedIndex, worker: WorkerClient) -> None:
    capped = Settings.model_validate({"rerank": {"window": 10, "max_pairs": 3}, "search": {"k": 5, "depth": 20}})
    response = await search(index, worker, settings=capped)

    assert response.degraded == ()
    assert response.notes == ("2 documents of the window were not reranked: rerank.max_pairs holds no more pairs",)


@pytest.mark.parametrize(
    ("asked", "sizes", "note"),
    [
        ({"depth": 3}, (5, 5), "window is 6, not 10: legs of depth 3 find no more documents"),
        ({"depth": 2}, (4, 4), "k is 4, not 5: the window holds no more documents"),
        ({"window": 2}, (2, 2), "k is 2, not 5: the window holds no more documents"),
        ({"depth": 2, "rerank": False}, (4, 0), "k is 4, not 5: what legs of depth 2 find holds no more documents"),
        ({"k": 3}, (3, 3), None),
        ({"k": 20, "rerank": False}, (5, 0), None),
    ],
)
async def test_what_a_request_lowers_pulls_the_other_sizes_down_and_the_answer_says_so(
    index: EmbeddedIndex, worker: WorkerClient, asked: dict[str, Any], sizes: tuple[int, int], note: str | None
) -> None:
    response = await search(index, worker, **asked)
    most, reranked = sizes

    assert len(response.hits) <= most
    assert sum(hit.stage == "reranked" for hit in response.hits) <= reranked
    assert response.degraded == ()
    assert response.notes[-1:] == ((note,) if note else ())


@pytest.mark.parametrize(
    "asked", [{"k": 11}, {"k": 3, "window": 2}, {"window": 41}, {"depth": 2, "window": 5}, {"k": 41, "rerank": False}]
)
async def test_what_a_request_raises_above_the_other_sizes_is_refused(
    index: EmbeddedIndex, worker: WorkerClient, asked: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match="do not fit together"):
        await search(index, worker, **asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"k": "three"}, "k must be a whole number, not str 'three'"),
        ({"k": True}, "k must be a whole number"),
        ({"window": 2.5}, "window must be a whole number"),
        ({"depth": 10_001}, "depth=10001 is more than"),
        ({"k": 0}, "k must be 1 or more"),
        ({"deadline_s": "soon"}, "deadline_s must be a number of seconds"),
        ({"deadline_s": 0}, "deadline_s must be more than 0 seconds"),
        ({"deadline_s": float("nan")}, "deadline_s must be more than 0 seconds"),
        ({"rerank": "no"}, "rerank must be True or False"),
        ({"credentials": "secret"}, "credentials are made with"),
        ({"filter": 7}, "filter"),
        ({"query": b"bytes"}, "the query must be a text, not bytes"),
        ({"query": None}, "the query must be a text, not NoneType"),
    ],
)
async def test_a_value_of_the_wrong_kind_is_an_error_of_ours(
    index: EmbeddedIndex, worker: WorkerClient, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConnectorError, match=words) as caught:
        await search(index, worker, **({"query": "red"} | asked))
    assert "secret" not in str(caught.value)


async def test_without_a_worker_the_fused_order_stands(index: EmbeddedIndex) -> None:
    response = await search(index, None)

    assert [hit.doc_id for hit in response.rankings["fused"]][:5] == ids(response)
    assert {hit.stage for hit in response.hits} == {"fused"}
    assert all(hit.explain.rerank_rank is None for hit in response.hits)


async def test_a_request_can_leave_the_reranker_out(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(index, worker, rerank=False)

    assert "reranked" not in response.rankings


async def test_a_worker_that_is_not_there_degrades_the_answer(index: EmbeddedIndex) -> None:
    response = await search(index, WorkerClient("http://127.0.0.1:9"))

    assert ids(response) == ids(await search(index, None))
    assert [one.stage for one in response.degraded] == ["rerank"]
    assert "connector worker" in response.degraded[0].reason


async def test_what_was_not_reranked_in_time_keeps_the_fused_order(index: EmbeddedIndex) -> None:
    scorer = OverlapScorer()
    with serving(create_app(lambda: scorer, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        left = [2]

        def slow_after_two() -> None:
            left[0] -= 1
            if left[0] < 0:
                time.sleep(2.0)

        scorer.before_batch = slow_after_two
        client = WorkerClient(url)
        response = await search(index, client, deadline_s=2.0)
        await client.close()

    fused = [hit.doc_id for hit in response.rankings["fused"]]
    assert [hit.stage for hit in response.hits] == ["reranked"] * 2 + ["fused"] * 3
    assert sorted(ids(response)[:2]) == sorted(fused[:2])
    assert ids(response)[2:] == fused[2:5]
    assert [one.stage for one in response.degraded] == ["rerank"]
    assert "3 passages were not scored in time" in response.degraded[0].reason
    assert response.took_ms["total"] < 2_300


def test_the_reranked_take_turns_in_the_places_that_they_had() -> None:
    fused = tuple(Hit(doc_id, 1.0) for doc_id in "abcdef")

    assert [hit.doc_id for hit in whole_order((Hit("e", 9.0), Hit("b", 8.0)), fused, late=1)] == list("aecdbf")
    assert whole_order((), fused, late=1) == fused


@pytest.mark.parametrize(("leg", "stage"), [("lexical", "dense"), ("dense", "lexical")])
async def test_a_leg_that_fails_leaves_the_other(index: EmbeddedIndex, leg: str, stage: str) -> None:
    response = await search(Broken(index, **{leg: ClusterUnavailable("no answer")}), None)

    assert {hit.stage for hit in response.hits} == {stage}
    assert [(one.stage, one.reason) for one in response.degraded] == [(leg, "no answer")]


async def test_a_leg_that_is_late_is_left_behind(index: EmbeddedIndex) -> None:
    response = await search(Broken(index, lexical=30.0), None, deadline_s=1.0)

    assert ids(response)
    assert response.took_ms["total"] < 5_000
    assert response.degraded[0].stage == "lexical"


async def test_an_encoder_that_fails_leaves_the_lexical_leg(index: EmbeddedIndex) -> None:
    class Failing(HashEncoder):
        def encode_query(self, text: str) -> Vector:
            raise ModelError("out of memory")

    response = await search(index, None, encoder=Failing())

    assert {hit.stage for hit in response.hits} == {"lexical"}
    assert [one.stage for one in response.degraded] == ["encode"]


async def test_two_legs_that_fail_are_an_error_with_both_reasons(index: EmbeddedIndex) -> None:
    broken = Broken(index, lexical=ClusterUnavailable("one"), dense=ClusterUnavailable("two"))

    with pytest.raises(SearchFailed) as caught:
        await search(broken, None)
    assert caught.value.reasons == {"lexical": "one", "dense": "two"}


@pytest.mark.parametrize(
    "calls", [("lexical", "dense"), ("lexical",), ("dense",), ("content",), ("get",)], ids=" and ".join
)
async def test_credentials_that_are_refused_give_no_degraded_answer(
    index: EmbeddedIndex, worker: WorkerClient, calls: tuple[str, ...]
) -> None:
    broken = Broken(index, **{call: AccessDenied("no", status=403) for call in calls})

    with pytest.raises(AccessDenied, match="no"):
        await search(broken, worker if calls == ("get",) else None)


async def test_a_store_without_users_takes_no_credentials(index: EmbeddedIndex, worker: WorkerClient) -> None:
    with pytest.raises(CredentialsError, match="the embedded store knows no users"):
        await search(index, worker, credentials=Credentials.basic("ann", "secret"))


@pytest.mark.parametrize("reranked", [False, True])
async def test_fields_that_cannot_be_fetched_leave_the_hits(
    index: EmbeddedIndex, worker: WorkerClient, reranked: bool
) -> None:
    gone = ClusterUnavailable("gone")
    response = await search(Broken(index, get=gone, content=gone), worker if reranked else None)

    assert ids(response)
    assert all(hit.fields == {} for hit in response.hits)
    assert all(bool(hit.passage) == reranked for hit in response.hits)  # the reranker had to have them before
    assert [one.stage for one in response.degraded] == ["fields"]


async def test_a_hit_shows_the_passage_of_the_leg_that_found_it(index: EmbeddedIndex) -> None:
    whole = await search(index, None)
    lexical = await search(Broken(index, dense=ClusterUnavailable("no answer")), None)

    for response, leg in ((whole, "nearest"), (lexical, "matching")):
        shown = await index.content(
            ids(response), query="red fish", vector=ENCODER.encode_query("red fish"), timeout_s=10
        )
        assert [hit.passage for hit in response.hits] == [getattr(shown[one], leg) for one in ids(response)]
        assert all(hit.passage for hit in response.hits)


async def test_what_only_the_words_found_shows_what_matches_them_beside_hits_of_both_legs(index: EmbeddedIndex) -> None:
    class OneNear:
        """The index with a dense leg that finds one document."""

        def __getattr__(self, name: str) -> Any:
            return getattr(index, name)

        async def dense(self, *args: Any, **options: Any) -> Any:
            return (await index.dense(*args, **options))[:1]

    response = await search(OneNear(), None)

    assert sum(hit.explain.dense is None for hit in response.hits) >= 2
    assert all(hit.passage for hit in response.hits)


async def test_a_filter_holds_for_both_legs(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(index, worker, filter="kind=fish")

    assert sorted(ids(response)) == ["a", "c"]


async def test_a_filter_that_nothing_meets_finds_nothing(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(index, worker, filter="kind=whale")

    assert (response.hits, response.degraded) == ((), ())


async def test_documents_beyond_the_window_follow_in_fused_order(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(index, worker, k=2, window=2, depth=20)
    wide = await search(index, worker, k=2, window=2, depth=20)

    assert [hit.stage for hit in response.hits] == ["reranked", "reranked"]
    assert [hit.doc_id for hit in response.rankings["reranked"]][2:] == [
        hit.doc_id for hit in response.rankings["fused"]
    ][2:]
    assert ids(response) == ids(wide)


@pytest.mark.parametrize("query", ["", "  \n", "x" * (MAX_QUERY_CHARS + 1), "half \ud800 pair"])
async def test_a_query_that_cannot_be_searched_is_refused(index: EmbeddedIndex, query: str) -> None:
    with pytest.raises(QueryError):
        await search(index, None, query)


@pytest.mark.parametrize("query", ["?!", "'); --", "\x00", "a AND (b", "字", "👍 fish", "*", "field:value^2~"])
async def test_any_other_query_is_answered_by_both_legs(index: EmbeddedIndex, query: str) -> None:
    response = await search(index, None, query)

    assert response.degraded == ()
    assert response.hits


async def test_a_query_is_asked_in_the_spelling_of_the_index_and_answered_in_its_own(
    index: EmbeddedIndex, worker: WorkerClient
) -> None:
    odd = "r\u00aded \ufeffﬁsh"
    response, plain = await search(index, worker, odd), await search(index, worker)

    assert response.query == odd
    assert response.rankings == plain.rankings


async def test_sizes_and_filters_of_a_request_are_checked(index: EmbeddedIndex, worker: WorkerClient) -> None:
    with pytest.raises(SettingsError, match="k=11, window=10"):
        await search(index, worker, k=11)
    with pytest.raises(SettingsError, match="k=41 and depth=20"):
        await search(index, None, k=41)
    with pytest.raises(FilterError, match="did you mean 'kind'"):
        await search(index, None, filter="kidn=fish")


class Flaky:
    """The index whose lexical leg fails so many times before it answers."""

    def __init__(self, index: EmbeddedIndex, error: Exception, times: int) -> None:
        self._index, self._error, self.left = index, error, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def lexical(self, *args: Any, **options: Any) -> Any:
        if self.left:
            self.left -= 1
            raise self._error
        return await self._index.lexical(*args, **options)


async def test_a_leg_that_breaks_off_once_is_asked_again(index: EmbeddedIndex) -> None:
    response = await search(Flaky(index, ClusterUnavailable("reset"), 1), None)

    assert response.degraded == ()
    assert ids(response) == ids(await search(index, None))


async def test_a_leg_is_tried_as_often_as_the_settings_say(index: EmbeddedIndex) -> None:
    patient = Settings.model_validate({**PLAIN.model_dump(), "search": {"k": 5, "depth": 20, "tries": 3}})
    flaky, broken = Flaky(index, ClusterUnavailable("reset"), 2), Flaky(index, ClusterUnavailable("reset"), 9)
    responses = [await search(flaky, None, settings=patient), await search(broken, None, settings=patient)]

    assert [[one.stage for one in response.degraded] for response in responses] == [[], ["lexical"]]
    assert (flaky.left, broken.left) == (0, 6)


async def test_a_refusal_is_not_repeated(index: EmbeddedIndex) -> None:
    flaky = Flaky(index, ClusterError("no such field", status=400), 1)
    response = await search(flaky, None)

    assert [one.reason for one in response.degraded] == ["no such field"]


async def test_nobody_waits_longer_than_the_deadline_for_a_retry_after(index: EmbeddedIndex) -> None:
    flaky = Flaky(index, ClusterUnavailable("busy", status=429, retry_after_s=60), 1)
    response = await search(flaky, None, deadline_s=5.0)

    assert response.took_ms["total"] < 4_000
    assert [one.stage for one in response.degraded] == ["lexical"]


class FlakyWorker:
    """A server that answers /rerank with what it is told to; `asked` counts."""

    def __init__(self) -> None:
        self.status, self.asked, self.body, self.headers = 200, 0, b"", {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await receive()
        body = b'{"kind": "cross-encoder"}'
        if scope["path"] == "/rerank":
            self.asked += 1
            body = self.body
        headers = [(b"content-type", b"application/json"), *self.headers.items()]
        status = self.status if scope["path"] == "/rerank" else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def flaky_worker() -> Iterator[tuple[FlakyWorker, str]]:
    app = FlakyWorker()
    with serving(app) as url:
        yield app, url


SCORES = b"[" + b", ".join(b'{"index": %d, "score": 1}' % at for at in range(len(TEXTS))) + b"]"
RESTING = {"breaker": {"failures": 3, "rest_s": 0.4}, "tries": 1, "k": 5, "depth": 20}


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (503, b"{}"), (200, b"[]"), (200, b"garbage")])
async def test_a_worker_that_keeps_failing_is_left_alone_and_comes_back(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str], status: int, body: bytes
) -> None:
    app, url = flaky_worker
    app.status, app.body = status, body
    settings = Settings.model_validate({"rerank": {"window": 10}, "search": RESTING})
    searcher = Searcher(index, ENCODER, WorkerClient(url), settings)
    responses = [await searcher.search(SearchRequest("red fish")) for _ in range(6)]

    assert [[one.stage for one in response.degraded] for response in responses] == [["rerank"]] * 6
    assert app.asked == 3
    assert "the worker failed 3 times in a row; it is left alone" in responses[-1].degraded[0].reason

    app.status, app.body = 200, SCORES
    await asyncio.sleep(0.45)
    healed = await searcher.search(SearchRequest("red fish"))

    assert healed.degraded == ()
    assert {hit.stage for hit in healed.hits} == {"reranked"}


@pytest.mark.parametrize("status", [413, 422, 429])
async def test_a_worker_that_refuses_a_request_is_asked_again(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str], status: int
) -> None:
    app, url = flaky_worker
    app.status, app.body = status, b'{"error": "no"}'
    searcher = Searcher(
        index, ENCODER, WorkerClient(url), Settings.model_validate({"rerank": {"window": 10}, "search": RESTING})
    )
    for _ in range(6):
        await searcher.search(SearchRequest("red fish"))

    assert app.asked == 6


async def test_a_busy_worker_is_asked_again_when_it_said_so(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str]
) -> None:
    app, url = flaky_worker
    app.status, app.body, app.headers = 429, SCORES, {b"retry-after": b"1"}
    searching = asyncio.create_task(search(index, WorkerClient(url)))
    while not app.asked:  # noqa: ASYNC110 (a server in another thread sets no event here)
        await asyncio.sleep(0.01)
    app.status = 200
    response = await searching

    assert response.degraded == ()
    assert app.asked == 2
    assert response.took_ms["rerank"] >= 1_000


async def test_lateness_under_a_short_deadline_is_not_the_workers_fault(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str]
) -> None:
    app, url = flaky_worker
    app.status = 500
    searcher = Searcher(
        index, ENCODER, WorkerClient(url), Settings.model_validate({"rerank": {"window": 10}, "search": RESTING})
    )
    for _ in range(6):
        await searcher.search(SearchRequest("red fish", deadline_s=0.9))

    assert app.asked == 6
