"""Every setting: from the environment, from a file, and back from YAML as it was."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml
from hypothesis import given, reject
from hypothesis import strategies as st
from support.given_settings import SECRETS, load, value_at

from connector.errors import SettingsError
from connector.settings.given import parse_value
from connector.settings.load import load_settings, setting_paths
from connector.settings.names import env_name
from connector.settings.sections import Settings

# a value for every setting that is not its default, as it would be typed
TYPED: dict[str, str] = {
    "cluster.url": "http://db:9200",
    "cluster.engine": "opensearch",
    "cluster.username": "elastic",
    "cluster.password": "12345",
    "cluster.api_key": "[key",
    "cluster.bearer_token": "{token}",
    "cluster.ca_cert": "/ca.pem",
    "cluster.verify_tls": "false",
    "cluster.compress": "true",
    "cluster.timeout_s": "12.5",
    "cluster.max_chunk_bytes": "5000",
    "cluster.knn_library": "true",
    "index.name": "docs",
    "index.analyzer": "german",
    "index.vectors.index": "hnsw",
    "index.vectors.m": "32",
    "index.vectors.ef_construction": "200",
    "index.text_fields": "{title: 2, body: 1}",
    "index.vector_field": "vec",
    "fields.id": "sku",
    "fields.text": "{name: 1.5}",
    "fields.metadata": "{year: integer}",
    "encoder.kind": "hashing",
    "encoder.url": "http://worker:8787",
    "encoder.api_key": "[encoder-key",
    "encoder.ca_cert": "/encoder-ca.pem",
    "encoder.model": "/models/e5",
    "encoder.device": "cpu",
    "encoder.backend": "onnx",
    "encoder.max_batch_tokens": "1024",
    "passages.max_tokens": "128",
    "passages.overlap_tokens": "0",
    "ingest.group_documents": "8",
    "ingest.group_bytes": "1000",
    "ingest.writers": "3",
    "ingest.max_attempts": "2",
    "ingest.busy_s": "60",
    "ingest.backoff_s": "0.1",
    "ingest.grace_s": "5",
    "search.k": "5",
    "search.depth": "80",
    "search.deadline_s": "1.5",
    "search.tries": "1",
    "search.breaker.failures": "2",
    "search.breaker.rest_s": "0.5",
    "search.breaker.max_rest_s": "9",
    "search.fusion.kind": "linear",
    "search.fusion.rank_constant": "10",
    "search.fusion.normalisation": "zscore",
    "search.legs.lexical.kind": "lexical",
    "search.legs.lexical.weight": "0",
    "search.legs.lexical.depth": "30",
    "search.legs.lexical.query": '{match: {title: "{{query}}"}}',
    "search.legs.dense.kind": "dense",
    "search.legs.dense.weight": "2.5",
    "search.legs.dense.depth": "300",
    "search.cursor_key": "a key of sixteen",
    "search.cursor_s": "60",
    "search.legs.lexical.fields": "{title: 2}",
    "search.legs.lexical.field": "null",
    "search.legs.dense.fields": "null",
    "search.legs.dense.field": "other_vector",
    "search.rerank": "{window: 30, passages: 1, weights: {rerank: 1}}",
    "rerankers.local.model": "bge",
    "ray.address": "head:6379",
    "ray.encoders": "4",
    "ray.encoder_cpus": "2",
    "ray.encoder_gpus": "0.5",
    "ray.shards": "64",
    "ray.wait_s": "300",
    "ray.object_store_bytes": "200000000",
    "rerankers.local.kind": "hosted",
    "rerankers.local.url": "http://gpu:1",
    "rerankers.local.api_key": "one[key",
    "rerankers.local.ca_cert": "/worker-ca.pem",
    "worker.host": "0.0.0.0",
    "worker.port": "0",
    "worker.encoder": "/models/e5",
    "worker.models": "{bge: {model: /models/bge}}",
    "worker.max_models_bytes": "1000",
    "worker.model": "/models/ce",
    "worker.kind": "cross-encoder",
    "worker.device": "cpu",
    "worker.backend": "onnx-int8",
    "worker.max_length": "256",
    "worker.max_batch_tokens": "128",
    "worker.cache_bytes": "0",
    "worker.max_body_bytes": "2000",
    "worker.max_pairs": "10",
    "worker.max_waiting": "2",
    "worker.max_waiting_chars": "50000",
    "worker.max_wait_s": "5.5",
    "worker.drain_s": "2.5",
    "worker.access_log": "errors",
    "worker.ready_file": "/run/worker.json",
    "worker.score_cache_bytes": "0",
    "worker.api_keys": "one two",
    "worker.tls_cert": "/cert.pem",
    "worker.tls_key": "/key.pem",
    "worker.otlp_url": "http://collector:4318",
    "judge.url": "https://llm.example/v1",
    "judge.model": "gpt-4o",
    "judge.api_key": "k",
    "judge.ca_cert": "/ca.pem",
    "judge.timeout_s": "60",
    "native.worker_url": "http://10.0.0.5:8787",
    "native.embeddings": "false",
    "native.field": "body",
    "native.model_group": "g1",
    "gateway.host": "0.0.0.0",
    "gateway.port": "9281",
    "index.beside": "vectors",
    "follow.batch_documents": "100",
    "follow.quiet_s": "2",
    "follow.rescan_s": "60",
    "follow.report_s": "5",
    "follow.sweep_s": "600",
    "follow.every_s": "5",
    "postgres.table": "public.docs",
    "postgres.query": "SELECT 1 AS id",
    "kafka.group": "search",
    "kafka.username": "follower",
    "kafka.password": "secret: 2",
    "kafka.options": "{security.protocol: SSL}",
    "postgres.slot": "docs_slot",
    "postgres.publication": "docs_changes",
    "postgres.updated_at": "changed_at",
    "postgres.password": "secret:1",
    "postgres.poll_s": "5",
    "postgres.overlap_s": "600",
    "gateway.processes": "2",
    "gateway.api_port": "9281",
    "gateway.grades": "/judging",
    "gateway.api_hosts": "[search.example]",
    "gateway.slow_query_ms": "250",
    "gateway.log_query_text": "true",
    "gateway.otlp_url": "http://collector:4318",
    "gateway.events_file": "/ubi.jsonl",
    "gateway.events_index": "ubi",
    "gateway.max_waiting_events": "50",
    "gateway.upstream": "[http://db1:9200, http://db2:9200]",
    "gateway.preserve_host": "false",
    "gateway.indexes": "{products: {mode: bounded, window: 50}}",
    "gateway.pipelines": "{cheap: {rerank: off}}",
    "gateway.shadows_at_once": "2",
    "gateway.trusted_proxies": "[10.0.0.0/8]",
    "gateway.max_header_bytes": "32768",
    "gateway.max_search_bytes": "1000",
    "gateway.max_msearch_bytes": "2000",
    "gateway.connect_timeout_s": "2.5",
    "gateway.drain_s": "3",
    "gateway.tls_cert": "/cert.pem",
    "gateway.tls_key": "/key.pem",
    "models.download": "false",
    "models.maven_repository": "https://repository.example/maven2",
    "models.maven_username": "builder",
    "models.maven_password": "s3cret",
    "models.ca_cert": "/etc/ca.pem",
    "log.level": "debug",
    "log.format": "json",
}


def test_every_setting_has_an_example_here() -> None:
    assert sorted(TYPED) == sorted(set(setting_paths()) - {"search.legs.dense.query"})  # which is refused


def test_every_setting_has_a_twin_in_the_environment() -> None:
    paths, defaults = list(setting_paths()), Settings()
    changed = {}
    for path, text in TYPED.items():
        settings = load_settings(environ={env_name(path): text})
        changed[path] = {other for other in paths if value_at(settings, other) != value_at(defaults, other)}

    defaults_too = {path for path in TYPED if path.startswith("search.legs") and path.endswith(".kind")}
    defaults_too |= {path for path in TYPED if path.startswith("search.legs") and TYPED[path] == "null"}
    assert changed == {path: set() if path in defaults_too else {path} for path in TYPED}


def test_every_setting_means_the_same_in_the_file_and_in_the_environment() -> None:
    apart = {*SECRETS, "search.legs.lexical.query"}  # a leg has either a query or fields
    lines = [f"{path}: {text}" for path, text in TYPED.items() if path not in apart and text != "null"]
    tree: dict[str, Any] = {}
    for line in lines:
        path, _, text = line.partition(": ")
        *sections, name = path.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = parse_value(text)

    from_file = Settings.model_validate(tree)
    from_environment = load_settings(
        environ={env_name(path): text for path, text in TYPED.items() if path not in apart}
    )

    assert from_file == from_environment


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a JSON schema allows."""
    match schema:
        case {"enum": names}:
            return st.sampled_from(names)
        case {"anyOf": options}:
            return st.one_of(map(values, options))
        case {"type": "object", "additionalProperties": inner}:
            return st.dictionaries(st.text(), values(inner), max_size=3)
        case {"type": "array", "prefixItems": parts}:
            return st.tuples(*map(values, parts)).map(list)
        case {"type": "integer"}:
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 10**12))
        case {"type": "number"}:
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            exclusive = "exclusiveMinimum" in schema
            return st.floats(low, schema.get("maximum", 1e9), exclude_min=exclusive, allow_subnormal=False)
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "null"}:
            return st.none()
    return st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc",), exclude_characters="@"))


@cache
def settings_schema() -> dict[str, Any]:
    return Settings.model_json_schema()


def schema_of(path: str) -> dict[str, Any]:
    schema = settings_schema()
    found = schema
    for name in path.split("."):
        found = found["properties"][name] if "properties" in found else found["additionalProperties"]
        found = schema["$defs"][found["$ref"].rsplit("/", 1)[-1]] if "$ref" in found else found
    return found


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    """Settings of which some have not their defaults."""
    plain = [path for path in setting_paths() if path not in {*SECRETS, "search.rerank"}]
    paths = draw(st.lists(st.sampled_from(plain), max_size=8))
    try:
        return load_settings(environ={}, overrides={path: draw(values(schema_of(path))) for path in paths})
    except SettingsError:  # the sizes or the weights do not fit together
        reject()


@given(any_settings())
def test_settings_come_back_from_yaml_as_they_were(settings: Settings) -> None:
    assert load(yaml.safe_dump(settings.model_dump(mode="json"))) == settings
