"""OpenSearch's own hybrid query with RRF in a search pipeline, and ML Commons' rerank that asks the worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from opensearchpy import OpenSearch
from sentence_transformers import SentenceTransformer


def prepare(peer: Any, documents: Sequence[dict[str, str]]) -> Callable[[str], list[str]]:
    engine, encoder = OpenSearch(peer.url), SentenceTransformer(peer.encoder)
    texts = [f"{document['title']}\n{document['text']}" for document in documents]
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    vector = {"type": "knn_vector", "dimension": peer.dims, "method": method}
    mappings = {"properties": {"text": {"type": "text", "analyzer": "english"}, "vector": vector}}
    engine.indices.create(index=peer.index, body={"settings": {"index.knn": True}, "mappings": mappings})
    vectors = encoder.encode(texts, normalize_embeddings=True).tolist()
    lines: list[dict[str, Any]] = []
    for document, text, values in zip(documents, texts, vectors, strict=True):
        lines += [{"index": {"_id": document["_id"]}}, {"text": text, "vector": values}]
    engine.bulk(body=lines, index=peer.index, refresh=True)
    fuse = {"score-ranker-processor": {"combination": {"technique": "rrf"}}}
    body: dict[str, Any] = {"phase_results_processors": [fuse]}
    if peer.reranks:
        model_id = _deploy_reranker(engine, peer)
        rerank = {"ml_opensearch": {"model_id": model_id}, "context": {"document_fields": ["text"]}}
        body["response_processors"] = [{"rerank": rerank}]
    engine.transport.perform_request("PUT", f"/_search/pipeline/{peer.index}", body=body)

    def search(query: str) -> list[str]:
        embedding = encoder.encode(query, normalize_embeddings=True).tolist()
        legs = [{"match": {"text": query}}, {"knn": {"vector": {"vector": embedding, "k": peer.depth}}}]
        asked: dict[str, Any] = {"query": {"hybrid": {"queries": legs, "pagination_depth": peer.depth}}}
        asked |= {"size": peer.window if peer.reranks else peer.k, "_source": ["text"]}
        if peer.reranks:
            asked["ext"] = {"rerank": {"query_context": {"query_text": query}}}
        found = engine.search(body=asked, index=peer.index, params={"search_pipeline": peer.index})
        return [hit["_id"] for hit in found["hits"]["hits"]][: peer.k]

    return search


def _deploy_reranker(engine: OpenSearch, peer: Any) -> str:
    """The id of a deployed model that posts to the worker."""
    address = urlsplit(peer.worker_url)
    request = json.dumps({"documents": "${parameters.documents}", "query": "${parameters.query}", "top_n": "N"})
    request = request.replace('"${parameters.documents}"', "${parameters.documents}")
    request = request.replace('"N"', "${parameters.top_n}")
    action: dict[str, Any] = {"action_type": "predict", "method": "POST", "url": f"{peer.worker_url}/v2/rerank"}
    action |= {"headers": {"content-type": "application/json"}, "request_body": request}
    action |= {"pre_process_function": "connector.pre_process.cohere.rerank"}
    action |= {"post_process_function": "connector.post_process.cohere.rerank"}
    connector: dict[str, Any] = {"name": peer.index, "version": "1", "protocol": "http", "description": address.netloc}
    connector |= {"credential": {"key": "none"}, "parameters": {}, "actions": [action]}
    send = engine.transport.perform_request
    made = send("POST", "/_plugins/_ml/connectors/_create", body=connector)
    model = {"name": peer.index, "function_name": "remote", "connector_id": made["connector_id"]}
    task = send("POST", "/_plugins/_ml/models/_register", params={"deploy": "true"}, body=model)
    for _ in range(300):
        state = send("GET", f"/_plugins/_ml/models/{task['model_id']}")["model_state"]
        if state == "DEPLOYED":
            return str(task["model_id"])
        time.sleep(0.1)
    raise RuntimeError(f"the model is not deployed: {state}")
