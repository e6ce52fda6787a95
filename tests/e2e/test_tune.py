"""`connector tune` as a user runs it: the embedded store, a worker with a reranker of random weights, and the file that
it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.evaluation.slices import queries_of, write_slice
from support.models import tiny_models
from support.programs.command import UNHURRIED, Launcher, error_line

from connector.remote.process import WorkerProcess, running_worker

CHARS = 120  # of a document, so that it is one passage
KINDS = ("code", "keyword")
SMALL = ("--depths", "20", "--windows", "10", "--time-queries", "2", "--set", "search.deadline_s=60")
FILE = """# ours
search:
  depth: 20 # enough here
  rerank: {{window: 10, weights: {{rerank: 1}}}}
rerankers:
  local: {{url: "{url}", model: planted}}
"""


@pytest.fixture(scope="module")
def folder(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-two queries, the beginnings of the documents that answer them, and the index of these."""
    folder = tmp_path_factory.mktemp("tuning")
    write_slice(folder / "slice", queries_of(KINDS, 11), chars=CHARS, least_grade=2)
    done = launcher.run("ingest", "slice", cwd=folder)
    assert done.code == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def planted(torch_launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker whose second reranker is a cross-encoder of random weights."""
    model = tmp_path_factory.mktemp("models") / "random"
    made = torch_launcher.start(model.name, cwd=model.parent, program=Path(tiny_models.__file__)).wait()
    assert made.code == 0, made.stderr
    with running_worker(["--set", f"worker.models={{planted: {{model: {model}}}}}"]) as running:
        yield running


@pytest.fixture
def settings(folder: Path, planted: WorkerProcess) -> Iterator[Path]:
    file = folder / "connector.yaml"
    file.write_text(FILE.format(url=planted.url))
    yield file
    file.unlink()


def test_a_planted_harmful_reranker_is_refused_and_the_file_that_is_written_works(
    launcher: Launcher, folder: Path, settings: Path
) -> None:
    done = launcher.run("tune", "slice", "--models", "planted", "--json", *SMALL, cwd=folder)
    report = json.loads(done.stdout)
    written = settings.read_text()

    assert done.code == 0, done.stderr
    assert {reranker["name"]: reranker["taken"] for reranker in report["rerankers"]} == {"planted": False}
    assert report["settings"]["search.rerank"] == []
    assert [hint["about"] for hint in report["advice"] if hint["about"] == "reranker-hurts"]
    assert (
        report["test"]["pipelines"]["tuned"]["measures"]["nDCG@10"]
        > report["test"]["pipelines"]["yours"]["measures"]["nDCG@10"]
    )
    assert written.startswith("# ours\nsearch:\n")
    assert "# enough here" in written
    assert yaml.safe_load(written)["search"]["rerank"] == []
    searched = launcher.run("search", "error E1034", "--json", *UNHURRIED, cwd=folder)
    assert searched.code == 0, searched.stderr
    assert {hit["stage"] for hit in json.loads(searched.stdout)["hits"]} <= {"fused", "lexical", "dense"}


def test_all_rerankers_are_tried_and_tables_say_so_but_nothing_is_written_in_a_dry_run(
    launcher: Launcher, folder: Path, settings: Path
) -> None:
    before = settings.read_text()
    done = launcher.run("tune", "slice", "--dry-run", "--min-recall", "1", *SMALL, cwd=folder)

    assert done.code in (0, 1), done.stderr
    assert settings.read_text() == before
    for words in (
        "chosen on 11 queries of slice",
        "all-MiniLM-L6-v2",
        "the reranker as it is configured hurts",
        "do not rerank with planted",
        "recall, not ranking, is the problem",
        "milliseconds to an answer, measured on the real path",
        "nDCG@10 against yours",
    ):
        assert words in done.stdout
    assert "Traceback" not in done.stderr


def test_a_budget_that_nothing_keeps_to_writes_nothing(launcher: Launcher, folder: Path, settings: Path) -> None:
    before = settings.read_text()
    flags = ("--budget-ms", "0.01", "--set", "search.rerank=off")
    done = launcher.run("tune", "slice", *flags, *SMALL, cwd=folder)

    assert done.code == 1
    assert settings.read_text() == before
    assert "no settings keep to 0.01 ms" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tune",), "name the judged queries"),
        (("tune", "slice", "--queries", "12"), "each side needs 10"),
        (("tune", "slice", "--depths", "many"), "--depths takes whole numbers"),
        (("tune", "slice", "--measure", "nDGC@10"), "unknown measure 'nDGC@10'"),
        (("tune", "slice", "--worker", "http://127.0.0.1:9"), "or tune without one: --set search.rerank=off"),
        (("tune", "slice", "--out", "no/where.yaml"), "there is no folder no"),
        (("tune", "slice", "--out", "slice"), "cannot write slice (Is a directory); choose another place"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_start_says_why_in_one_line(
    launcher: Launcher, folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = launcher.run(*arguments, cwd=folder)

    assert says in error_line(done)
