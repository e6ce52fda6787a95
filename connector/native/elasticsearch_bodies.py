"""What is sent to Elasticsearch: inference endpoints, and a search with retrievers that uses them.

Of the services that take any URL, `hugging_face` speaks the worker's /rerank (8.19 and 9.1 on) and `openai` its
/v1/embeddings. An endpoint holds nothing that could say who made it, so ours are known by their names, services and
paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.clusters.dialect import JSON, PASSAGES
from connector.clusters.elasticsearch import num_candidates
from connector.native.plan import EXAMPLE_QUERY, ExampleSearch, NativePlan, PartNames

NO_KEY = "none"  # both services take no endpoint without a key; a worker without keys does not look at it


@dataclass(frozen=True, slots=True)
class InferenceService:
    """One thing that the worker does, as the inference API calls it."""

    task: str
    name: str
    path: str


RERANK = InferenceService("rerank", "hugging_face", "/rerank")
EMBEDDING = InferenceService("text_embedding", "openai", "/v1/embeddings")


def build_endpoint(plan: NativePlan, service: InferenceService) -> JSON:
    """The body that makes an inference endpoint."""
    settings: JSON = {"url": plan.worker_url.rstrip("/") + service.path, "api_key": plan.api_key or NO_KEY}
    if service is EMBEDDING:
        settings |= {"model_id": plan.encoder, "similarity": "cosine"}
    return {"service": service.name, "service_settings": settings}


def endpoint_differs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an endpoint that was found calls another address or model than the wanted one. Its key cannot be read."""
    current, asked = found["service_settings"], wanted["service_settings"]
    return any(current.get(name) != asked.get(name) for name in ("url", "model_id"))


def is_ours(found: Mapping[str, Any], service: InferenceService) -> bool:
    """Whether an endpoint of one of our names is as we make them."""
    return found.get("service") == service.name and str(found["service_settings"].get("url")).endswith(service.path)


def build_example(plan: NativePlan) -> ExampleSearch:
    """A search that fuses its legs by rank and has the best of them reranked."""
    schema, names = plan.schema, PartNames(plan.index)
    fields = [f"{name}^{boost:g}" for name, boost in schema.fields.text.items()]
    lexical: JSON = {"multi_match": {"query": EXAMPLE_QUERY, "fields": fields, "type": "most_fields"}}
    retriever: JSON = {"standard": {"query": lexical}}
    if plan.embeddings and schema.vector_field:
        builder = {"text_embedding": {"model_id": names.embedding, "model_text": EXAMPLE_QUERY}}
        knn: JSON = {"field": schema.vector_field, "query_vector_builder": builder}
        knn |= {"k": plan.depth, "num_candidates": num_candidates(plan.depth)}
        legs = [retriever, {"knn": knn}]
        retriever = {
            "rrf": {"retrievers": legs, "rank_constant": plan.fusion.rank_constant, "rank_window_size": plan.depth}
        }
    reranked = {
        "retriever": retriever,
        "field": reranked_field(plan),
        "inference_id": names.rerank,
        "inference_text": EXAMPLE_QUERY,
        "rank_window_size": plan.window,
    }
    body: JSON = {"size": plan.k, "retriever": {"text_similarity_reranker": reranked}}
    if hidden := PASSAGES if schema.managed else schema.vector_field:
        body["_source"] = {"excludes": [hidden]}
    return ExampleSearch(f"POST /{plan.index}/_search", body)


def reranked_field(plan: NativePlan) -> str:
    """The one text field that is reranked: the named one, or the last in reading order, where titles come first."""
    return plan.field or list(plan.schema.fields.text)[-1]
