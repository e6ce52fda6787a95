"""`connector eval` and `connector gate` as a user runs them, on a slice of the example corpus in the embedded store,
with a worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.evaluation.slices import queries_of, write_slice
from support.programs.command import Finished, Launcher, error_line

from connector.remote.process import WorkerProcess

CHARS = 120  # of a document, so that it is one passage
KINDS = ("code", "paraphrase", "negation")
SMALL = ("--set", "search.rerank={window: 10}", "--set", "search.depth=20", "--set", "search.deadline_s=60")
PIPELINES = """
lexical: {stage: lexical}
fused: {stage: fused}
reranked: {stage: reranked}
linear: {stage: fused, search.fusion.kind: linear}
"""


@pytest.fixture(scope="module")
def folder(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine queries of three kinds, the beginnings of the documents that they have judgments for, and the index of
    these."""
    folder = tmp_path_factory.mktemp("evaluation")
    queries = queries_of(KINDS, 3)
    kept = write_slice(folder / "slice", queries, chars=CHARS, least_grade=1)
    (folder / "topics.tsv").write_text("".join(f"{query['_id']}\t{query['text']}\n" for query in queries))
    (folder / "qrels.trec").write_text("".join(f"{judgment[0]} 0 {judgment[1]} {judgment[2]}\n" for judgment in kept))
    (folder / "pipelines.yaml").write_text(PIPELINES)
    done = launcher.run("ingest", "slice", cwd=folder)
    assert done.code == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def evaluated(launcher: Launcher, folder: Path, worker: WorkerProcess) -> tuple[Finished, Path]:
    """Four pipelines over the nine queries, with everything written."""
    flags = ("-p", "pipelines.yaml", "-b", "fused", "--out", "out", "--show", "1", "--worker", worker.url)
    return launcher.run("eval", "slice", *flags, *SMALL, cwd=folder), folder / "out"


@pytest.fixture(scope="module")
def baseline(launcher: Launcher, folder: Path, worker: WorkerProcess) -> Path:
    """The baseline of what callers get."""
    done = gate(launcher, folder, worker, "--write-baseline", name="baseline.json")
    assert (done.code, done.stdout) == (0, ""), done.stderr
    return folder / "baseline.json"


def gate(launcher: Launcher, folder: Path, worker: WorkerProcess, *flags: str, name: str) -> Finished:
    return launcher.run("gate", "slice", "-b", name, *flags, "--worker", worker.url, *SMALL, cwd=folder)


def test_the_tables_have_every_pipeline_measure_segment_and_stage(evaluated: tuple[Finished, Path]) -> None:
    done, _ = evaluated

    assert done.code == 0, done.stderr
    assert "slice: 9 judged queries" in done.stdout
    for word in ("nDCG@10", "RR@10", "AP", "R@10", "Judged@10", "against fused", "p (Holm)", "nDCG@10 by kind", *KINDS):
        assert word in done.stdout
    for stage in ("lexical", "encode", "dense", "fuse", "local", "fields", "total"):
        assert f" {stage} " in done.stdout
    assert "nDCG@10 and what nobody judged" in done.stdout
    assert "→" in done.stdout  # a winner or a loser, with both its values
    assert "Traceback" not in done.stderr


def test_the_figures_are_those_of_a_search(evaluated: tuple[Finished, Path]) -> None:
    figures = json.loads((evaluated[1] / "figures.json").read_text())
    pipelines = figures["pipelines"]

    assert list(pipelines) == ["lexical", "fused", "reranked", "linear"]
    assert all(0.3 < pipeline["measures"]["nDCG@10"] <= 1 for pipeline in pipelines.values())
    assert all(len(pipeline["per_query"]["nDCG@10"]) == 9 for pipeline in pipelines.values())
    assert all(pipeline["failed"] == pipeline["degraded"] == {} for pipeline in pipelines.values())
    assert pipelines["linear"]["settings"]["search.fusion.kind"] == "linear"
    assert pipelines["lexical"]["stages_ms"] == pipelines["reranked"]["stages_ms"]  # one search
    assert "local" not in pipelines["linear"]["stages_ms"]  # nobody asked for it
    assert pipelines["reranked"]["latency_ms"]["p50"] > pipelines["lexical"]["latency_ms"]["p50"] > 0
    assert figures["segments"]["kind"]["code"]["queries"] == 3
    assert "late-interaction" in pipelines["reranked"]["facts"]["rerankers"]["local"]
    for name, found in figures["unjudged"]["pipelines"].items():
        bounds = found["bounds"]["nDCG@10"]
        assert bounds["low"] <= pipelines[name]["measures"]["nDCG@10"] <= bounds["high"]
        assert 0 < found["judged_share"] < 1


