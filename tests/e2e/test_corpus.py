"""The example corpus on all five stores, through one code path: filters exact, dense rankings equal, documents
unique."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.indices.scratch import drop, unique_name

from connector.clusters.connect import connect
from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.runs import Answers, answer_all
from connector.evaluation.statistics.measures import mean, measure
from connector.filters import parse_filter
from connector.ingest import job
from connector.ingest.passages import cut
from connector.ingest.report import JobReport
from connector.models.encoder import Encoder
from connector.remote.process import WorkerProcess
from connector.rerankers.worker import WorkerClient
from connector.schema import Fields
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings
from connector.types import Document, SearchRequest, Vectors
from connector.wiring import build_schema, build_searcher, open_index

pytestmark = pytest.mark.timeout(900)  # whichever is first waits for the demo
ALL = 2_000  # a depth beyond the corpus
FILTERS: list[tuple[Any, Any]] = [
    ("department=legal", lambda document: document["department"] == "legal"),
    ("region=emea,apac", lambda document: document["region"] in ("emea", "apac")),
    ("tier?", lambda document: "tier" in document),
    ("tier!=gold", lambda document: document.get("tier") != "gold"),
    ("date>=2024-01-15", lambda document: document["date"] >= "2024-01-15"),
    ("date<2022-06-01", lambda document: document["date"] < "2022-06-01"),
    ("product=Tidewatch", lambda document: "Tidewatch" in document.get("product", [])),
    (
        {"and": ["date>2023-12-31", {"not": {"exists": "product"}}, {"or": ["kind=policy", "kind=memo"]}]},
        lambda document: (
            document["date"] > "2023-12-31" and not document.get("product") and document["kind"] in ("policy", "memo")
        ),
    ),
]


@pytest.fixture(scope="session")
def documents(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (corpus / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def collection(corpus: Path) -> Collection:
    return read_collection(corpus)


@pytest.fixture(scope="module")
def ingested(
    corpus: Path, store: ClusterSettings, remembering: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, JobReport]]:
    """The corpus in an index of the store, and the report of the job."""
    vectors = "auto" if store.url.startswith("embedded:") else "hnsw"  # not quantised, so that rankings can be compared
    settings = load_settings(
        environ={},
        overrides={"index.name": unique_name(), "index.vectors.index": vectors, "search.deadline_s": 60.0},
    ).model_copy(update={"cluster": store})

    yield (
        settings,
        asyncio.run(ingest(corpus, settings, remembering, tmp_path_factory.mktemp("rejects") / "rejects.jsonl")),
    )
    asyncio.run(drop(store, settings.index.name))


async def ingest(corpus: Path, settings: Settings, encoder: Encoder, rejects: Path) -> JobReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "load_encoder", lambda settings: encoder)
        return await job.run_job(str(corpus), settings, rejects=rejects)


@pytest.fixture(scope="session")
def vectors(documents: list[dict[str, Any]], remembering: Encoder) -> dict[str, Vectors]:
    """The vectors of each document's passages, cut and encoded here."""
    schema = build_schema(Settings(), Fields(text={"title": 1.0, "text": 1.0}), remembering.fingerprint)
    cut_up = [
        Document(document["_id"], {"title": document["title"], "text": document["text"]}) for document in documents
    ]
    limit = remembering.fingerprint.max_tokens
    cuts = cut(cut_up, schema, max_tokens=limit, token_offsets=remembering.token_offsets)
    return {passages[0].doc_id: remembering.encode([passage.text for passage in passages]) for passages in cuts}


@contextlib.asynccontextmanager
async def searching(settings: Settings, encoder: Encoder, worker: WorkerProcess | None = None) -> Any:
    cluster = await connect(settings.cluster)
    client = WorkerClient(worker.url) if worker else None
    try:
        yield build_searcher(
            await open_index(cluster, settings), encoder, {"local": client} if client else {}, settings
        )
    finally:
        if client:
            await client.close()
        await cluster.close()


@pytest.fixture(scope="module")
def answers(ingested: tuple[Settings, JobReport], collection: Collection, remembering: Encoder) -> Answers:
    """All queries on the store, as deep as the legs go by default."""
    return asyncio.run(ask(ingested[0], remembering, collection.queries))


async def ask(settings: Settings, encoder: Encoder, queries: Sequence[JudgedQuery], **options: Any) -> Answers:
    async with searching(settings, encoder) as searcher:
        return await answer_all(searcher, queries, rerank=False, **options)


def test_every_document_is_written_and_counted(
    ingested: tuple[Settings, JobReport], documents: list[dict[str, Any]]
) -> None:
    _, report = ingested

    assert report.ok
    assert (report.counts.read, report.counts.written) == (len(documents), len(documents))


