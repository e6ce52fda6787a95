"""The whole search over the real embedded store, a small encoder and a real worker on the loopback."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest
from support.parts import HashEncoder, OverlapScorer, serving, wait_until
from support.searches import ENCODER, PATIENT, TEXTS, Broken, ids, search

from connector.clusters.embedded.index import EmbeddedIndex
from connector.credentials import Credentials
from connector.errors import (
    AccessDenied,
    ClusterUnavailable,
    CredentialsError,
    ModelError,
    SearchFailed,
)
from connector.lexical import LexicalAnswer
from connector.rerankers.worker import WorkerClient
from connector.search.run import share_before_fields
from connector.search.stages.order import whole_order
from connector.search.stages.pairs import Reranked
from connector.search.stages.stage import shortcomings
from connector.settings.sections import Settings, WorkerSettings
from connector.types import (
    Hit,
    LegExplanation,
    Passage,
    StageOutcome,
    Vector,
)
from connector.worker.app import create_app


async def test_the_window_is_reranked_and_every_stage_is_explained(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(index, worker)

    first, second = response.hits[:2]
    assert (first.doc_id, second.doc_id) == ("e", "a")  # both hold both words, e one of them twice
    assert (second.rank, second.stage) == (2, "local")
    assert list(first.explain.stages["local"].final.parts) == ["before", "lexical", "dense", "rerank"]
    assert second.passage == Passage("a", 0, TEXTS["a"])
    assert second.fields == {"text": TEXTS["a"], "kind": "fish"}
    assert isinstance(second.explain.legs["lexical"], LegExplanation)
    assert (second.explain.stages["local"].rank, second.explain.stages["local"].score) == (1, 1.0)
    assert response.stages == {"local": StageOutcome(ran=True, asked=5, done=5)}
    assert response.degraded == ()
    assert list(response.rankings) == ["lexical", "dense", "fused", "local", "reranked"]


@pytest.mark.parametrize("fusion", [{"kind": "rrf"}, {"kind": "linear"}])
@pytest.mark.parametrize("weights", [None, {"rerank": 1}, {"dense": 2, "rerank": 0.4}, "off"])
async def test_every_score_can_be_worked_out_from_its_explanation(
    index: EmbeddedIndex, worker: WorkerClient, fusion: dict[str, Any], weights: Any
) -> None:
    rerank = "off" if weights == "off" else {"window": 3, "weights": weights}
    legs = {"dense": {"weight": 3}, "again": {"kind": "lexical", "depth": 2}}
    search_settings = {"k": 3, "depth": 4, "fusion": fusion, "rerank": rerank, "legs": legs}
    settings = Settings.model_validate({"search": PATIENT | search_settings})
    response = await search(index, worker, settings=settings)

    assert len(response.hits) == 3
    for hit in response.hits:
        made_of = hit.explain.fusion if weights == "off" else hit.explain.stages["local"].final
        assert made_of is not None
        assert made_of.score == pytest.approx(hit.score)
        assert made_of.kind == (fusion["kind"] if weights == "off" else "linear")
        assert hit.explain.fusion is not None
        assert hit.explain.fusion.score == pytest.approx(hit.explain.fused_score)


async def test_documents_without_text_are_counted_as_not_reranked(index: EmbeddedIndex, worker: WorkerClient) -> None:
    class Wordless(Broken):
        """The index whose legs bring no passages of two of the documents."""

        async def dense(self, *args: Any, **options: Any) -> Any:
            found = await index.dense(*args, **options)
            return tuple(hit._replace(passages=()) if hit.doc_id in "ab" else hit for hit in found)

        async def lexical(self, *args: Any, **options: Any) -> Any:
            return LexicalAnswer(())

    response = await search(Wordless(index), worker)

    assert [degradation.stage for degradation in response.degraded] == ["local"]
    assert "2 documents of the window have no text to rerank" in response.degraded[0].reason
    assert {hit.doc_id for hit in response.hits if hit.stage != "local"} == {"a", "b"}


async def test_documents_beyond_the_cap_of_pairs_are_noted(index: EmbeddedIndex, worker: WorkerClient) -> None:
    capped = Settings.model_validate({"search": PATIENT | {"rerank": {"window": 10, "max_pairs": 3}}})
    response = await search(index, worker, settings=capped)

    assert response.degraded == ()
    reason = "2 documents of the window were not reranked: max_pairs holds no more pairs"
    assert response.notes == (f"local: {reason}",)
    assert response.stages == {"local": StageOutcome(ran=True, asked=5, done=3, why=reason)}


async def test_without_a_worker_the_fused_order_stands(index: EmbeddedIndex) -> None:
    response = await search(index, None)

    assert [hit.doc_id for hit in response.rankings["fused"]][:5] == ids(response)
    assert {hit.stage for hit in response.hits} == {"fused"}
    assert all(not hit.explain.stages for hit in response.hits)


async def test_a_request_can_leave_the_reranker_out(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(index, worker, rerank=False)

    assert "reranked" not in response.rankings


async def test_a_worker_that_is_not_there_degrades_the_answer(index: EmbeddedIndex) -> None:
    response = await search(index, WorkerClient("http://127.0.0.1:9"))

    assert ids(response) == ids(await search(index, None))
    assert [degradation.stage for degradation in response.degraded] == ["local"]
    assert "connector worker" in response.degraded[0].reason


async def test_what_was_not_reranked_in_time_keeps_the_fused_order(
    index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.rerankers.worker.BUDGET_SHARE", 0.02)  # 2 s; the way back may take long
    scorer, is_over = OverlapScorer(), threading.Event()
    with serving(create_app(lambda: scorer, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        left = [2]

        def slow_after_two() -> None:
            left[0] -= 1
            if left[0] < 0:
                is_over.wait(120)

        scorer.before_batch = slow_after_two
        client = WorkerClient(url)
        response = await search(index, client, deadline_s=110.0)
        is_over.set()
        await client.close()

    fused = [hit.doc_id for hit in response.rankings["fused"]]
    assert [hit.stage for hit in response.hits] == ["local"] * 2 + ["fused"] * 3
    assert sorted(ids(response)[:2]) == sorted(fused[:2])
    assert ids(response)[2:] == fused[2:5]
    assert [degradation.stage for degradation in response.degraded] == ["local"]
    assert "3 passages were not scored in time" in response.degraded[0].reason
    assert response.took_ms["total"] < 60_000


@pytest.mark.parametrize(("kind", "leg", "rerank"), [("late-interaction", 0.25, 0.3), ("cross-encoder", 0.2, 0.4)])
async def test_a_reranker_counts_by_the_kind_that_it_says_it_is(
    index: EmbeddedIndex, kind: str, leg: float, rerank: float
) -> None:
    scorer = OverlapScorer()
    scorer.kind = kind
    with serving(create_app(lambda: scorer, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        client = WorkerClient(url)
        response = await search(index, client)
        await client.close()

    final = response.hits[0].explain.stages["local"].final
    assert final is not None
    expected = {"before": 0.2, "lexical": leg, "dense": leg, "rerank": rerank}
    assert {name: part.weight for name, part in final.parts.items()} == expected


def test_the_reranked_take_turns_in_the_places_that_they_had() -> None:
    fused = tuple(Hit(doc_id, 1.0) for doc_id in "abcdef")

    assert [hit.doc_id for hit in whole_order((Hit("e", 9.0), Hit("b", 8.0)), fused, late=1)] == list("aecdbf")
    assert whole_order((), fused, late=1) == fused


@pytest.mark.parametrize(("leg", "stage"), [("lexical", "dense"), ("dense", "lexical")])
async def test_a_leg_that_fails_leaves_the_other(index: EmbeddedIndex, leg: str, stage: str) -> None:
    response = await search(Broken(index, **{leg: ClusterUnavailable("no answer")}), None)

    assert {hit.stage for hit in response.hits} == {stage}
    assert [(degradation.stage, degradation.reason) for degradation in response.degraded] == [(leg, "no answer")]


async def test_a_leg_that_is_late_is_left_behind(index: EmbeddedIndex) -> None:
    response = await search(Broken(index, lexical=60.0), None, deadline_s=4.0)

    assert ids(response)
    assert response.took_ms["total"] < 40_000
    assert response.degraded[0].stage == "lexical"


async def test_an_encoder_that_fails_leaves_the_lexical_leg(index: EmbeddedIndex) -> None:
    class Failing(HashEncoder):
        def encode_query(self, text: str) -> Vector:
            raise ModelError("out of memory")

    response = await search(index, None, encoder=Failing())

    assert {hit.stage for hit in response.hits} == {"lexical"}
    assert [degradation.stage for degradation in response.degraded] == ["encode"]


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
    assert [degradation.stage for degradation in response.degraded] == ["fields"]


async def test_a_hit_shows_the_passage_of_the_leg_that_found_it(index: EmbeddedIndex) -> None:
    whole = await search(index, None)
    lexical = await search(Broken(index, dense=ClusterUnavailable("no answer")), None)

    for response, leg in ((whole, "nearest"), (lexical, "matching")):
        content = await index.content(
            ids(response), query="red fish", vector=ENCODER.encode_query("red fish"), timeout_s=10
        )
        assert [hit.passage for hit in response.hits] == [getattr(content[doc_id], leg) for doc_id in ids(response)]
        assert all(hit.passage for hit in response.hits)


async def test_what_only_the_words_found_shows_what_matches_them_beside_hits_of_both_legs(index: EmbeddedIndex) -> None:
    class OneNear:
        """The index with a dense leg that finds one document."""

        def __getattr__(self, name: str) -> Any:
            return getattr(index, name)

        async def dense(self, *args: Any, **options: Any) -> Any:
            return (await index.dense(*args, **options))[:1]

    response = await search(OneNear(), None)

    assert sum("dense" not in hit.explain.legs for hit in response.hits) >= 2
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

    assert [hit.stage for hit in response.hits] == ["local", "local"]
    assert [hit.doc_id for hit in response.rankings["reranked"]][2:] == [
        hit.doc_id for hit in response.rankings["fused"]
    ][2:]
    assert ids(response) == ids(wide)


@pytest.mark.parametrize(
    ("deadline_s", "kept_s"), [(0.5, 0.1), (1.0, 0.2), (2.0, 0.3), (6.0, 0.3), (10.0, 0.5), (60.0, 3.0)]
)
def test_time_for_the_fields_is_kept_of_every_deadline(deadline_s: float, kept_s: float) -> None:
    assert deadline_s * (1 - share_before_fields(deadline_s)) == pytest.approx(kept_s)


async def test_a_reranker_that_hangs_does_not_cost_the_fields_of_a_slow_store(index: EmbeddedIndex) -> None:
    """A twentieth of this deadline, 75 ms, was too little for it. A machine that stands still for as long as is left
    costs them too, so that one such search of several will do."""

    class Hanging(WorkerClient):
        async def score(self, *args: Any, **options: Any) -> Any:
            await asyncio.Event().wait()

    class Slow(Broken):
        async def get(self, *args: Any, **options: Any) -> Any:
            await asyncio.sleep(0.15)
            return await index.get(*args, **options)

    for _ in range(6):
        response = await search(Slow(index), Hanging("http://127.0.0.1:9"), deadline_s=1.5)
        if len(response.degraded) == 1:
            break

    assert [noted.stage for noted in response.degraded] == ["local"]
    assert all(hit.fields["kind"] for hit in response.hits)


def test_why_no_text_can_be_had_is_told_where_it_is_known() -> None:
    ((known, _),) = shortcomings(Reranked((), frozenset(), without_text=1), "_source is disabled")
    ((unknown, _),) = shortcomings(Reranked((), frozenset(), without_text=2))

    assert known.startswith("1 document of the window has no text to rerank; ")
    assert known.endswith("; _source is disabled")
    assert unknown.endswith("does the index hold their text in the fields that are searched?")
