"""What is worked out from collected material is what a search gives, over the real embedded store and a worker on the
loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.parts import HashEncoder, OverlapScorer, schema_of, serving, wait_until
from support.searches import PATIENT

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.errors import SettingsError, WorkerUnavailable
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.searchers import Opened
from connector.rerankers.worker import WorkerClient
from connector.search.searcher import Searcher
from connector.search.stages.pairs import select_pairs
from connector.settings.sections import Settings, WorkerSettings
from connector.tuning.choice import Choice, read_choice, with_choice
from connector.tuning.collect import CandidateReranker, collect
from connector.tuning.offline import Material, final_ranking, fused_ranking
from connector.tuning.space import build_space
from connector.tuning.timing import Option, take_times
from connector.tuning.tune import find_models
from connector.types import Document, IndexedDocument, Passage, SearchRequest
from connector.worker.app import create_app
from connector.worker.models import OfferedModel

CORPUS = Path(__file__).parents[3] / "examples" / "corpus"
ENCODER = HashEncoder(dims=64)
CHARS = 150  # of a passage
SETTINGS = Settings.model_validate({"search": PATIENT | {"rerank": {"window": 10, "max_pairs": 25}}})
CURRENT = read_choice(SETTINGS)
SPACE = build_space(SETTINGS, depths=(10, 20, 40), windows=(5, 10, 30))
CHOICES: dict[str, Choice] = {
    "as configured": CURRENT,
    "no rerank": replace(CURRENT, rerank=False),
    "weights": replace(CURRENT, rerank=False, rank_constant=5, weights=(1.4, 0.6)),
    "one leg": replace(CURRENT, weights=(2.0, 0.0)),
    "linear": replace(CURRENT, rerank=False, kind="linear", normalisation="minmax", weights=(1.4, 0.6)),
    "shallow": replace(
        CURRENT, depth=10, kind="linear", normalisation="zscore", weights=(0.8, 1.2), blend=(0.0, 0.1, 0.6, 0.4)
    ),
    "deep and wide": replace(CURRENT, depth=40, window=30, blend=(0.4, 0.3, 0.1, 0.2)),
    "narrow": replace(CURRENT, depth=40, window=5, rank_constant=100, weights=(0.6, 1.4), blend=(0.0, 0.0, 0.0, 1.0)),
}


def read(name: str, count: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()[:count]]


QUERIES = [JudgedQuery(row["_id"], row["text"]) for row in read("queries.jsonl", 6)]


@pytest.fixture(scope="module")
def worker_url() -> Iterator[str]:
    """A worker with two rerankers and an encoder."""
    models = [OfferedModel("rerank", "second", OverlapScorer), OfferedModel("embed", "encoder", lambda: ENCODER)]
    with serving(create_app(OverlapScorer, WorkerSettings(model="overlap"), models)) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        yield url


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty documents of the example corpus, up to three passages each; tests only read them."""
    folder = tmp_path_factory.mktemp("store")
    asyncio.run(fill(folder))
    return folder


async def fill(folder: Path) -> None:
    cluster = await EmbeddedCluster.open(folder)
    index = await cluster.create_index("docs", schema_of(ENCODER, text={"text": 1.0}))
    documents = []
    for row in read("corpus.jsonl", 80):
        texts = [row["text"][start : start + CHARS] for start in range(0, 3 * CHARS, CHARS)]
        passages = tuple(Passage(row["_id"], at, text) for at, text in enumerate(texts) if text.strip())
        document = Document(row["_id"], {"text": row["text"]})
        documents.append(
            IndexedDocument(document, "h", passages, ENCODER.encode([passage.text for passage in passages]))
        )
    await index.write(documents)
    await index.finish()
    await cluster.close()


@pytest.fixture
async def opened(store: Path, worker_url: str) -> AsyncIterator[Opened]:
    cluster, worker = await EmbeddedCluster.open(store), WorkerClient(worker_url)
    index = await cluster.open_index("docs")
    yield Opened(Searcher(index, ENCODER, {"local": worker}, SETTINGS), SETTINGS, cluster, index, {"local": worker})
    await worker.close()
    await cluster.close()


@pytest.fixture
async def material(opened: Opened) -> dict[str, Material]:
    return await collect(QUERIES, opened, [CandidateReranker(None, "overlap", opened)], SPACE, CURRENT)


