"""The clients that other rerank and embedding servers come with, pointed at a worker: they read what it says in TEI's
dialect.

A client is imported where it is used: together they take seconds that no other test should wait for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.programs.command import UNHURRIED, Launcher

from connector.remote.process import WorkerProcess

QUERY = "how long does a registered deal last"
PASSAGES = [
    "A cold room is checked twice a day, and its log is kept for a year.",
    "A registered deal lasts 90 days for a tier-2 partner; it can be extended once.",
    "FL-2207 means that the battery is low.",
    "Partners register a deal in the portal. " * 120,  # longer than the model reads
    "The deal desk answers within two working days — “naïve” quotes, 日本語 and 🙂 included.",
]
KEY = "no-key-is-needed"

Ranked = list[tuple[int, float]]


def cohere_1(url: str, query: str, passages: Sequence[str]) -> Ranked:
    import cohere

    reply = cohere.Client(KEY, base_url=url).rerank(query=query, documents=list(passages), model="any")
    return [(result.index, result.relevance_score) for result in reply.results]


def cohere_2(url: str, query: str, passages: Sequence[str]) -> Ranked:
    import cohere

    reply = cohere.ClientV2(KEY, base_url=url).rerank(query=query, documents=list(passages), model="any")
    return [(result.index, result.relevance_score) for result in reply.results]


def voyage(url: str, query: str, passages: Sequence[str]) -> Ranked:
    import voyageai

    reply = voyageai.Client(KEY, base_url=f"{url}/v1").rerank(query, list(passages), model="any")
    return [(result.index, result.relevance_score) for result in reply.results]


def tei(url: str, query: str, passages: Sequence[str]) -> Ranked:
    from tei_client import HttpClient

    reply = HttpClient(url).rerank(query, list(passages))  # asks /info first whether this is a reranker
    return [(rank.index, rank.score) for rank in reply.ranks]


def langchain_voyage(url: str, query: str, passages: Sequence[str]) -> Ranked:
    from langchain_core.documents import Document
    from langchain_voyageai import VoyageAIRerank

    reranker = VoyageAIRerank(model="any", api_key=KEY, base_url=f"{url}/v1")
    documents = [Document(text, metadata={"position": position}) for position, text in enumerate(passages)]
    ranked = reranker.compress_documents(documents, query)
    return [(document.metadata["position"], document.metadata["relevance_score"]) for document in ranked]


def llama_index_tei(url: str, query: str, passages: Sequence[str]) -> Ranked:
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    return _llama_index(TextEmbeddingInference(base_url=url, top_n=len(passages)), query, passages)


def llama_index_jina(url: str, query: str, passages: Sequence[str]) -> Ranked:
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    reranker = JinaRerank(base_url=f"{url}/v1", api_key=KEY, top_n=len(passages))
    return _llama_index(reranker, query, passages)


def _llama_index(reranker: object, query: str, passages: Sequence[str]) -> Ranked:
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [NodeWithScore(node=TextNode(id_=str(at), text=text), score=0.0) for at, text in enumerate(passages)]
    return [(int(node.node.id_), node.score) for node in reranker.postprocess_nodes(nodes, query_str=query)]


CLIENTS = [cohere_1, cohere_2, voyage, tei, langchain_voyage, llama_index_tei, llama_index_jina]


@pytest.fixture(scope="module")
def ranked(worker: WorkerProcess) -> Ranked:
    """What the worker says in TEI's dialect, read without a client."""
    reply = httpx.post(f"{worker.url}/rerank", json={"query": QUERY, "texts": PASSAGES}, timeout=60)
    return [(result["index"], result["score"]) for result in reply.json()]


def test_the_passages_do_not_come_in_the_order_of_their_scores(ranked: Ranked) -> None:
    assert ranked[0][0] == 1
    assert sorted(index for index, _ in ranked) == list(range(len(PASSAGES)))
    assert len({score for _, score in ranked}) == len(PASSAGES)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_reads_the_same_ranking_and_scores(
    worker: WorkerProcess, ranked: Ranked, client: Callable[[str, str, Sequence[str]], Ranked]
) -> None:
    assert client(worker.url, QUERY, PASSAGES) == ranked


