"""What is sent to OpenSearch: connectors and models of ML Commons, ingest and search pipelines, and a search that uses
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.clusters.dialect import JSON, PASSAGES
from connector.native.plan import EXAMPLE_QUERY, ExampleSearch, NativePlan, PartNames
from connector.settings.search import FusionSettings

MARK = "made by connector native install"
NO_KEY = "none"  # ML Commons takes no connector without a credential
NORMALISATIONS = {"minmax": "min_max", "zscore": "z_score"}


@dataclass(frozen=True, slots=True)
class ModelService:
    """One thing that the worker does, as ML Commons calls it: its path, the body of a request, and a request to try it
    with."""

    path: str
    request_body: str
    functions: str
    trial: Mapping[str, Any]


RERANK = ModelService(
    "/v2/rerank",
    '{"query": "${parameters.query}", "documents": ${parameters.documents}, "top_n": ${parameters.top_n}}',
    "cohere.rerank",
    {"query": "is it there?", "documents": ["It is.", "The weather is fine."], "top_n": 2},
)
EMBEDDING = ModelService(
    "/v1/embeddings",
    '{"input": ${parameters.input}, "model": "${parameters.model}"}',
    "openai.embedding",
    {"input": ["is it there?"]},
)


def describe(index: str) -> str:
    """The description by which a part is known to be ours."""
    return f"{MARK} for {index}"


def is_ours(body: Mapping[str, Any]) -> bool:
    """Whether a connector, model or pipeline was made by us."""
    return str(body.get("description", "")).startswith(MARK)


def build_connector(plan: NativePlan, service: ModelService, *, name: str, digest: str) -> JSON:
    """The body of a connector. The key goes into its credential, which ML Commons keeps encrypted and gives to
    nobody."""
    headers = {"content-type": "application/json"}
    if plan.api_key:
        headers["Authorization"] = "Bearer ${credential.worker_key}"
    return {
        "name": name,
        "description": describe(plan.index),
        "version": 1,
        "protocol": "http",
        "parameters": {"model": plan.encoder, "key_digest": digest},
        "credential": {"worker_key": plan.api_key or NO_KEY},
        "actions": [
            {
                "action_type": "predict",
                "method": "POST",
                "url": plan.worker_url.rstrip("/") + service.path,
                "headers": headers,
                "request_body": service.request_body,
                "pre_process_function": f"connector.pre_process.{service.functions}",
                "post_process_function": f"connector.post_process.{service.functions}",
            }
        ],
    }


def connector_differs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a connector that was found is to be changed into the wanted one. Keys are compared by their digests
    elsewhere."""
    return _comparable(found) != _comparable(wanted)


def build_model(plan: NativePlan, *, name: str, connector_id: str) -> JSON:
    """The body that registers a remote model."""
    body = {
        "name": name,
        "function_name": "remote",
        "description": describe(plan.index),
        "connector_id": connector_id,
    }
    return body | ({"model_group_id": plan.model_group} if plan.model_group else {})


def build_ingest_pipeline(plan: NativePlan, *, model_id: str) -> JSON | str:
    """The body of a pipeline that gives documents their vectors, or why there can be none.

    In an index of ours it fills in the vectors of passages that a document brings along."""
    fields: JSON | str = {PASSAGES: {"text": "vector"}} if plan.schema.managed else _field_map(plan)
    if isinstance(fields, str):
        return fields
    return {
        "description": describe(plan.index),
        "processors": [{"text_embedding": {"model_id": model_id, "field_map": fields}}],
    }


def build_search_pipeline(plan: NativePlan, *, rerank_model: str, embedding_model: str | None, widen: bool) -> JSON:
    """The body of a pipeline that names the encoder of `neural` clauses, fuses the legs of a `hybrid` query and
    reranks.

    `widen`: a search for k hits fetches as many as the window holds for the reranker, in the proportion of the
    settings. A search goes on without a reranker that fails."""
    before: list[JSON] = []
    if embedding_model:
        before.append({"neural_query_enricher": {"default_model_id": embedding_model}})
    context = {"document_fields": list(plan.schema.fields.text)}
    rerank = {"ml_opensearch": {"model_id": rerank_model}, "context": context, "ignore_failure": True}
    after: list[JSON] = [{"rerank": rerank}]
    if widen:
        before.append({"oversample": {"sample_factor": plan.window / plan.k}})
        after.append({"truncate_hits": {}})
    body: JSON = {"description": describe(plan.index), "response_processors": after}
    if before:
        body["request_processors"] = before
    if embedding_model:
        body["phase_results_processors"] = [build_fusion(plan.fusion, plan.weights)]
    return body


