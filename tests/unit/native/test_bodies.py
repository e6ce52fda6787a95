"""What is sent to OpenSearch, without an engine. tests/live/native sees what OpenSearch makes of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.indices.schemas import MADE

from connector.errors import SettingsError
from connector.layout import Layout, VectorField
from connector.native.opensearch_bodies import (
    EMBEDDING,
    RERANK,
    build_connector,
    build_example,
    build_fusion,
    build_ingest_pipeline,
    build_model,
    build_search_pipeline,
    connector_differs,
    is_ours,
)
from connector.native.plan import NativePlan, PartNames
from connector.native.planning import build_plan
from connector.schema import EncoderFingerprint, Fields, IndexSchema
from connector.settings.load import load_settings

ENCODER = EncoderFingerprint("mini", "abc", 3, 64)
OURS = IndexSchema(Fields({"title": 2.0, "text": 1.0}), ENCODER, **MADE, dims=3)


def foreign(text: dict[str, float], vector: str | None = "embedding") -> IndexSchema:
    layout = Layout(vector_fields={vector: VectorField(3, "cosine")} if vector else {})
    return IndexSchema(Fields(text), None, **MADE, managed=False, vector_field=vector, dims=3, layout=layout)


def plan_of(schema: IndexSchema = OURS, **settings: Any) -> NativePlan:
    given = {"index.name": "kb"} | {name.replace("__", "."): value for name, value in settings.items()}
    return build_plan(load_settings(environ={}, overrides=given), schema)


def connector_of(plan: NativePlan, digest: str = "") -> dict[str, Any]:
    return build_connector(plan, RERANK, name="n", digest=digest)


@pytest.mark.parametrize(("service", "path"), [(RERANK, "/v2/rerank"), (EMBEDDING, "/v1/embeddings")])
def test_a_connector_calls_the_workers_path_at_the_address_for_the_cluster(service: Any, path: str) -> None:
    plan = plan_of(rerankers__local__url="http://127.0.0.1:8787", native__worker_url="http://10.0.0.5:8787/")
    action = build_connector(plan, service, name="n", digest="")["actions"][0]

    assert action["url"] == f"http://10.0.0.5:8787{path}"


def test_the_key_is_in_the_credential_alone() -> None:
    body = connector_of(with_key("sesame"), "salt:hash")
    without_key = body | {"credential": None}

    assert body["credential"] == {"worker_key": "sesame"}
    assert body["actions"][0]["headers"]["Authorization"] == "Bearer ${credential.worker_key}"
    assert "sesame" not in str(without_key)


def with_key(key: str) -> NativePlan:
    settings = load_settings(environ={"CONNECTOR_RERANKERS_LOCAL_API_KEY": key}, overrides={"index.name": "kb"})
    return build_plan(settings, OURS)


def test_without_a_key_there_is_no_header_but_a_credential_which_ml_commons_demands() -> None:
    body = connector_of(plan_of())

    assert "Authorization" not in body["actions"][0]["headers"]
    assert body["credential"]


def test_what_the_engine_gives_back_of_a_connector_does_not_differ_from_it() -> None:
    body = connector_of(plan_of())
    found = copy.deepcopy(body)
    del found["credential"]
    found |= {"version": "1", "created_time": 1, "last_updated_time": 2}
    found["actions"][0]["action_type"] = "PREDICT"
    found["parameters"]["key_digest"] = "another"

    assert not connector_differs(found, body)


@pytest.mark.parametrize(
    "change", [{"native__worker_url": "http://other:1"}, {"encoder__model": "other"}, {"index__name": "other"}]
)
def test_a_connector_that_was_made_otherwise_differs(change: dict[str, str]) -> None:
    assert connector_differs(connector_of(plan_of(**change)), connector_of(plan_of()))


def test_a_connector_of_a_worker_that_now_asks_for_a_key_differs() -> None:
    assert connector_differs(connector_of(plan_of()), connector_of(with_key("sesame")))


def test_ours_are_known_by_their_descriptions() -> None:
    plan = plan_of()
    made = [
        connector_of(plan),
        build_model(plan, name="n", connector_id="c"),
        build_ingest_pipeline(plan, model_id="m"),
        build_search_pipeline(plan, rerank_model="r", embedding_model="e", widen=True),
    ]

    assert all(is_ours(body) for body in made if isinstance(body, dict))
    assert not is_ours({"description": "a pipeline of somebody else"})
    assert not is_ours({})


def test_a_model_is_put_into_the_group_that_is_named() -> None:
    assert build_model(plan_of(native__model_group="g"), name="n", connector_id="c")["model_group_id"] == "g"
    assert "model_group_id" not in build_model(plan_of(), name="n", connector_id="c")


@pytest.mark.parametrize(
    ("schema", "field", "field_map"),
    [
        (OURS, None, {"passages": {"text": "vector"}}),
        (foreign({"body": 1.0}), None, {"body": "embedding"}),
        (foreign({"title": 2.0, "body": 1.0}), "body", {"body": "embedding"}),
        (foreign({"content.body": 1.0}, "content.vector"), None, {"content": {"body": "vector"}}),
    ],
)
def test_ingested_text_gets_its_vector(schema: IndexSchema, field: str | None, field_map: Any) -> None:
    body = build_ingest_pipeline(plan_of(schema, native__field=field), model_id="m")

    assert isinstance(body, dict)
    assert body["processors"] == [{"text_embedding": {"model_id": "m", "field_map": field_map}}]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (foreign({"title": 2.0, "body": 1.0}), "--field NAME"),
        (foreign({"content.body": 1.0}), "embedding is not in the object that holds content.body"),
    ],
)
def test_where_it_is_not_clear_what_is_embedded_there_is_no_ingest_pipeline(schema: IndexSchema, why: str) -> None:
    assert why in str(build_ingest_pipeline(plan_of(schema), model_id="m"))


def test_a_field_that_the_index_has_not_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"native.field is 'bdy', which is none .*: title, text"):
        plan_of(native__field="bdy")


def test_a_search_fetches_the_window_for_the_reranker_and_gives_k() -> None:
    plan = plan_of(search__k=10, search__rerank={"window": 40})
    body = build_search_pipeline(plan, rerank_model="r", embedding_model="e", widen=True)
    before = [next(iter(processor)) for processor in body["request_processors"]]
    after = [next(iter(processor)) for processor in body["response_processors"]]

    assert before == ["neural_query_enricher", "oversample"]
    assert body["request_processors"][1]["oversample"]["sample_factor"] == 4.0
    assert after == ["rerank", "truncate_hits"]
    assert build_example(plan, widen=True).body["size"] == 10
    assert build_example(plan, widen=False).body["size"] == 40


def test_the_reranker_reads_the_text_fields() -> None:
    body = build_search_pipeline(plan_of(), rerank_model="r", embedding_model="e", widen=False)
    rerank = body["response_processors"][0]["rerank"]

    assert rerank["ml_opensearch"] == {"model_id": "r"}
    assert rerank["context"] == {"document_fields": ["title", "text"]}


def test_without_vectors_the_lexical_leg_alone_is_reranked() -> None:
    plan = plan_of(foreign({"body": 1.0}, None))
    pipeline = build_search_pipeline(plan, rerank_model="r", embedding_model=None, widen=False)
    example = build_example(plan, widen=False)

    assert not plan.embeddings
    assert "phase_results_processors" not in pipeline
    assert "request_processors" not in pipeline
    assert set(example.body["query"]) == {"multi_match"}


@pytest.mark.parametrize(
    ("search", "processor"),
    [
        (
            {"fusion": {"rank_constant": 20}},
            {"score-ranker-processor": {"combination": {"technique": "rrf", "rank_constant": 20}}},
        ),
        (
            {"legs": {"dense": {"weight": 3.0}}},
            {
                "score-ranker-processor": {
                    "combination": {"technique": "rrf", "rank_constant": 60, "parameters": {"weights": [0.25, 0.75]}}
                }
            },
        ),
        (
            {"fusion": {"kind": "linear"}, "legs": {"lexical": {"weight": 3.0}}},
            {
                "normalization-processor": {
                    "normalization": {"technique": "min_max"},
                    "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [0.75, 0.25]}},
                }
            },
        ),
    ],
)
def test_legs_are_fused_as_the_settings_say(search: dict[str, Any], processor: dict[str, Any]) -> None:
    plan = plan_of(search=search)

    assert build_fusion(plan.fusion, plan.weights) == processor


def test_an_engine_takes_one_leg_of_each_kind() -> None:
    with pytest.raises(SettingsError, match=r"one lexical leg, not lexical, titles; .* --set search\.legs\.titles=off"):
        plan_of(search={"legs": {"titles": {"kind": "lexical"}}})


def test_the_dense_leg_of_an_index_of_ours_searches_its_passages() -> None:
    query = build_example(plan_of(), widen=True).body["query"]["hybrid"]["queries"][1]

    assert query["nested"]["path"] == "passages"
    assert set(query["nested"]["query"]["neural"]) == {"passages.vector"}


def test_the_dense_leg_of_another_index_searches_its_field() -> None:
    example = build_example(plan_of(foreign({"body": 1.0})), widen=True)

    assert set(example.body["query"]["hybrid"]["queries"][1]["neural"]) == {"embedding"}
    assert example.body["_source"] == {"excludes": ["embedding"]}
    assert example.request == f"POST /kb/_search?search_pipeline={PartNames('kb').search}"
