"""Plug-ins of other packages: found by their entry points, chosen by settings, blamed by name where they fail."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.programs.plugins import installed, write_package, write_page
from support.repository.pages import ROOT
from support.runs.effort import IS_SOAK

from connector.clusters.connect import connect
from connector.doctor.plugin_checks import judge_plugins
from connector.errors import ModelError, PluginError, SettingsError, SourceError, WorkerError
from connector.ingest.job import run_job
from connector.ingest.sources import open_source
from connector.plugins import find_plugin, list_plugins
from connector.settings.load import load, setting_paths, value_at
from connector.settings.sections import ClusterSettings, Settings
from connector.wiring import load_encoder, open_reranker

GROUP = "hybrid_search_connector"
MESSAGE = "From a@b.example\nMessage-ID: <{0}@b.example>\nSubject: number {0}\n\nText of {0}.\n\n"
BROKEN = """
from collections import Counter
import numpy as np
from connector.ingest.sources import Row
from connector.rerankers.protocol import RerankScores
from connector.schema import EncoderFingerprint

class Source:
    progress, notes, typed, id_field, alike = 0.0, Counter(), True, "id", False
    def __init__(self, location, options):
        self.what = location.partition(":")[2]
        if self.what == "opening":
            raise KeyError("account")
    def __iter__(self):
        yield Row({"id": "1", "text": "a"}, "first")
        if self.what == "reading":
            raise ConnectionError("the account is locked")
        yield {"id": "2"}

class Encoder:
    def __init__(self, settings, options):
        self.fingerprint = EncoderFingerprint("broken", "1", 4, 64)
    def encode(self, texts):
        return np.zeros((len(texts), 3))
    def encode_query(self, text):
        raise RuntimeError("no licence")
    def token_offsets(self, texts):
        return [[] for _ in texts]

class Reranker:
    def __init__(self, settings, options): ...
    async def info(self, *, timeout_s):
        raise OSError("gone")
    async def score(self, query, passages, **options):
        return RerankScores(np.zeros(1, dtype=np.float32), frozenset(), "x")

def nothing(*arguments):
    return object()

async def no_cluster(*arguments):
    return object()

number = 3
"""


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_page(folder)
    return folder


@pytest.fixture
def page(page_folder: Path) -> Iterator[Path]:
    """The package of the page, installed."""
    with installed(page_folder):
        yield page_folder


@pytest.fixture(scope="module")
def broken_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    parts = {
        "sources": {"bad": "bad:Source", "bare": "bad:nothing", "absent": "not_there:Source", "number": "bad:number"},
        "encoders": {"bad": "bad:Encoder", "bare": "bad:nothing"},
        "rerankers": {"bad": "bad:Reranker", "bare": "bad:nothing"},
        "clusters": {"bare": "bad:no_cluster"},
    }
    groups = {f"{GROUP}.{kind}": found for kind, found in parts.items()}
    write_package(folder, "bad-plugins", "0.3", groups, {"bad.py": BROKEN})
    return folder


@pytest.fixture
def broken(broken_folder: Path) -> Iterator[Path]:
    """A package with plug-ins that fail in each way, installed."""
    with installed(broken_folder):
        yield broken_folder


def mailbox(folder: Path, count: int = 3) -> Path:
    (folder / "mail").write_text("".join(MESSAGE.format(number) for number in range(count)))
    return folder / "mail"


def test_plug_ins_are_listed_without_being_imported(page: Path) -> None:
    found = {kind: [(plugin.name, plugin.package, plugin.version) for plugin in list_plugins(kind)]
             for kind in ("source", "encoder", "reranker", "cluster")}  # fmt: skip
    names = {"source": "mbox", "encoder": "hashing", "reranker": "overlap", "cluster": "audit"}

    assert found == {kind: [(name, "acme-search", "1.0")] for kind, name in names.items()}
    assert not [name for name in sys.modules if name.startswith("acme_search")]


def test_plug_ins_are_looked_for_only_where_one_is_named(tmp_path: Path) -> None:
    program = """
