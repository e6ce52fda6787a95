"""Tuned values in a settings file: everything else in it stays."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from connector.errors import SettingsError
from connector.settings.file import build_file
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.tuning.choice import read_choice
from connector.tuning.rewrite import merge, missing, overruled, write_settings

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
VALUES = {"search.depth": 50, "search.fusion.weights": (1.4, 0.6), "rerank.enabled": False}


def test_only_the_values_change() -> None:
    merged = merge(OWN, VALUES)
    kept = [line for line in OWN.splitlines() if "depth" not in line]

    assert [line for line in kept if line not in merged.splitlines()] == []
    assert re.search("^  depth: 50 +# as deep as the legs go$", merged, re.MULTILINE)
    assert yaml.safe_load(merged) == yaml.safe_load(OWN) | {
        "search": {"depth": 50, "fusion": {"weights": [1.4, 0.6]}},
        "rerank": {"enabled": False},
    }
    assert "weights: [1.4, 0.6]" in merged


@pytest.mark.parametrize("text", ["", "# nothing but this\n", build_file()], ids=["empty", "comment", "every setting"])
def test_a_file_without_values_gets_them_and_keeps_its_comments(text: str) -> None:
    merged = merge(text, VALUES)

    assert yaml.safe_load(merged)["search"] == {"depth": 50, "fusion": {"weights": [1.4, 0.6]}} | {
        name: None for name in ("breaker",) if text == build_file()
    }
    assert [line for line in text.splitlines() if line.strip() and line not in merged.splitlines()] == []


def test_a_written_file_gives_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "connector.yaml"
    file.write_text(build_file())
    file.chmod(0o600)
    choice = replace(
        read_choice(Settings()), depth=20, weights=(1.2, 0.8), window=20, fused_weight=0.2, rerank_weight=0.6
    )
    values = missing(file, choice)
    write_settings(file, values, base=file)

    assert values == {
        "search.depth": 20,
        "search.fusion.weights": (1.2, 0.8),
        "rerank.window": 20,
        "rerank.weights.fused": 0.2,
        "rerank.weights.rerank": 0.6,
    }
    assert read_choice(load_settings(file=file, environ={})) == choice
    assert missing(file, choice) == {}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["connector.yaml"]


def test_a_new_file_has_the_values_in_order() -> None:
    values = {
        "search.fusion.kind": "linear",
        "search.fusion.alpha": 0.3,
        "rerank.window": 20,
        "rerank.weights.rerank": 0.8,
    }

    assert merge("", values) == (
        "search:\n  fusion:\n    kind: linear\n    alpha: 0.3\nrerank:\n  window: 20\n  weights:\n    rerank: 0.8\n"
    )


def test_what_the_environment_says_otherwise_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "connector.yaml"
    write_settings(file, {"search.depth": 20}, base=None)
    choice = replace(read_choice(Settings()), depth=20, window=40)
    monkeypatch.setenv("CONNECTOR_SEARCH_DEPTH", "70")
    monkeypatch.setenv("CONNECTOR_RERANK_WINDOW", "40")

    assert overruled(file, choice) == ["CONNECTOR_SEARCH_DEPTH"]


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="choose another place with --out"):
        write_settings(tmp_path / "none" / "connector.yaml", {"search.depth": 20}, base=None)
