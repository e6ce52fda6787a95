"""Haystack over Elasticsearch: its hybrid retriever, and its ranker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from haystack import Document, Pipeline
from haystack.utils import Secret
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from haystack_integrations.components.rankers.cohere import CohereRanker
from haystack_integrations.components.rankers.sentence_transformers import SentenceTransformersSimilarityRanker
from haystack_integrations.components.retrievers.elasticsearch import ElasticsearchHybridRetriever
from haystack_integrations.document_stores.elasticsearch import ElasticsearchDocumentStore


def prepare(peer: Any, documents: Sequence[dict[str, str]]) -> Callable[[str], list[str]]:
    store = ElasticsearchDocumentStore(hosts=peer.url, index=peer.index)
    embedder = SentenceTransformersDocumentEmbedder(model=peer.encoder, progress_bar=False)
    embedder.warm_up()
    rows = [Document(id=document["_id"], content=f"{document['title']}\n{document['text']}") for document in documents]
    store.write_documents(embedder.run(rows)["documents"])
    pipeline = Pipeline()
    retriever = ElasticsearchHybridRetriever(
        store,
        embedder=SentenceTransformersTextEmbedder(model=peer.encoder, progress_bar=False),
        fuzziness="0",
        top_k_bm25=peer.depth,
        top_k_embedding=peer.depth,
        top_k=peer.window if peer.reranks else peer.k,
    )
    pipeline.add_component("retriever", retriever)
    if peer.reranks:
        if peer.cross_encoder:
            ranker: Any = SentenceTransformersSimilarityRanker(model=peer.cross_encoder, top_k=peer.k)
        else:
            key = Secret.from_token("none")
            ranker = CohereRanker(model="worker", top_k=peer.k, api_key=key, api_base_url=peer.worker_url)
        pipeline.add_component("ranker", ranker)
        pipeline.connect("retriever.documents", "ranker.documents")

    def search(query: str) -> list[str]:
        asked = {"retriever": {"query": query}} | ({"ranker": {"query": query}} if peer.reranks else {})
        found = pipeline.run(asked)["ranker" if peer.reranks else "retriever"]["documents"]
        return [document.id for document in found]

    return search