async def test_the_same_job_again_writes_nothing(
    ingested: tuple[Settings, JobReport],
    corpus: Path,
    documents: list[dict[str, Any]],
    remembering: Encoder,
    tmp_path: Path,
) -> None:
    again = await ingest(corpus, ingested[0], remembering, tmp_path / "rejects.jsonl")

    assert again.ok
    assert (again.counts.written, again.counts.unchanged) == (0, len(documents))


@pytest.mark.parametrize(("found", "fits"), FILTERS, ids=[json.dumps(condition) for condition, _ in FILTERS])
async def test_a_filter_holds_exactly_on_both_legs(
    ingested: tuple[Settings, JobReport], documents: list[dict[str, Any]], remembering: Encoder, found: Any, fits: Any
) -> None:
    expected = {document["_id"] for document in documents if fits(document)}
    async with searching(ingested[0], remembering) as searcher:
        response = await searcher.search(
            SearchRequest("the agreement with a partner", parse_filter(found), k=10, depth=ALL, rerank=False)
        )

    assert 0 < len(expected) < len(documents)
    assert not response.degraded
    assert {hit.doc_id for hit in response.rankings["dense"]} == expected
    assert {hit.doc_id for hit in response.rankings["lexical"]} <= expected
    assert len(response.hits) == min(10, len(expected))


def test_a_document_is_in_a_ranking_once(answers: Answers) -> None:
    rankings = [ranking for run in answers.runs.values() for ranking in run.values()]

    assert rankings
    assert all(len({hit.doc_id for hit in ranking}) == len(ranking) for ranking in rankings)


async def test_the_whole_dense_ranking_is_the_exact_one(
    ingested: tuple[Settings, JobReport],
    collection: Collection,
    documents: list[dict[str, Any]],
    vectors: dict[str, Vectors],
    remembering: Encoder,
) -> None:
    """Equal to the scores computed here from the passages' vectors; so it is equal on all stores."""
    queries = collection.queries[::15]
    deep = await ask(ingested[0], remembering, queries, depth=ALL)
    for query in queries:
        ranking, exact = deep.runs["dense"][query.query_id], exact_scores(vectors, remembering, query)

        assert len(ranking) == len(documents)
        assert [hit.score for hit in ranking] == pytest.approx(sorted(exact.values(), reverse=True), abs=1e-4)
        assert {hit.doc_id: hit.score for hit in ranking} == pytest.approx(exact, abs=1e-4)


def test_the_first_ten_of_the_dense_leg_are_the_nearest(
    answers: Answers, collection: Collection, vectors: dict[str, Vectors], remembering: Encoder
) -> None:
    found = 0
    for query in collection.queries:
        exact = exact_scores(vectors, remembering, query)
        nearest = sorted(exact, key=lambda doc_id: -exact[doc_id])[:10]
        found += len(set(nearest) & {hit.doc_id for hit in answers.runs["dense"][query.query_id][:10]})

    assert found >= 0.98 * 10 * len(collection.queries)


def exact_scores(vectors: dict[str, Vectors], encoder: Encoder, query: JudgedQuery) -> dict[str, float]:
    """The cosine of every document's nearest passage."""
    vector = encoder.encode_query(query.text)
    return {doc_id: float((own @ vector).max()) for doc_id, own in vectors.items()}


def test_fusion_is_better_than_either_leg(answers: Answers, collection: Collection) -> None:
    scores = {
        stage: mean(measure(answers.runs[stage], collection.qrels)["nDCG@10"])
        for stage in ("lexical", "dense", "fused")
    }

    assert scores["fused"] > max(scores["lexical"], scores["dense"]) - 0.02
    assert scores["fused"] == pytest.approx(_reference(scores["fused"]), abs=0.03)


async def test_the_reranked_answer_explains_itself(
    ingested: tuple[Settings, JobReport],
    collection: Collection,
    documents: list[dict[str, Any]],
    remembering: Encoder,
    worker: WorkerProcess,
) -> None:
    query = next(query for query in collection.queries if query.kind == "qualifier")
    async with searching(ingested[0], remembering, worker) as searcher:
        response = await searcher.search(SearchRequest(query.text, k=10, window=20))

    assert not response.degraded
    assert [hit.rank for hit in response.hits] == list(range(1, 11))
    assert {hit.stage for hit in response.hits} == {"local"}
    assert all("local" in hit.explain.stages and hit.explain.fused_rank for hit in response.hits)
    assert all(hit.passage and hit.passage.doc_id == hit.doc_id for hit in response.hits)
    by_id = {document["_id"]: document for document in documents}
    assert all(hit.fields["title"] == by_id[hit.doc_id]["title"] for hit in response.hits)
    assert all(hit.fields.get("product") == by_id[hit.doc_id].get("product") for hit in response.hits)


_seen_fused: list[float] = []


def _reference(score: float) -> float:
    """The measure of the first store that was asked: all others must come near it."""
    _seen_fused.append(score)
    return _seen_fused[0]