def test_run_files_are_trecs(evaluated: tuple[Finished, Path]) -> None:
    lines = [line.split() for line in (evaluated[1] / "runs" / "reranked.run").read_text().splitlines()]
    first = [line for line in lines if line[0] == lines[0][0]]

    assert sorted(path.name for path in (evaluated[1] / "runs").iterdir()) == sorted(
        f"{name}.run" for name in ("lexical", "fused", "reranked", "linear")
    )
    assert all((line[1], line[5]) == ("Q0", "reranked") for line in lines)
    assert [int(line[3]) for line in first] == list(range(1, len(first) + 1))
    assert [float(line[4]) for line in first] == sorted({float(line[4]) for line in first}, reverse=True)


def test_the_report_is_one_page(evaluated: tuple[Finished, Path]) -> None:
    page = (evaluated[1] / "report.html").read_text()

    assert page.count('class="plot"') == 2 * 7  # recall, frontier, three of gains, kind, length; wide and narrow
    assert "embedded" in page


def test_trec_files_give_the_same_measures_as_the_folder(
    launcher: Launcher, folder: Path, evaluated: tuple[Finished, Path]
) -> None:
    flags = (
        "--topics",
        "topics.tsv",
        "--qrels",
        "qrels.trec",
        "-p",
        "lexical,fused",
        "--measures",
        "nDCG@10",
        "--json",
    )
    done = launcher.run("eval", *flags, *SMALL, cwd=folder)
    figures, known = json.loads(done.stdout), json.loads((evaluated[1] / "figures.json").read_text())

    assert done.code == 0, done.stderr
    assert figures["pipelines"]["fused"]["per_query"]["nDCG@10"] == known["pipelines"]["fused"]["per_query"]["nDCG@10"]
    assert figures["collection"]["fingerprint"] == known["collection"]["fingerprint"]
    assert figures["baseline"] == "lexical"