def test_cohere_gets_the_best_documents_of_objects(worker: WorkerProcess, ranked: Ranked) -> None:
    import cohere

    documents = [{"title": text, "text": "not looked at"} for text in PASSAGES]
    reply = cohere.Client(KEY, base_url=worker.url).rerank(
        query=QUERY, documents=documents, model="any", rank_fields=["title"], top_n=2, return_documents=True
    )

    assert [(result.index, result.relevance_score, result.document.text) for result in reply.results] == [
        (index, score, PASSAGES[index]) for index, score in ranked[:2]
    ]
    assert (reply.meta.api_version.version, reply.meta.billed_units.search_units) == ("1", 1)


def test_cohere_gets_a_cut_list(worker: WorkerProcess, ranked: Ranked) -> None:
    import cohere

    reply = cohere.ClientV2(KEY, base_url=worker.url).rerank(
        query=QUERY, documents=PASSAGES, model="any", top_n=2, max_tokens_per_doc=4096
    )

    assert [(result.index, result.relevance_score) for result in reply.results] == ranked[:2]


def test_voyage_gets_a_cut_list_and_counts_tokens(worker: WorkerProcess, ranked: Ranked) -> None:
    import voyageai

    reply = voyageai.Client(KEY, base_url=f"{worker.url}/v1").rerank(QUERY, PASSAGES, model="any", top_k=2)

    assert [(result.index, result.relevance_score) for result in reply.results] == ranked[:2]
    assert reply.total_tokens > len(PASSAGES)


async def test_voyage_may_ask_without_blocking(worker: WorkerProcess, ranked: Ranked) -> None:
    import voyageai

    reply = await voyageai.AsyncClient(KEY, base_url=f"{worker.url}/v1").rerank(QUERY, PASSAGES, model="any")

    assert [(result.index, result.relevance_score) for result in reply.results] == ranked


def test_tei_gets_the_texts_and_the_description(worker: WorkerProcess, ranked: Ranked) -> None:
    from tei_client import HttpClient

    client = HttpClient(worker.url)
    ranks = client.rerank(QUERY, PASSAGES, return_text=True, truncate=True).ranks
    raw = client.rerank(QUERY, PASSAGES, raw_scores=True).ranks
    info = client.info()

    assert [(rank.index, rank.score, rank.text) for rank in ranks] == [
        (index, score, PASSAGES[index]) for index, score in ranked
    ]
    assert [rank.index for rank in raw] == [index for index, _ in ranked]
    assert [(1 + rank.score) / 2 for rank in raw] == pytest.approx([score for _, score in ranked], abs=1e-7)
    assert (info.server_model_type.value, info.server_model_id) == ("reranker", "all-MiniLM-L6-v2")
    assert info.max_client_batch_size == 1000


@pytest.mark.parametrize("version", ["Client", "ClientV2"])
@pytest.mark.parametrize(
    ("query", "count", "error", "words"),
    [
        (QUERY, 0, "BadRequestError", "there is nothing to rank"),
        (" ", 1, "BadRequestError", "the query is empty"),
        (QUERY, 1001, "UnprocessableEntityError", "at most 1000 are taken"),
    ],
)
def test_cohere_raises_its_own_errors(
    worker: WorkerProcess, version: str, query: str, count: int, error: str, words: str
) -> None:
    import cohere

    client = getattr(cohere, version)(KEY, base_url=worker.url)
    with pytest.raises(getattr(cohere, error)) as caught:
        client.rerank(query=query, documents=["a"] * count, model="any")

    assert words in caught.value.body["message"]


