"""Parts of a search that have names: its stages, the rerankers that they ask, its legs."""

from __future__ import annotations

import pytest
from support.given_settings import load

from connector.errors import SettingsError


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