def build_fusion(fusion: FusionSettings, weights: tuple[float, float]) -> JSON:
    """The processor that makes one ranking of the legs of a `hybrid` query, after `search.fusion`; `weights` are those
    of the lexical and the dense leg."""
    lexical, dense = weights
    shares = [lexical / (lexical + dense), dense / (lexical + dense)]
    if fusion.kind == "linear":
        return {
            "normalization-processor": {
                "normalization": {"technique": NORMALISATIONS[fusion.normalisation]},
                "combination": {
                    "technique": "arithmetic_mean",
                    "parameters": {"weights": shares},
                },
            }
        }
    combination: JSON = {"technique": "rrf", "rank_constant": fusion.rank_constant}
    if lexical != dense:
        combination["parameters"] = {"weights": shares}
    return {"score-ranker-processor": {"combination": combination}}


def build_example(plan: NativePlan, *, widen: bool) -> ExampleSearch:
    """A search through the pipeline."""
    schema = plan.schema
    fields = [f"{name}^{boost:g}" for name, boost in schema.fields.text.items()]
    query: JSON = {"multi_match": {"query": EXAMPLE_QUERY, "fields": fields, "type": "most_fields"}}
    body: JSON = {"size": plan.k if widen else plan.window}
    if plan.embeddings and schema.vector_field:
        query = {"hybrid": {"queries": [query, _neural(schema.vector_field, plan)]}}
    if hidden := PASSAGES if schema.managed else schema.vector_field:
        body["_source"] = {"excludes": [hidden]}
    body |= {"query": query, "ext": {"rerank": {"query_context": {"query_text": EXAMPLE_QUERY}}}}
    return ExampleSearch(f"POST /{plan.index}/_search?search_pipeline={PartNames(plan.index).search}", body)


def count_reranked(stats: Mapping[str, Any], pipeline: str) -> str:
    """How many searches the pipeline has had reranked on all nodes, and for how many the reranker failed."""
    found = [
        processor["rerank"]["stats"]
        for node in stats["nodes"].values()
        for processor in node["search_pipeline"]["pipelines"].get(pipeline, {}).get("response_processors", [])
        if "rerank" in processor
    ]
    searches, failed = (sum(processor[name] for processor in found) for name in ("count", "failed"))
    return f"{searches} searches, {failed} of them not reranked"


def _neural(vector_field: str, plan: NativePlan) -> JSON:
    """The dense leg; the pipeline names its model."""
    neural: JSON = {"neural": {vector_field: {"query_text": EXAMPLE_QUERY, "k": plan.depth}}}
    if not plan.schema.managed:
        return neural
    return {"nested": {"path": PASSAGES, "score_mode": "max", "query": neural}}


def _field_map(plan: NativePlan) -> JSON | str:
    """From the text field to the vector field; OpenSearch writes the vector beside its text, into the same object."""
    text, vector = plan.field, plan.schema.vector_field
    if text is None or vector is None:
        return "the index has several text fields; say which one is embedded: --field NAME"
    *path, name = text.split(".")
    *vector_path, target = vector.split(".")
    if path != vector_path:
        return f"OpenSearch writes a vector beside its text, and {vector} is not in the object that holds {text}"
    fields: JSON = {name: target}
    for outer in reversed(path):
        fields = {outer: fields}
    return fields


def _comparable(connector: Mapping[str, Any]) -> JSON:
    """What must be the same in two connectors that do the same."""
    action = dict(connector["actions"][0])
    parameters = {name: value for name, value in connector.get("parameters", {}).items() if name != "key_digest"}
    return {
        "description": connector.get("description"),
        "parameters": parameters,
        "action": action | {"action_type": str(action["action_type"]).lower()},
    }
