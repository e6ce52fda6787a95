"""`connector model export`: the graph of a reranker, and how far it agrees with the original."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.programs.command import flat
from typer.testing import CliRunner, Result

from connector.cli.commands.model import model_app
from connector.errors import ModelError, SettingsError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def export(*arguments: str) -> Result:
    return CliRunner().invoke(model_app, ["export", *arguments], env={"COLUMNS": "200"})


def test_a_graph_is_made_compared_and_found_again(tiny_cross_encoder_folder: Path, tmp_path: Path) -> None:
    model = str(tiny_cross_encoder_folder)
    made = export(model, "--backend", "onnx")
    graphs = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("*.onnx")}
    by_settings = ("--set", f"worker.model={model}", "--set", "worker.backend=onnx")
    again = export(*by_settings, "--json")

    assert made.exit_code == 0, made.output
    for row in ("backend │ onnx", "same passages among the first 10 │ 100.0%", "times the original's here"):
        assert row in flat(made.stdout)
    assert f"use it with: connector worker --model {model} --set worker.backend=onnx" in flat(made.stderr)
    found = json.loads(again.stdout)
    assert (found["model"], found["backend"], found["overlap"]) == (model, "onnx", 1.0)
    assert set(found) == {"model", "backend", "overlap", "largest_difference", "speedup"}
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("*.onnx")} == graphs
    assert graphs


def test_eight_bits_are_what_nobody_asked_otherwise_and_ones_that_rank_otherwise_are_refused(
    tiny_cross_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.models.onnx.agreement.MIN_OVERLAP", 1.01)  # whatever this processor makes of them
    refused = export(str(tiny_cross_encoder_folder), "--set", "worker.backend=torch", "--json")

    assert isinstance(refused.exception, ModelError)
    assert "by onnx-int8 names only" in str(refused.exception)
    assert refused.stdout == ""
    assert list((tmp_path / "cache").rglob("*.onnx-int8.json")) == []


def test_there_is_no_graph_for_torch_or_without_a_model(tmp_path: Path) -> None:
    graphless, absent = export("--backend", "torch"), export("./none")

    assert isinstance(graphless.exception, SettingsError)
    assert "--backend takes onnx, onnx-int8, openvino or openvino-int8" in str(graphless.exception)
    assert isinstance(absent.exception, ModelError)
    assert "there is no model folder './none'" in str(absent.exception)
    assert not (tmp_path / "cache").exists()
