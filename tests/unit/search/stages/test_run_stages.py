"""Stages in a row, over the real embedded store and a real worker: their order, their parts of the deadline, breakers
of their own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.runs.patience import PATIENCE_S
from support.runs.withheld import withheld_s
from support.searches import ENCODER, ids

from connector.clusters.embedded.index import EmbeddedIndex
from connector.rerankers.worker import WorkerClient
from connector.search.searcher import Searcher
from connector.settings.sections import Settings
from connector.types import SearchRequest, StageOutcome

NOWHERE = "http://127.0.0.1:9"


class Hanging(WorkerClient):
    """Never answers."""

    async def score(self, *args: Any, **options: Any) -> Any:
        await asyncio.Event().wait()


def searcher(
    index: EmbeddedIndex, rerankers: dict[str, WorkerClient], *stages: dict[str, Any], **given: Any
) -> Searcher:
    search = {"k": 2, "depth": 20, "deadline_s": PATIENCE_S, "rerank": list(stages)} | given
    settings = Settings.model_validate({"rerankers": {name: {} for name in rerankers}, "search": search})
    return Searcher(index, ENCODER, rerankers, settings)


async def test_a_later_stage_sees_the_best_of_the_one_before(index: EmbeddedIndex, worker: WorkerClient) -> None:
    first = {"reranker": "local", "window": 5, "weights": {"rerank": 1}}
    second = {"reranker": "local", "name": "again", "window": 2, "weights": {"before": 1}}
    response = await searcher(index, {"local": worker}, first, second).search(SearchRequest("red fish"))
    after_first = [hit.doc_id for hit in response.rankings["local"]]

    assert (
        [hit.doc_id for hit in response.rankings["again"]]
        == after_first
        == [hit.doc_id for hit in response.rankings["reranked"]]
    )
    assert response.stages == {"local": StageOutcome(True, 5, 5), "again": StageOutcome(True, 2, 2)}
    assert [hit.stage for hit in response.hits] == ["again", "again"]
    assert list(response.took_ms)[-4:] == ["local", "again", "fields", "total"]


@pytest.mark.parametrize(("share", "most"), [(None, 0.75), (0.2, 0.4)])
async def test_a_stage_that_hangs_takes_no_more_than_its_part_of_the_time(
    index: EmbeddedIndex, worker: WorkerClient, share: float | None, most: float
) -> None:
    rerankers = {"slow": Hanging(NOWHERE), "local": worker}
    stages = {"reranker": "slow", "share": share, "window": 5}, {"reranker": "local", "window": 5}
    withheld_before_s = withheld_s()
    response = await searcher(index, rerankers, *stages).search(SearchRequest("red fish", deadline_s=6.0))
    allowed_ms = 1_000 * (withheld_s() - withheld_before_s)

    assert [noted.stage for noted in response.degraded] == ["slow"]
    assert (response.stages["slow"].ran, response.stages["local"].ran) == (False, True)
    assert "no answer within" in response.stages["slow"].why
    assert response.took_ms["slow"] < most * 5_700 + allowed_ms  # of the 5.7 s at most that are left for stages
    assert {hit.stage for hit in response.hits} == {"local"}


async def test_a_reranker_that_fails_again_and_again_is_left_alone_and_others_are_not(
    index: EmbeddedIndex, worker: WorkerClient
) -> None:
    breaker = {"failures": 2, "rest_s": 60, "max_rest_s": 60}
    stages = {"reranker": "local", "window": 5}, {"reranker": "gone", "window": 5}
    rerankers = {"local": worker, "gone": WorkerClient(NOWHERE, name="gone")}
    asked = searcher(index, rerankers, *stages, breaker=breaker, tries=1)
    responses = [await asked.search(SearchRequest("red fish")) for _ in range(3)]

    assert [response.stages["local"].ran for response in responses] == [True] * 3
    assert "the reranker gone failed 2 times in a row" in responses[-1].stages["gone"].why
    assert ids(responses[-1]) == [hit.doc_id for hit in responses[-1].rankings["local"][:2]]


async def test_facts_of_a_request_leave_a_stage_out(index: EmbeddedIndex, worker: WorkerClient) -> None:
    asked = searcher(index, {"local": worker}, {"window": 5, "when": {"facts": {"kind": ["name", "title"]}}})
    named = await asked.search(SearchRequest("red fish", facts={"kind": "name"}))
    code = await asked.search(SearchRequest("red fish", facts={"kind": "code"}))

    assert named.stages["local"].ran
    assert code.stages == {"local": StageOutcome(False, 0, why="facts: kind is 'code'")}
    assert (code.degraded, "reranked" in code.rankings) == ((), False)


async def test_a_rerank_that_is_asked_for_where_there_is_no_stage_is_noted(index: EmbeddedIndex) -> None:
    off = Searcher(index, ENCODER, {}, Settings.model_validate({"search": {"rerank": "off"}}))
    response = await off.search(SearchRequest("red fish", rerank=True))

    assert response.notes == ("nothing is reranked, as asked for: search.rerank has no stage, or is off",)