import importlib.metadata
asked, find = [], importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **chosen: asked.append(chosen["group"]) or find(**chosen)
import connector.client
from connector.ingest.sources import open_source
from connector.settings.load import load_settings
from connector.wiring import open_rerankers
print(len(list(open_source("rows.jsonl"))), *open_rerankers(load_settings()), *(a for a in asked if "hybrid" in a))
"""
    (tmp_path / "rows.jsonl").write_text('{"_id": "1"}\n')
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip

    assert done.stdout.strip() == "1 local", done.stderr


def test_the_page_s_own_tests_pass_with_pytest_alone(page: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(page), str(ROOT)]), "COLUMNS": "200",
                   "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "tests/test_acme.py"]
    if not IS_SOAK:  # of a cluster's tests a few, which the connector's own clusters pass too
        command += ["-k", "not Audit or made_found_counted or replaced or exact_cosines or holds_the_words"]
    done = subprocess.run(command, cwd=page, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-3_000:]
    assert "skipped" not in done.stdout


async def test_a_job_with_plug_ins_for_source_encoder_and_cluster(page: Path, tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "cluster": {"url": f"audit:embedded:{tmp_path / 'store'}"},
            "index": {"name": "mails"},
            "fields": {"text": {"subject": 2.0, "body": 1.0}},
            "encoder": {"kind": "hashing"},
            "plugins": {"hashing": {"dims": 32}, "audit": {"file": str(tmp_path / "audit.txt")}},
        }
    )
    location = f"mbox:{mailbox(tmp_path)}"
    reports = [await run_job(location, settings, rejects=tmp_path / "rejects.jsonl") for _ in range(2)]

    assert [(report.counts.written, report.counts.unchanged) for report in reports] == [(3, 0), (0, 3)]
    assert (tmp_path / "audit.txt").read_text().split()[1:] == ["create", "mails"]


def test_a_file_whose_name_looks_like_a_plug_in_comes_first(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mbox:rows.jsonl").write_text('{"_id": "1", "text": "a"}\n')

    assert [row.values["_id"] for row in open_source("mbox:rows.jsonl")] == ["1"]


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        (lambda: open_source("nobody:x"), SourceError, "there is no file 'nobody:x', and no source plug-in has that "
         r"name; the source plug-ins here are absent \(bad-plugins 0.3\), bad \(bad-plugins 0.3\)"),
        (lambda: open_source("absent:x"), PluginError, "the source plug-in 'absent' of bad-plugins 0.3 cannot be "
         "loaded: ModuleNotFoundError: No module named 'not_there'; mend that, .*: pip uninstall bad-plugins"),
        (lambda: open_source("number:x"), PluginError, "is int, which cannot be called"),
        (lambda: open_source("bare:x"), PluginError, "gave a object without progress, notes, .*write-a-plug-in.md"),
        (lambda: open_source("bad:opening"), PluginError, "'bad' of bad-plugins 0.3 failed: KeyError: 'account'"),
        (lambda: list(open_source("bad:reading")), SourceError, "failed: ConnectionError: the account is locked"),
        (lambda: list(open_source("bad:x")), PluginError, "gave a dict where a Row of connector.ingest.sources is due"),
        (lambda: encoder("nobody"), SettingsError, "encoder.kind is 'nobody', which is not auto, and no"),
        (lambda: encoder("bare"), PluginError, "gave a object without fingerprint, encode"),
        (lambda: encoder("bad").encode(["a", "b"]), ModelError, r"gave vectors of shape \(2, 3\), where \(2, 4\)"),
        (lambda: encoder("bad").encode_query("a"), ModelError, "failed: RuntimeError: no licence"),
        (lambda: reranker("nobody"), SettingsError, "rerankers.mine.kind is 'nobody', which is not worker, and no"),
        (lambda: reranker("bare"), PluginError, "gave a object without info, score"),
        (lambda: asyncio.run(info()), WorkerError, "failed: OSError: gone"),
        (lambda: asyncio.run(scores()), WorkerError, r"gave scores of shape \(1,\), where \(2,\) is due"),
        (lambda: asyncio.run(connect(ClusterSettings(url="nobody:x"))), SettingsError, "cluster.url is 'nobody:x', "
         "neither .* nor embedded:FOLDER, and no cluster plug-in has that name"),
        (lambda: asyncio.run(connect(ClusterSettings(url="bare:x"))), PluginError, "gave a object without engine, cre"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_plug_in_is_said_with_its_name_and_reason(
    broken: Path, use: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        use()


def encoder(kind: str) -> Any:
    return load_encoder(Settings.model_validate({"encoder": {"kind": kind}}))


def reranker(kind: str) -> Any:
    return open_reranker(Settings.model_validate({"rerankers": {"mine": {"kind": kind}}}), "mine")


async def info() -> Any:
    return await reranker("bad").info(timeout_s=1)


async def scores() -> Any:
    return await reranker("bad").score("a", ["b", "c"], timeout_s=1)


def test_two_packages_that_bring_one_name_are_both_named(broken: Path, tmp_path: Path) -> None:
    write_package(tmp_path, "other-plugins", "2", {f"{GROUP}.sources": {"bad": "bad:nothing"}}, {})
    with installed(tmp_path):
        with pytest.raises(SettingsError, match=r"bad-plugins 0.3 and other-plugins 2 both bring; uninstall one"):
            find_plugin("source", "bad", wanted_by="the source is 'bad:x'")


def test_the_doctor_lists_them_with_what_is_wrong(broken: Path) -> None:
    findings = {(finding.check, finding.facts["kind"]): finding for finding in judge_plugins()}
    absent = findings["plug-in absent", "source"]

    assert findings["plug-in bad", "encoder"].status == "ok"
    assert findings["plug-in bad", "encoder"].seen == "encoder of bad-plugins 0.3"
    assert absent.status == "warn"
    assert "No module named 'not_there'" in absent.seen
    assert "pip uninstall bad-plugins" in absent.advice


def test_a_plug_in_s_settings_come_from_everywhere_and_its_secrets_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    (tmp_path / "connector.yaml").write_text(
        "plugins:\n  mail: {host: a, port: 1, api_key: {env: THE_KEY}}\n  other: {deep: {a: [1, 2]}}\n"
    )
    environ = {"THE_KEY": "k", "CONNECTOR_PLUGINS_MAIL_HOST": "b", "CONNECTOR_PLUGINS_OTHER": "{more: 1}",
               "CONNECTOR_PLUGINS_MAIL_USER_TOKEN_FILE": str(tmp_path / "token")}  # fmt: skip
    loaded = load(file=tmp_path / "connector.yaml", environ=environ, overrides={"plugins.mail.port": 2})
    settings = loaded.require()
    values = {path: str(value_at(settings, path)) for path in setting_paths(settings) if path.startswith("plugins")}

    assert settings.options_of("mail") == {"host": "b", "port": 2, "api_key": "k", "user_token": "from a file"}
    assert settings.options_of("other") == {"deep": {"a": [1, 2]}, "more": 1}
    assert settings.options_of("nobody") == {}
    assert values == {
        "plugins.mail.host": "b", "plugins.mail.port": "2", "plugins.mail.api_key": "*" * 10,
        "plugins.mail.user_token": "*" * 10, "plugins.other.deep": "{'a': [1, 2]}", "plugins.other.more": "1",
    }  # fmt: skip
    assert loaded.given["plugins.mail.host"].origin == "CONNECTOR_PLUGINS_MAIL_HOST"
