"""Elasticsearch's own `rrf` and `text_similarity_reranker` retrievers, which need a licence: the worker is an inference
endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from sentence_transformers import SentenceTransformer


def prepare(peer: Any, documents: Sequence[dict[str, str]]) -> Callable[[str], list[str]]:
    engine, encoder = Elasticsearch(peer.url, request_timeout=120), SentenceTransformer(peer.encoder)
    texts = [f"{document['title']}\n{document['text']}" for document in documents]
    vector = {"type": "dense_vector", "dims": peer.dims, "similarity": "cosine"}
    properties = {"text": {"type": "text", "analyzer": "english"}, "vector": vector}
    engine.indices.create(index=peer.index, mappings={"properties": properties})
    vectors = encoder.encode(texts, normalize_embeddings=True).tolist()
    rows = zip(documents, texts, vectors, strict=True)
    bulk(
        engine,
        ({"_index": peer.index, "_id": row["_id"], "text": text, "vector": values} for row, text, values in rows),
        refresh=True,
    )
    if peer.reranks:
        service = {"url": f"{peer.worker_url}/v2/rerank", "api_key": "none", "model_id": "worker"}
        endpoint = {"service": "cohere", "service_settings": service}
        engine.inference.put(task_type="rerank", inference_id=peer.index, inference_config=endpoint)

    def search(query: str) -> list[str]:
        embedding = encoder.encode(query, normalize_embeddings=True).tolist()
        knn = {"field": "vector", "query_vector": embedding, "k": peer.depth, "num_candidates": 2 * peer.depth}
        legs = [{"standard": {"query": {"match": {"text": query}}}}, {"knn": knn}]
        retriever: dict[str, Any] = {"rrf": {"retrievers": legs, "rank_window_size": peer.depth}}
        if peer.reranks:
            ask = {"retriever": retriever, "field": "text", "inference_id": peer.index, "inference_text": query}
            retriever = {"text_similarity_reranker": ask | {"rank_window_size": peer.window}}
        found = engine.search(index=peer.index, retriever=retriever, size=peer.k, source=False)
        return [hit["_id"] for hit in found["hits"]["hits"]]

    return search
