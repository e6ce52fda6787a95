"""The same list of legs and stages gives the same answer on every store: its order, its explanation, and what is
missing of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from support.parts import HashEncoder, OverlapScorer, schema_of, serving, wait_until

from connector.clusters.protocol import Cluster, Index
from connector.errors import ClusterUnavailable
from connector.lexical import LexicalAnswer, LexicalQuery
from connector.models.model import Piece
from connector.rerankers.worker import WorkerClient
from connector.search.searcher import Searcher
from connector.settings.sections import Settings, WorkerSettings
from connector.types import Document, IndexedDocument, Passage, SearchRequest, SearchResponse, StageOutcome
from connector.worker.app import create_app

ENCODER = HashEncoder(dims=64)
# (title, text): what each leg and each reranker says of them for "red fish" is clear on every store
DOCUMENTS = {
    "both": ("red fish", "red fish swims in the deep"),
    "text": ("green frog", "red fish"),
    "title": ("red fish", "nothing of the kind"),
    "half": ("blue bird", "a red one sings for a very long time"),
    "none": ("old stone", "lies there"),
}
LEGS = {"titles": {"kind": "lexical", "fields": {"title": 1.0}}, "lexical": {"fields": {"text": 1.0}}}


class ShortScorer(OverlapScorer):
    """Scores a passage higher the fewer letters it has."""

    def run(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            piece.result = -len(piece.content[1]) / 100


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """Two rerank workers."""
    with ExitStack() as stack:
        made = {}
        for name, scorer in (("overlap", OverlapScorer), ("short", ShortScorer)):
            made[name] = stack.enter_context(serving(create_app(scorer, WorkerSettings())))
            wait_until(lambda url=made[name]: httpx.get(f"{url}/ready").status_code == 200)
        yield made


@pytest.fixture
async def index(cluster: Cluster, index_name: str) -> Index:
    made = await cluster.create_index(index_name, schema_of(ENCODER))
    texts = {doc_id: f"{title}. {text}" for doc_id, (title, text) in DOCUMENTS.items()}
    await made.write(
        [
            IndexedDocument(
                Document(doc_id, {"title": title, "text": text}),
                "h",
                (Passage(doc_id, 0, texts[doc_id]),),
                ENCODER.encode([texts[doc_id]]),
            )
            for doc_id, (title, text) in DOCUMENTS.items()
        ]
    )
    await made.finish()
    return made


async def search(index: Any, urls: dict[str, str], stages: Any, **search_settings: Any) -> SearchResponse:
    given = {"k": 2, "depth": 10, "legs": LEGS, "deadline_s": 120.0, "rerank": stages} | search_settings
    settings = Settings.model_validate(
        {"rerankers": {name: {"url": url} for name, url in urls.items()}, "search": given}
    )
    clients = {name: WorkerClient(url, name=name) for name, url in urls.items()}
    try:
        return await Searcher(index, ENCODER, clients, settings).search(SearchRequest("red fish"))
    finally:
        for client in clients.values():
            await client.close()


STAGES = [
    {"reranker": "overlap", "window": 5, "weights": {"rerank": 1.0, "before": 0.01}},
    {"reranker": "short", "window": 3, "weights": {"rerank": 1.0}},
]


async def test_three_legs_and_two_stages_give_the_same_order_everywhere(index: Index, urls: dict[str, str]) -> None:
    response = await search(index, urls, STAGES)

    assert {hit.doc_id for hit in response.rankings["titles"]} == {"both", "title"}
    assert {hit.doc_id for hit in response.rankings["lexical"]} == {"both", "text", "half"}
    assert {hit.doc_id for hit in response.rankings["dense"]} == set(DOCUMENTS)
    assert {hit.doc_id for hit in response.rankings["overlap"][:3]} == {"both", "title", "text"}
    assert [hit.doc_id for hit in response.rankings["short"][:3]] == ["text", "title", "both"]
    assert [hit.doc_id for hit in response.hits] == ["text", "title"]
    assert response.degraded == ()
    assert response.stages == {"overlap": StageOutcome(True, 5, 5), "short": StageOutcome(True, 3, 3)}


async def test_every_hit_explains_itself_by_all_legs_and_stages(index: Index, urls: dict[str, str]) -> None:
    response = await search(index, urls, STAGES)
    first = response.hits[0]

    assert (first.doc_id, first.stage, list(first.explain.stages)) == ("text", "short", ["overlap", "short"])
    assert set(first.explain.legs) == {"lexical", "dense"}
    assert list(first.explain.stages["overlap"].final.parts) == ["before", "rerank"]
    assert first.explain.stages["short"].rank == 1
    assert first.explain.stages["short"].score == pytest.approx(-len("green frog. red fish") / 100)
    for hit in response.hits:
        assert math.isclose(hit.explain.stages["short"].final.score, hit.score, abs_tol=1e-9)
        assert hit.explain.fusion is not None
        assert math.isclose(hit.explain.fusion.score, hit.explain.fused_score or 0, abs_tol=1e-9)


async def test_a_stage_that_fails_leaves_the_order_of_the_one_before(index: Index, urls: dict[str, str]) -> None:
    whole = await search(index, urls, STAGES[:1])
    response = await search(index, urls | {"short": "http://127.0.0.1:9"}, STAGES, tries=1)

    assert [noted.stage for noted in response.degraded] == ["short"]
    assert [(hit.doc_id, hit.score, hit.stage) for hit in response.hits] == [
        (hit.doc_id, hit.score, "overlap") for hit in whole.hits
    ]
    assert not response.stages["short"].ran
    assert "no worker at http://127.0.0.1:9" in response.stages["short"].why


async def test_a_leg_that_fails_leaves_the_others(index: Index, urls: dict[str, str]) -> None:
    class Failing:
        """The index without an answer to the leg that looks in titles."""

        def __getattr__(self, name: str) -> Any:
            return getattr(index, name)

        async def lexical(self, query: LexicalQuery, **options: Any) -> LexicalAnswer:
            if query.fields == {"title": 1.0}:
                raise ClusterUnavailable("no answer")
            return await index.lexical(query, **options)

    response = await search(Failing(), urls, "off")

    assert [noted.stage for noted in response.degraded] == ["titles"]
    assert {hit.doc_id for hit in response.hits} == {"both", "text"}
    assert all(set(hit.explain.legs) == {"lexical", "dense"} for hit in response.hits)


async def test_a_stage_is_left_out_by_its_rules_and_the_answer_says_why(index: Index, urls: dict[str, str]) -> None:
    ruled = [STAGES[0], STAGES[1] | {"when": {"query_words_at_least": 3}}]
    response = await search(index, urls, ruled)

    assert response.degraded == ()
    assert response.stages["short"] == StageOutcome(False, 0, why="query_words_at_least 3: the query has 2")
    assert {hit.stage for hit in response.hits} == {"overlap"}