async def test_rankings_worked_out_are_those_of_a_search(opened: Opened, material: dict[str, Material]) -> None:
    for name, choice in CHOICES.items():
        settings = with_choice(SETTINGS, choice)
        searcher = Searcher(opened.index, ENCODER, opened.rerankers, settings)
        for query in QUERIES:
            response = await searcher.search(SearchRequest(query.text))
            ranking = final_ranking(material[query.query_id], choice, settings)

            real = response.rankings["reranked" if choice.rerank else "fused"]
            assert not response.degraded
            assert [hit.doc_id for hit in ranking] == [hit.doc_id for hit in real], f"{name}: {query.text}"


async def test_rankings_of_a_cascade_with_rules_are_those_of_a_search(opened: Opened) -> None:
    rules = {"gap_below": 0.2, "agree_below": 4}
    stages = [{"window": 10, "max_pairs": 25}, {"reranker": "other", "window": 7, "when": rules}]
    given = PATIENT | {"rerank": stages}
    settings = Settings.model_validate({"rerankers": {"local": {}, "other": {}}, "search": given})
    rerankers = {"local": opened.rerankers["local"], "other": opened.rerankers["local"]}
    cascade = replace(
        opened,
        searcher=Searcher(opened.index, ENCODER, rerankers, settings),
        settings=settings,
        rerankers=rerankers,
    )
    current, space = read_choice(settings), build_space(settings, depths=(20,), windows=(10,))
    material = await collect(QUERIES, cascade, [CandidateReranker(None, "overlap", cascade)], space, current)
    ran = []
    for choice in (current, replace(current, bounds=((None, None), (0.05, None)), blend=(0.0, 0.0, 0.0, 1.0))):
        chosen = with_choice(settings, choice)
        searcher = Searcher(opened.index, ENCODER, rerankers, chosen)
        for query in QUERIES:
            response = await searcher.search(SearchRequest(query.text))
            ranking = final_ranking(material[query.query_id], choice, chosen)
            ran.append(response.stages["other"].ran)

            assert not response.degraded
            assert [hit.doc_id for hit in ranking] == [hit.doc_id for hit in response.rankings["reranked"]], query.text
    assert {*ran} == {True, False}


async def test_every_score_that_a_choice_may_ask_for_was_collected(material: dict[str, Material]) -> None:
    """A passage that lacked one would be left out of the rerank without a word."""
    own_material = material[QUERIES[0].query_id]
    for start in (CURRENT, replace(CURRENT, depth=40, window=30), replace(CURRENT, depth=10)):
        choices = chain(*SPACE.groups(start))
        for choice in {replace(choice, blend=None) for choice in choices}:  # whatever the weights of the final order
            settings = with_choice(SETTINGS, choice)
            window = fused_ranking(own_material.first_stage, settings)[: choice.window]
            pairs = select_pairs(
                window, passages=settings.first_stage.passages, max_pairs=settings.first_stage.max_pairs
            )

            assert {passage.text for passage in pairs} <= set(own_material.scores[None].by_text)


async def test_every_option_is_timed_on_the_same_queries(opened: Opened) -> None:
    candidates = [CandidateReranker(None, "overlap", opened)]
    timings = await take_times(QUERIES, opened, candidates, SPACE, CURRENT, count=2)

    assert [timing.option for timing in timings] == [
        *(Option(depth) for depth in (10, 20, 40)),
        *(Option(20, window) for window in (5, 10, 30)),
    ]
    assert [timing.name for timing in timings] == [""] * 3 + ["overlap"] * 3
    assert all(timing.took_ms.p95 > 0 and timing.late == 0 for timing in timings)


async def test_the_workers_rerankers_are_tried_and_the_configured_one_with_them(worker_url: str) -> None:
    def settings(*, enabled: bool = True, **reranker: Any) -> Settings:
        given = {"rerankers": {"local": {"url": worker_url} | reranker}}
        return Settings.model_validate(given | {"search": {"rerank": enabled}})

    assert await find_models(settings(), []) == [(None, "overlap"), ("second", "second")]
    assert await find_models(settings(model="second"), []) == [("second", "second"), ("overlap", "overlap")]
    assert await find_models(settings(), ["second"]) == [(None, "overlap"), ("second", "second")]
    assert await find_models(settings(enabled=False), []) == []
    assert await find_models(settings(enabled=False), ["overlap"]) == [(None, "overlap")]
    with pytest.raises(SettingsError, match=r"no reranker 'third', but overlap, second; add it in worker\.models"):
        await find_models(settings(), ["third"])


async def test_a_worker_that_is_away_is_an_error_that_says_how_to_tune_without_it() -> None:
    settings = Settings.model_validate({"rerankers": {"local": {"url": "http://127.0.0.1:9"}}})

    with pytest.raises(WorkerUnavailable, match="start one with: connector worker; or tune without one"):
        await find_models(settings, [])
