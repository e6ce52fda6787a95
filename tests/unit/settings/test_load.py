"""Settings from a file, the environment and overrides: which comes first, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.given_settings import load

from connector.errors import SettingsError
from connector.settings.given import parse_value
from connector.settings.load import load_settings
from connector.settings.search import SearchSettings
from connector.settings.sections import Settings


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


def test_the_environment_is_not_read_when_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_SEARCH_K", "3")

    assert (load_settings(environ={}).search.k, load_settings().search.k) == (10, 3)


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


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "1e400"])
def test_what_is_no_finite_number_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"search\.deadline_s"):
        load(f"search: {{deadline_s: {value}}}")