def test_what_is_left_out_is_said(launcher: Launcher, folder: Path, evaluated: tuple[Finished, Path]) -> None:
    (folder / "more.tsv").write_text((folder / "topics.tsv").read_text() + "new\tnobody judged this\n")
    done = launcher.run(
        "eval", "--topics", "more.tsv", "--qrels", "qrels.trec", "-p", "lexical", "--json", *SMALL, cwd=folder
    )

    assert "more: 1 of 10 queries have no judgment and are left out" in done.stderr
    assert json.loads(done.stdout)["collection"]["notes"] == ["1 of 10 queries have no judgment and are left out"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_makes_no_difference_to_the_mean(
    launcher: Launcher, folder: Path, evaluated: tuple[Finished, Path], encoding: str
) -> None:
    (folder / encoding).mkdir()
    queries = (folder / "slice" / "queries.jsonl").read_text()
    rows = (folder / "slice" / "qrels.tsv").read_text().split("\n", 1)[1]  # no header: the mark is before an id
    (folder / encoding / "queries.jsonl").write_text(queries.replace("\n", "\r\n\r\n"), encoding=encoding)
    (folder / encoding / "qrels.tsv").write_text(rows, encoding=encoding)
    done = launcher.run("eval", encoding, "-p", "lexical", "--json", *SMALL, cwd=folder)
    known = json.loads((evaluated[1] / "figures.json").read_text())

    assert done.code == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["collection"]["fingerprint"] == known["collection"]["fingerprint"]
    assert figures["pipelines"]["lexical"]["measures"] == known["pipelines"]["lexical"]["measures"]


def test_files_that_contradict_themselves_end_in_one_line(launcher: Launcher, folder: Path) -> None:
    (folder / "twice").mkdir()
    queries = (folder / "slice" / "queries.jsonl").read_text().splitlines()
    again = json.dumps(json.loads(queries[2]) | {"text": "cutting ice"})
    (folder / "twice" / "queries.jsonl").write_text("\n".join([*queries, again]))
    (folder / "twice" / "qrels.tsv").write_text((folder / "slice" / "qrels.tsv").read_text())
    done = launcher.run("eval", "twice", "-p", "lexical", cwd=folder)

    assert (done.code, done.stdout) == (2, "")
    assert f"queries.jsonl:{len(queries) + 1} has the id" in done.stderr
    assert "of line 3" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_worker_that_is_away_is_told_of_and_counted(launcher: Launcher, folder: Path) -> None:
    done = launcher.run("eval", "slice", "-p", "search", "--worker", "http://127.0.0.1:1", "--json", *SMALL, cwd=folder)
    pipeline = json.loads(done.stdout)["pipelines"]["search"]

    assert done.code == 1
    assert len(pipeline["degraded"]) == 9
    assert pipeline["measures"]["nDCG@10"] > 0.3  # what the caller gets is the fused order
    assert "search: 9 of 9 queries were degraded; first: local:" in done.stderr


def test_a_gate_holds_where_nothing_changed(
    launcher: Launcher, folder: Path, worker: WorkerProcess, baseline: Path
) -> None:
    done = gate(launcher, folder, worker, "--max-p95-ms", "search=60000", name=baseline.name)

    assert done.code == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok") == 3  # nDCG@10, p95, failed or degraded
    assert "broken" not in done.stdout


def test_a_gate_breaks_where_a_measure_fell_or_a_budget_is_overrun(
    launcher: Launcher, folder: Path, worker: WorkerProcess, baseline: Path
) -> None:
    figures = json.loads(baseline.read_text())
    pipeline = figures["pipelines"]["search"]
    pipeline["measures"]["nDCG@10"] = 1.0
    pipeline["per_query"]["nDCG@10"] = dict.fromkeys(pipeline["per_query"]["nDCG@10"], 1.0)
    (folder / "better.json").write_text(json.dumps(figures))
    flags = ("--set", "search.fusion.rank_constant=59", "--max-p95-ms", "lexical=0.01", "--json")
    done = gate(launcher, folder, worker, *flags, name="better.json")
    report = json.loads(done.stdout)

    assert done.code == 1
    assert [verdict["figure"] for verdict in report["verdicts"] if verdict["broken"]] == ["nDCG@10", "lexical p95 ms"]
    assert report["changed_settings"] == {"search": {"search.fusion.rank_constant": [60, 59]}}
    assert report["ok"] is False
    fallen = next(verdict for verdict in report["verdicts"] if verdict["figure"] == "nDCG@10")
    assert fallen["now"] <= fallen["possible"] < 1
    assert fallen["depends_on_unjudged"] is False  # the baseline's 1.0 is more than any grades would give


def test_a_gate_refuses_the_baseline_of_other_queries(
    launcher: Launcher, folder: Path, worker: WorkerProcess, baseline: Path
) -> None:
    done = gate(launcher, folder, worker, "--queries", "4", name=baseline.name)

    assert done.code == 2
    assert "was taken on other data: 9 queries of slice" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("eval",), "name the judged queries"),
        (("eval", "nowhere"), "nowhere has no qrels/test.tsv"),
        (("eval", "slice", "-p", "bm25"), "unknown pipeline 'bm25'"),
        (("eval", "slice", "--measures", "nDGC@10"), "unknown measure 'nDGC@10'"),
        (("eval", "slice", "-b", "dense", "-p", "fused"), "no pipeline 'dense' to compare with; there are fused"),
        (("eval", "slice", "--segment-by", "color"), "no query has a field 'color'"),
        (("eval", "slice", "--html", "no/where.html"), "there is no folder no for where.html"),
        (("eval", "slice", "--html", "slice"), "cannot write slice (Is a directory); choose another place"),
        (("gate", "slice", "-b", "slice", "--write-baseline"), "cannot write slice (Is a directory)"),
        (("gate", "slice", "-b", "none.json"), "write one with --write-baseline"),
        (("gate", "slice", "-b", "none.json", "-p", "fused"), "go with --write-baseline"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_start_says_why_in_one_line(
    launcher: Launcher, folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = launcher.run(*arguments, cwd=folder)

    assert says in error_line(done)
