from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, reject
from hypothesis import strategies as st

from connector.errors import SettingsError
from connector.settings.load import load as load_layers
from connector.settings.load import load_settings, setting_names, setting_paths
from connector.settings.names import env_name
from connector.settings.search import SearchSettings
from connector.settings.sections import ClusterSettings, Settings
from connector.settings.sizes import check_sizes
from connector.settings.sources import GivenValue, parse_value

SECRETS = (
    "search.cursor_key",
    "cluster.password",
    "cluster.api_key",
    "cluster.bearer_token",
    "encoder.api_key",
    "rerankers.local.api_key",
    "worker.api_keys",
    "models.maven_password",
    "judge.api_key",
    "kafka.password",
    "postgres.password",
)
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


def load(text: str = "", environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from a file, an environment, and overrides with __ for the dot."""
    file = Path("settings.yaml")
    file.write_text(text, encoding="utf-8")
    layer = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_settings(file=file, environ=environ or {}, overrides=layer)


def value_at(settings: Settings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value.get_secret_value() if path in SECRETS and value is not None else value


def test_without_any_layer_the_defaults_hold() -> None:
    assert load_settings(environ={}) == Settings()


def test_a_file_is_above_the_defaults() -> None:
    settings = load("search: {k: 7}")

    assert (settings.search.k, settings.search.depth) == (7, Settings().search.depth)


def test_the_environment_is_above_the_file() -> None:
    settings = load("search: {k: 7, depth: 70}", {"CONNECTOR_SEARCH_K": "8"})

    assert (settings.search.k, settings.search.depth) == (8, 70)


def test_overrides_are_above_the_environment() -> None:
    settings = load("search: {k: 7}", {"CONNECTOR_SEARCH_K": "8", "CONNECTOR_SEARCH_DEPTH": "80"}, search__k=9)

    assert (settings.search.k, settings.search.depth) == (9, 80)


def test_an_override_of_none_is_not_given() -> None:
    assert load("search: {k: 7}", search__k=None).search.k == 7


def test_connector_yaml_in_the_working_folder_is_read_by_itself() -> None:
    Path("connector.yaml").write_text("index: {name: mine}")

    assert load_settings(environ={}).index.name == "mine"


def test_a_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"no settings file .*gone\.yaml"):
        load_settings(file=Path("gone.yaml"), environ={})


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "search:\n", "search:\ncluster: {}\n"])
def test_an_empty_file_or_section_changes_nothing(text: str) -> None:
    assert load(text, {"CONNECTOR_SEARCH_K": "10"}) == Settings()


@pytest.mark.parametrize(
    "text", ["- a\n- b\n", "just words", "search: {k: ", "\tsearch: 1", "a: b: c", "search: 5", "1: 2"]
)
def test_a_file_that_holds_no_settings_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        load(text)


def test_a_file_that_is_not_utf8_is_refused() -> None:
    Path("settings.yaml").write_bytes(b"index: {name: \xff}")

    with pytest.raises(SettingsError, match="not YAML"):
        load_settings(file=Path("settings.yaml"), environ={})


def test_a_folder_in_place_of_a_file_is_refused() -> None:
    with pytest.raises(SettingsError):
        load_settings(file=Path(), environ={})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("search: {dept: 5}", "unknown setting 'search.dept'; did you mean 'search.depth'"),
        ("serch: {k: 5}", "unknown setting 'serch'; did you mean 'search'"),
        ("search: {fusion: {rank_konstant: 5}}", "did you mean 'search.fusion.rank_constant'"),
        ("search: {k: many}", r"search.k: .*integer.*got 'many'"),
        ("search: {k: 0}", "search.k: .*greater than or equal to 1"),
        ("search: {legs: {lexical: {weight: 0}, dense: off}}", "need one at least whose weight is not 0"),
        ("search: {legs: {lexical: {weight: -1}}}", "greater than or equal to 0"),
        ("search: {legs: {titles: {}}}", r"legs\.titles must say its kind: lexical or dense"),
        ("search: {cursor_key: short}", "a key to sign with has 16 characters at least"),
        ("search: {legs: {dense: {query: {match: {a: '{{query}}'}}}}}", "a dense leg has no query"),
        ("search: {legs: {lexical: {query: {match: {a: '{{query}}'}}, fields: {a: 1}}}}", "either fields or a query"),
        ("search: {legs: {lexical: {query: {match: {a: tea}}}}}", r"has no \{\{query\}\}"),
        ("search: {legs: {lexical: {query: {match: {a: '{{q}}'}}}}}", r"a place \{\{q\}\}; only"),
        ("search: {legs: {lexical: {query: {query: {match: {a: '{{query}}'}}}}}}", "the body of a whole search"),
        ("search: {legs: {dense: {kind: lexical}}}", r"legs\.dense needs another name"),
        ("search: {legs: {rerank: {kind: dense}}}", r"legs\.rerank needs another name"),
        ("search: {legs: {Titles: {kind: lexical}}}", "'Titles' is no name: take small letters"),
        ("search: {rerank: {weights: {before: 0, rerank: 0}}}", "weights of before and rerank must not both be 0"),
        ("search: {rerank: {weights: {lexical: -1, rerank: 1}}}", "greater than or equal to 0"),
        ("search: {rerank: {weights: {titles: 1, rerank: 1}}}", "'titles'; there are before, lexical, dense, rerank"),
        ("search: {legs: {lexical: {field: v}}}", "field is that of a dense leg"),
        ("search: {legs: {dense: {fields: {a: 1}}}}", "fields are those of a lexical leg"),
        ("search: {rerank: [{share: 0.7}, {name: b, share: 0.6}]}", "the shares of the stages in rerank"),
        ("search: {rerank: [{share: 1}, {name: b}]}", "must leave something to each"),
        ("search: {rerank: {when: {gap_bellow: 1}}}", "gap_bellow: Extra inputs"),
        ("search: {rerank: big}", "the reranker 'big'; rerankers has local"),
        ("search: {rerank: [local, local]}", "two stages called 'local'"),
        ("search: {rerank: {name: dense}}", "a stage called 'dense', which means something else"),
        ("rerankers: {}\nsearch: {rerank: {windw: 3}}", "windw: Extra inputs"),
        ("passages: {max_tokens: 2}", "max_tokens must be 0, or 16 or more"),
        ("cluster: {engine: solr}", "cluster.engine: .*'elasticsearch'"),
        ("fields: {metadata: {year: int}}", "fields.metadata.year"),
    ],
)
def test_a_wrong_setting_is_named(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(text)


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"search\.k.*; .*worker\.port"):
        load("search: {k: many}\nworker: {port: 70000}")


def test_an_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="CONNECTOR_SERCH_K; did you mean CONNECTOR_SEARCH_K"):
        load_settings(environ={"CONNECTOR_SERCH_K": "5"})


def test_variables_of_others_are_left_alone() -> None:
    assert load_settings(environ={"PATH": "/bin", "MY_CONNECTOR_X": "1"}) == Settings()


@pytest.mark.parametrize("path", ["search.k.deep", "search.k.deep.deeper"])
def test_an_override_below_a_value_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match=r"search\.k"):
        load("search: {k: 5}", **{path: 3})


def test_every_setting_has_an_example_here() -> None:
    assert sorted(TYPED) == sorted(set(setting_paths()) - {"search.legs.dense.query"})  # which is refused


def test_every_setting_has_a_twin_in_the_environment() -> None:
    paths, defaults = list(setting_paths()), Settings()
    changed = {}
    for path, text in TYPED.items():
        settings = load_settings(environ={env_name(path): text})
        changed[path] = {one for one in paths if value_at(settings, one) != value_at(defaults, one)}

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


def test_the_environment_is_not_read_when_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_SEARCH_K", "3")

    assert (load_settings(environ={}).search.k, load_settings().search.k) == (10, 3)


@pytest.mark.parametrize("path", SECRETS)
@pytest.mark.parametrize(
    "secret", ["hunter2-[x-and-more", "[hunter2-x-and-more]", "{hunter2:and-more}", "12345hunter2-and-more"]
)
def test_a_secret_is_taken_letter_by_letter_and_shown_nowhere(path: str, secret: str) -> None:
    settings = load_settings(environ={env_name(path): secret})

    assert value_at(settings, path) == secret
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize("name", ["password", "api_key", "bearer_token"])
@pytest.mark.parametrize("value", ["[hunter2]", "{hunter2: 1}", "{a: hunter2}", "0x6875", "[[hunter2]]"])
def test_a_secret_of_a_wrong_type_is_not_in_the_error(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(f"cluster: {{{name}: {value}}}")

    assert f"cluster.{name}" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert str(0x6875) not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'cluster:\n  password: "hunter2\n',
        "cluster:\n  password: hunter2\n bad indent: x\n",
        "cluster: {password: hunter2\nindex: {}",
        "cluster: {passwort: hunter2}",
        "cluster: hunter2",
        "cluster:\n\tpassword: hunter2",
        "cluster: {password: hunter2, url: {}}",
        "cluster: {password:hunter2}",
        "cluster: {password hunter2: 1}",
        "cluster: {password: *hunter2}",
        "cluster: {password: !hunter2 x}",
        "cluster: {password: !!int hunter2}",
        "cluster: {password: !!int ''}",
        "cluster: {password: !!bool hunter2}",
        "cluster: {password: !!timestamp hunter2}",
        "cluster: {password: !!timestamp 2024-99-99}",
        "cluster: {password: !!binary hunter2é}",
        "cluster: {password: {file: hunter2}}",
        "cluster: {password: {env: hunter2}}",
        "cluster: {password: {file: a, hunter2: b}}",
        "cluster: {password: hunter2, password: hunter2}",
        "? [hunter2]\n: 1",
        "cluster: {url: 'https://me:hunter2@db:9200'}",
        "cluster: {url: 'https://me:hun/ter2@db:9200'}",
        "cluster: {url: 'me:hunter2@db:9200'}",
        "rerankers: {gpu: {url: 'http://me:hunter2@gpu:8787'}}",
    ],
)
def test_a_secret_beside_a_mistake_is_not_in_the_error(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(text)

    assert "hun" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("k", "windows", "reach"), [(1, [1], 1), (10, [50, 20], 200), (2, [2], 2), (3, [], 3)])
def test_sizes_that_fit_together_pass(k: int, windows: list[int], reach: int) -> None:
    check_sizes(k=k, windows=windows, reach=reach)


@pytest.mark.parametrize(
    ("k", "windows", "reach"),
    [(0, [1], 2), (11, [10], 200), (1, [201], 200), (-1, [5], 10), (5, [10, 20], 200), (5, [20, 4], 200), (9, [], 8)],
)
def test_sizes_that_do_not_fit_together_are_refused(k: int, windows: list[int], reach: int) -> None:
    with pytest.raises(SettingsError, match=r"not fit .*1 <= search\.k <= "):
        check_sizes(k=k, windows=windows, reach=reach)


def test_a_window_holds_what_legs_of_any_depths_find_together() -> None:
    settings = load("search: {legs: {dense: {depth: 5}, lexical: {depth: 7}, titles: {kind: lexical, depth: 2}}}")

    assert (settings.search.reach, settings.first_stage.window) == (14, 14)


def test_sizes_are_checked_in_settings() -> None:
    with pytest.raises(SettingsError, match=f"k=60, window={Settings().first_stage.window}"):
        load("search: {k: 60}")
    with pytest.raises(SettingsError, match="window=20, 30 "):
        load("search: {rerank: [{window: 20}, {name: again, window: 30}]}")


@pytest.mark.parametrize(
    ("text", "flags", "sizes"),
    [
        ("search: {depth: 10}", {}, (10, 20, 10)),
        ("search: {depth: 3}", {}, (6, 6, 3)),
        ("search: {rerank: {window: 4}}", {}, (4, 4, 100)),
        ("search: {k: 10, depth: 100, rerank: {window: 50}}", {"search.depth": 10}, (10, 20, 10)),
        ("search: {k: 10}", {"search.rerank": {"window": 5}}, (5, 5, 100)),
        ("search: {k: 60, rerank: off}", {}, (60, 50, 100)),
        ("search: {depth: 10}", {"search.k": 3}, (3, 20, 10)),
    ],
)
def test_a_size_that_is_lowered_pulls_the_others_down(
    text: str, flags: dict[str, int], sizes: tuple[int, int, int]
) -> None:
    settings = load(text, **flags)
    lowered = [size for size, usual in zip(sizes, (10, 50, 100), strict=True) if size < usual]

    assert (settings.search.k, settings.first_stage.window, settings.search.depth) == sizes
    assert bool(settings.size_notes) == (len(lowered) > 1)
    assert Settings.model_validate(settings.model_dump()) == settings


@pytest.mark.parametrize(
    "make",
    [
        lambda: Settings(nonsens=1),  # type: ignore[call-arg]
        lambda: Settings.model_validate({"nonsens": 1}),
        lambda: Settings(search={"nonsens": 1}),  # type: ignore[arg-type]
        lambda: SearchSettings(nonsens=1),  # type: ignore[call-arg]
    ],
)
def test_settings_that_cannot_be_made_are_an_error_of_ours(make: Callable[[], Any]) -> None:
    with pytest.raises(SettingsError, match=r"nonsens: Extra inputs are not permitted"):
        make()


def test_every_problem_of_settings_is_said_at_once() -> None:
    with pytest.raises(SettingsError, match=r"search\.k: .*; search\.rerank\.0\.window: "):
        Settings.model_validate({"search": {"k": "x", "rerank": {"window": "y"}}})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().search.k = 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", "7"),
        ("true", "true"),
        ("[1, 2]", [1, 2]),
        ("{title: 2}", {"title": 2}),
        (" {a: b}", {"a": "b"}),
        ("[unclosed", "[unclosed"),
        ("a: b", "a: b"),
    ],
)
def test_only_lists_and_objects_are_parsed(text: str, expected: Any) -> None:
    assert parse_value(text) == expected


@given(st.text())
def test_any_text_is_a_value(text: str) -> None:
    value = parse_value(text)

    assert value == text or text.lstrip()[0] in "[{"


@given(
    st.dictionaries(
        st.sampled_from([*setting_paths(), "search", "a.b", "cluster"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers()),
        max_size=4,
    )
)
def test_any_overrides_are_settings_or_a_settings_error(overrides: dict[str, Any]) -> None:
    with contextlib.suppress(SettingsError):
        load_settings(environ={}, overrides=overrides)


def test_credentials_in_the_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="username and password") as refused:
        load_settings(environ={"CONNECTOR_CLUSTER_URL": "https://me:hunter2@search.example:9200"})

    assert "hunter2" not in str(refused.value)


def test_secrets_are_told_from_other_settings() -> None:
    assert {path for path in setting_paths() if setting_names().is_secret(path)} == set(SECRETS)


@pytest.mark.parametrize("secret", ["hunter2\nX-Evil: \x01", "hunter2\r", "hunter2\x00", "hun\u2028ter2"])
@pytest.mark.parametrize("path", SECRETS)
def test_a_secret_with_control_characters_is_refused(path: str, secret: str) -> None:
    with pytest.raises(SettingsError, match=f"{path}: .*check how it was copied") as refused:
        load_settings(environ={env_name(path): secret})

    assert "hun" not in str(refused.value)


def test_a_password_may_hold_any_letters_and_blanks() -> None:
    settings = load_settings(environ={"CONNECTOR_CLUSTER_PASSWORD": " größe “日本” 🙂 "})

    assert value_at(settings, "cluster.password") == " größe “日本” 🙂 "


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "1e400"])
def test_what_is_no_finite_number_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"search\.deadline_s"):
        load(f"search: {{deadline_s: {value}}}")


def test_what_is_given_does_not_print_its_value() -> None:
    loaded = load_layers(environ={"CONNECTOR_CLUSTER_PASSWORD": "hunter2"})

    assert "hunter2" not in f"{loaded!r} {loaded.given['cluster.password']}"
    assert loaded.given["cluster.password"] == GivenValue("hunter2", "CONNECTOR_CLUSTER_PASSWORD")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """Sections as the settings have them, with anything at some of their places."""
    tree: dict[str, Any] = {}
    for path in draw(st.lists(st.sampled_from([*setting_paths(), *setting_names().sections, "serch.k"]), max_size=5)):
        *sections, name = path.split(".")
        branch = tree
        for section in sections:
            inner = branch.setdefault(section, {})
            branch = inner if isinstance(inner, dict) else branch
        branch[name] = draw(anything)
    return tree


@given(trees())
def test_any_tree_in_a_file_is_settings_or_a_settings_error(tree: dict[str, Any]) -> None:
    with contextlib.suppress(SettingsError):
        assert isinstance(load(yaml.safe_dump(tree, allow_unicode=True)), Settings)


@given(st.text() | st.text(alphabet="[]{}:,-?*&!|>'\"%@`#<~ \n\tab1"))
def test_any_text_in_a_file_is_settings_or_a_settings_error(text: str) -> None:
    with contextlib.suppress(SettingsError):
        load(text.encode(errors="replace").decode())


@given(st.dictionaries(st.sampled_from([env_name(path) for path in setting_paths()]), st.text()))
def test_any_text_in_the_environment_is_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    with contextlib.suppress(SettingsError):
        load_settings(environ=environ)


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


@pytest.mark.parametrize("path", ["cluster.url", "rerankers.local.url", "encoder.url", "native.worker_url"])
@pytest.mark.parametrize(
    "url", ["http://", "https://:9200", "http://127.0.0.1:99999", "http://h:0", "http://[::1", "http://h:x"]
)
def test_a_url_without_an_address_is_refused(path: str, url: str) -> None:
    with pytest.raises(SettingsError, match=r"is no address .*; give http\(s\)://HOST:PORT"):
        load_settings(environ={}, overrides={path: url})


@pytest.mark.parametrize(
    "url", ["http://[::1]:9200", "https://[fe80::1]/search", "http://h", "http://h:/a", "embedded:a@b"]
)
def test_any_address_is_taken(url: str) -> None:
    assert load_settings(environ={}, overrides={"cluster.url": url}).cluster.url == url


@pytest.mark.parametrize(
    ("given", "stages"),
    [
        ("off", []),
        ("[]", []),
        ("false", []),
        ("on", [("local", 50)]),
        ("{window: 20}", [("local", 20)]),
        ("big", [("big", 50)]),
        ("[local, {reranker: big, window: 20}]", [("local", 50), ("big", 20)]),
        ("[{window: 20}, {reranker: big}]", [("local", 20), ("big", 20)]),
        ("[local, {reranker: local, name: again}]", [("local", 50), ("again", 50)]),
    ],
)
def test_stages_have_short_forms_in_the_file_and_in_the_environment(given: str, stages: list[tuple[str, int]]) -> None:
    rerankers = "rerankers: {local: {}, big: {url: 'http://big:1'}}\n"
    from_file = load(f"{rerankers}search: {{rerank: {given}}}")
    from_environment = load(rerankers, {"CONNECTOR_SEARCH_RERANK": given})

    assert [(stage.name, stage.window) for stage in from_file.search.rerank] == stages
    assert from_environment == from_file


def test_rerankers_that_are_named_take_the_place_of_the_default_and_the_first_is_reranked_with() -> None:
    settings = load("rerankers: {gpu: {url: 'http://gpu:1'}}", {"CONNECTOR_RERANKERS_GPU_MODEL": "bge"})

    assert list(settings.rerankers) == ["gpu"]
    assert (settings.rerankers["gpu"].url, settings.rerankers["gpu"].model) == ("http://gpu:1", "bge")
    assert [stage.reranker for stage in settings.search.rerank] == ["gpu"]


@pytest.mark.parametrize(
    ("text", "environ", "legs"),
    [
        ("", {}, ["lexical", "dense"]),
        ("search: {legs: {titles: {kind: lexical}}}", {}, ["lexical", "dense", "titles"]),
        ("search: {legs: {dense: off}}", {}, ["lexical"]),
        ("search: {legs: {dense: off}}", {"CONNECTOR_SEARCH_LEGS_DENSE_WEIGHT": "2"}, ["lexical", "dense"]),
        ("search: {legs: {dense: {weight: 2}}}", {"CONNECTOR_SEARCH_LEGS_DENSE": "off"}, ["lexical"]),
        ("", {"CONNECTOR_SEARCH_LEGS": "{a: {kind: dense}, lexical: off}"}, ["dense", "a"]),
    ],
)
def test_legs_are_added_and_left_out_by_name(text: str, environ: dict[str, str], legs: list[str]) -> None:
    assert list(load(text, environ).search.legs) == legs


def test_a_wrong_name_below_one_that_the_user_gave_is_told_with_it() -> None:
    with pytest.raises(SettingsError, match=r"'rerankers\.gpu\.modl'; did you mean 'rerankers\.gpu\.model'\?"):
        load("rerankers: {gpu: {modl: x}}")
    with pytest.raises(SettingsError, match=r"'search\.legs\.dense' is a section"):
        load("search: {legs: {dense: 5}}")


def test_the_traceback_of_a_refused_setting_quotes_no_secret() -> None:
    with pytest.raises(SettingsError) as refused:
        ClusterSettings(url="http://someone:hunter2@db.example:9200")

    assert "url holds credentials" in str(refused.value.__cause__)
    assert "hunter2" not in str(refused.value.__cause__)
