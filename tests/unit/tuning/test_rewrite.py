"""Tuned values in a settings file: everything else in it stays."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from connector.errors import SettingsError
from connector.settings.file import build_file, plain_values
from connector.settings.load import load_settings
from connector.settings.search import StageSettings
from connector.settings.sections import Settings
from connector.tuning.choice import read_choice, values_of
from connector.tuning.rewrite import merge, missing, overruled, rewrite, write_settings

OWN = """\
# ours
cluster:
  url: "http://localhost:9200"   # the old one
  password: {env: PASSWORD}
fields:
  text: {title: 2.0, text: 1.0}
  metadata:
    tags: keyword[]
search:
  depth: 100   # as deep as the legs go
"""
VALUES = {"search.depth": 50, "search.legs.dense.weight": 0.6, "search.rerank": ()}


def test_only_the_values_change() -> None:
    merged = merge(OWN, VALUES)
    kept = [line for line in OWN.splitlines() if "depth" not in line]

    assert [line for line in kept if line not in merged.splitlines()] == []
    assert re.search("^  depth: 50 +# as deep as the legs go$", merged, re.MULTILINE)
    assert yaml.safe_load(merged) == yaml.safe_load(OWN) | {
        "search": {"depth": 50, "legs": {"dense": {"weight": 0.6}}, "rerank": []},
    }


@pytest.mark.parametrize("text", ["", "# nothing but this\n", build_file()], ids=["empty", "comment", "every setting"])
def test_a_file_without_values_gets_them_and_keeps_its_comments(text: str) -> None:
    merged = merge(text, VALUES)

    found = yaml.safe_load(merged)["search"]

    assert {name: value for name, value in found.items() if value} == {"depth": 50, "legs": found["legs"]}
    assert (found["legs"]["dense"], found["rerank"]) == ({"weight": 0.6}, [])
    assert [line for line in text.splitlines() if line.strip() and line not in merged.splitlines()] == []


def test_a_written_file_gives_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "connector.yaml"
    file.write_text(build_file())
    file.chmod(0o600)
    choice = replace(
        read_choice(Settings()), depth=20, weights=(1.2, 0.8), window=20, blend=(0.2, 0.1, 0.1, 0.6), model="bge"
    )
    chosen = values_of(Settings(), choice)
    values = missing(file, chosen)
    write_settings(file, values, base=file)

    assert plain_values(values) == {
        "search.depth": 20,
        "search.legs.lexical.weight": 1.2,
        "search.legs.dense.weight": 0.8,
        "search.rerank": [
            {"reranker": "local", "window": 20,
             "weights": {"before": 0.2, "lexical": 0.1, "dense": 0.1, "rerank": 0.6}}
        ],
        "rerankers.local.model": "bge",
    }  # fmt: skip
    assert read_choice(load_settings(file=file, environ={})) == choice
    assert missing(file, chosen) == {}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["connector.yaml"]


def test_a_new_file_has_the_values_in_order() -> None:
    stages = (StageSettings(reranker="local", window=20, weights={"rerank": 1.0}),)
    values = {"search.fusion.kind": "linear", "search.legs.dense.weight": 0.3, "search.rerank": stages}

    assert merge("", values) == (
        "search:\n  rerank: {reranker: local, window: 20, weights: {rerank: 1.0}}\n"
        "  fusion:\n    kind: linear\n  legs:\n    dense:\n      weight: 0.3\n"
    )


def test_what_the_environment_says_otherwise_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "connector.yaml"
    write_settings(file, {"search.depth": 20}, base=None)
    choice = replace(read_choice(Settings()), depth=20, window=40)
    monkeypatch.setenv("CONNECTOR_SEARCH_DEPTH", "70")
    monkeypatch.setenv("CONNECTOR_SEARCH_RERANK", "{window: 40}")

    assert overruled(file, values_of(Settings(), choice)) == ["CONNECTOR_SEARCH_DEPTH"]


def test_a_file_gets_what_it_lacks_and_a_second_time_nothing(tmp_path: Path) -> None:
    file = tmp_path / "connector.yaml"
    ours = "# ours\nsearch:\n  depth: 100   # as deep as the legs go\n"
    file.write_text(ours)
    chosen = {"search.depth": 50, "search.legs.dense.weight": 0.6}
    looked = rewrite(file, chosen, in_use=file, writes=False)
    untouched = file.read_text()
    written = rewrite(file, chosen, in_use=file, writes=True)
    again = rewrite(file, chosen, in_use=file, writes=True)

    assert (looked.values, looked.is_written, untouched) == (chosen, False, ours)
    assert (written.values, written.is_written, file.read_text()) == (chosen, True, merge(ours, chosen))
    assert (again.values, again.is_written) == ({}, False)


def test_a_new_file_begins_as_the_one_in_use_and_says_which_variable_goes_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use, file = tmp_path / "connector.yaml", tmp_path / "tuned.yaml"
    in_use.write_text("# ours\nsearch:\n  k: 5\n")
    monkeypatch.setenv("CONNECTOR_SEARCH_DEPTH", "70")
    written = rewrite(file, {"search.depth": 50}, in_use=in_use, writes=True)

    assert yaml.safe_load(file.read_text()) == {"search": {"depth": 50, "k": 5}}
    assert file.read_text().startswith("# ours\n")
    assert written.overruled == ("CONNECTOR_SEARCH_DEPTH",)


def test_a_device_begins_as_the_file_in_use_and_is_not_read(tmp_path: Path) -> None:
    in_use = tmp_path / "connector.yaml"
    in_use.write_text("search:\n  k: 5\n")
    ours, theirs = os.openpty()
    written = rewrite(Path(os.ttyname(theirs)), {"search.k": 5, "search.depth": 50}, in_use=in_use, writes=True)
    output = os.read(ours, 1_000)
    os.close(ours)
    os.close(theirs)

    assert written.values == {"search.depth": 50}
    assert output.split() == b"search: depth: 50 k: 5".split()


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="choose another place with --out"):
        write_settings(tmp_path / "none" / "connector.yaml", {"search.depth": 20}, base=None)