@pytest.mark.parametrize(
    ("query", "count", "error", "words"),
    [
        (QUERY, 0, "InvalidRequestError", "there is nothing to rank"),
        (" ", 1, "InvalidRequestError", "the query is empty"),
        (QUERY, 1001, "MalformedRequestError", "at most 1000 are taken"),
    ],
)
def test_voyage_raises_its_own_errors(worker: WorkerProcess, query: str, count: int, error: str, words: str) -> None:
    import voyageai

    client = voyageai.Client(KEY, base_url=f"{worker.url}/v1")
    with pytest.raises(getattr(voyageai.error, error), match=words):
        client.rerank(query, ["a"] * count, model="any")


def test_langchain_raises_voyages_error(worker: WorkerProcess) -> None:
    import voyageai

    with pytest.raises(voyageai.error.InvalidRequestError, match="the query is empty"):
        langchain_voyage(worker.url, " ", PASSAGES)


def test_llama_index_raises_what_jina_says(worker: WorkerProcess) -> None:
    with pytest.raises(RuntimeError, match="the query is empty"):
        llama_index_jina(worker.url, " ", PASSAGES)


def openai(url: str, texts: list[str], **options: Any) -> list[list[float]]:
    from openai import OpenAI

    reply = OpenAI(api_key=KEY, base_url=f"{url}/v1").embeddings.create(input=texts, model="any", **options)
    return [item.embedding for item in reply.data]


def voyage_embed(url: str, texts: list[str]) -> list[list[float]]:
    import voyageai

    client = voyageai.Client(KEY, base_url=f"{url}/v1")
    return client.embed(texts, model="any", input_type="document").embeddings


def hugging_face(url: str, texts: list[str]) -> list[list[float]]:
    from huggingface_hub import InferenceClient

    client = InferenceClient(model=f"{url}/embed", token=KEY)
    return [client.feature_extraction(text, prompt_name="document").reshape(-1).tolist() for text in texts]


@pytest.mark.parametrize("client", [openai, voyage_embed, hugging_face])
def test_a_client_reads_the_same_vectors(
    worker: WorkerProcess, client: Callable[[str, list[str]], list[list[float]]]
) -> None:
    expected = httpx.post(f"{worker.url}/embed", json={"inputs": PASSAGES}, timeout=60).json()

    assert np.array(client(worker.url, PASSAGES)) == pytest.approx(np.array(expected), abs=1e-5)


def test_openai_gets_floats_and_fewer_dimensions(worker: WorkerProcess) -> None:
    found = openai(worker.url, PASSAGES[:2], encoding_format="float", dimensions=100)

    assert [len(vector) for vector in found] == [100, 100]
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(2), abs=1e-5)


def test_openai_raises_its_own_error(worker: WorkerProcess) -> None:
    from openai import BadRequestError

    with pytest.raises(BadRequestError, match="there is nothing to encode"):
        openai(worker.url, [])


def test_ingest_and_search_have_a_worker_encode(worker: WorkerProcess, launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl").write_text(
        "".join(json.dumps({"id": str(at), "text": text}) + "\n" for at, text in enumerate(PASSAGES)), encoding="utf-8"
    )
    variables = {"CONNECTOR_ENCODER_URL": worker.url, "CONNECTOR_RERANKERS_LOCAL_URL": worker.url}
    ingested = launcher.run("ingest", "docs.jsonl", cwd=tmp_path, **variables)
    by_worker = launcher.run("search", QUERY, "--json", *UNHURRIED, cwd=tmp_path, **variables)
    in_process = launcher.run(
        "search", QUERY, "--json", *UNHURRIED, cwd=tmp_path, CONNECTOR_RERANKERS_LOCAL_URL=worker.url
    )

    assert ingested.code == 0, ingested.stderr
    hits = json.loads(by_worker.stdout)["hits"]
    assert hits[0]["doc_id"] == "1"
    assert [(hit["doc_id"], hit["explain"]["legs"]["dense"]["rank"]) for hit in hits] == [
        (hit["doc_id"], hit["explain"]["legs"]["dense"]["rank"]) for hit in json.loads(in_process.stdout)["hits"]
    ]
