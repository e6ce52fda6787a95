"""`--reranker NAME` as a user gives it: a reranker of the worker, a folder, a name that cannot be had."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from support.models.hub_models import predict, save_bert, save_ettin
from support.programs.command import UNHURRIED, Launcher

from connector.remote.process import WorkerProcess

NOWHERE = "http://127.0.0.1:9"  # no worker answers
DOCUMENTS = {
    "deal": "A registered deal lasts three months, unless it is extended by the channel manager.",
    "tier": "Tier-2 partners keep a registered deal for ninety days after they have registered it.",
    "cat": "The cat sat on the mat and watched a red fish and a blue bird for ninety days.",
    "refund": "Opened hardware is refunded within ten days, a registered deal or not.",
}
QUERY = "how long is a deal registered"


@pytest.fixture(scope="module")
def launcher(torch_launcher: Launcher) -> Launcher:
    """Each reranker of these has its graph exported, by torch."""
    return torch_launcher


@pytest.fixture(scope="module")
def folder(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four documents in an embedded store, two judged queries, three tiny rerankers and a classifier."""
    folder = tmp_path_factory.mktemp("reranker")
    data = folder / "data"
    data.mkdir()
    queries = [{"_id": "q1", "text": QUERY}, {"_id": "q2", "text": "refund for opened hardware"}]
    documents = [{"_id": name, "text": text} for name, text in DOCUMENTS.items()]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (data / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ttier\t1\nq2\trefund\t1\n")
    save_bert(folder / "models" / "bert")
    save_bert(folder / "models" / "other", activation=None)
    save_ettin(folder / "models" / "ettin")
    save_bert(folder / "models" / "classifier", labels=2)
    done = launcher.run("ingest", "data", cwd=folder)
    assert done.code == 0, done.stderr
    return folder


def test_a_search_brings_its_own_worker_for_a_folder(launcher: Launcher, folder: Path) -> None:
    done = launcher.run(
        "search", QUERY, "--reranker", "models/ettin", "--worker", NOWHERE, "--json", *UNHURRIED, cwd=folder,
        CONNECTOR_WORKER_API_KEYS="a-key-of-another-worker", CONNECTOR_RERANKERS_LOCAL_MODEL="another",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    hits = found["hits"]
    expected = predict(folder / "models" / "ettin", QUERY, [hit["passage"]["text"] for hit in hits])
    (url,) = re.findall(r"in a worker of this command at (http://127\.0\.0\.1:\d+)", done.stderr)

    assert {hit["stage"] for hit in hits} == {"local"}
    assert found["degraded"] == []
    assert [hit["explain"]["stages"]["local"]["score"] for hit in hits] == pytest.approx(expected, abs=1e-4)
    assert len(hits) == len(DOCUMENTS)
    with pytest.raises(httpx.ConnectError):  # it ended with the command
        httpx.get(f"{url}/health")


def test_a_reranker_of_the_worker_is_taken_from_there(launcher: Launcher, folder: Path, worker: WorkerProcess) -> None:
    name = "sentence-transformers/all-MiniLM-L6-v2"
    done = launcher.run("search", QUERY, "--reranker", name, "--worker", worker.url, *UNHURRIED, cwd=folder)

    assert done.code == 0, done.stderr
    assert f"reranking with all-MiniLM-L6-v2 of the worker at {worker.url}" in done.stderr


def test_an_evaluation_has_a_pipeline_for_each_reranker(launcher: Launcher, folder: Path) -> None:
    rerankers = ("--reranker", "models/bert", "--reranker", "models/other")
    done = launcher.run("eval", "data", *rerankers, "--worker", NOWHERE, "--json", *UNHURRIED, cwd=folder)
    assert done.code == 0, done.stderr
    pipelines = json.loads(done.stdout)["pipelines"]

    assert list(pipelines) == ["lexical", "dense", "fused", "reranked-bert", "reranked-other"]
    assert f"no worker answers at {NOWHERE}: without the pipeline reranked" in done.stderr
    for name in ("bert", "other"):
        pipeline = pipelines[f"reranked-{name}"]
        assert pipeline["facts"]["rerankers"]["local"].startswith(f"{name}@")
        assert pipeline["settings"]["rerankers.local.model"] == f"models/{name}"
        assert pipeline["degraded"] == pipeline["failed"] == {}


def test_a_baseline_holds_for_its_reranker_and_tells_another(launcher: Launcher, folder: Path) -> None:
    def gate(name: str, *flags: str) -> tuple[int, str]:
        model = f"models/{name}"
        common = ("data", "-b", "baseline.json", "--reranker", model, "--worker", NOWHERE, "--max-drop", "RR@10=1")
        done = launcher.run("gate", *common, *flags, *UNHURRIED, cwd=folder)
        return done.code, done.stdout + done.stderr

    written = gate("bert", "--write-baseline")
    same, other = gate("bert", "--json"), gate("other", "--json")

    assert written[0] == same[0] == other[0] == 0, (written, same, other)
    assert '"changed_settings": {}' in same[1]
    assert '"rerankers.local.model": ["models/bert", "models/other"]' in other[1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("someone/no-such-model", "fetch it with: connector model fetch someone/no-such-model"),
        ("models/classifier", "is a classifier of 2 labels; a reranker has one"),
        ("./models/gone", "there is no model folder './models/gone'"),
    ],
)
def test_a_reranker_that_cannot_be_had_is_told_in_one_line(
    launcher: Launcher, folder: Path, name: str, says: str
) -> None:
    done = launcher.run("search", QUERY, "--reranker", name, "--worker", NOWHERE, cwd=folder, HF_HUB_OFFLINE="1")
    (error,) = done.stderr.splitlines()

    assert (done.code, done.stdout) == (2, "")
    assert error.startswith("error: ")
    assert says in error


def test_a_reranker_and_none_are_refused(launcher: Launcher, folder: Path) -> None:
    done = launcher.run("search", QUERY, "--reranker", "models/bert", "--no-rerank", cwd=folder)

    assert done.code == 2
    assert "--reranker and --no-rerank ask for opposite things" in done.stderr
