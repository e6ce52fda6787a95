"""Tables keep their figures whole, in a log as in a narrow terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.evaluation.evaluations import collection, evaluation, ranked

from connector.cli.console import results
from connector.cli.tables.evaluation import verdicts_table
from connector.cli.tables.ingest import print_troubles
from connector.cli.tables.unjudged import print_doubts, unjudged_table
from connector.evaluation.gate import Verdict
from connector.evaluation.report.figures import build_figures
from connector.ingest.report import Counts, JobReport

VERDICTS = [
    Verdict("after against before", "nDCG@10", 0.9104, 0.9090, 0.9104, broken=True, p=0.5156),
    Verdict("after against before", "p95 ms", 2506.9, 2480.1, None, broken=False),
]


@pytest.fixture(params=[None, "80"])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a log, which nobody says, and that of a terminal."""
    if request.param:
        monkeypatch.setenv("COLUMNS", request.param)
    else:
        monkeypatch.delenv("COLUMNS", raising=False)


@pytest.mark.usefixtures("width")
def test_no_figure_of_a_gate_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts_table(VERDICTS, "the base")

    printed = capsys.readouterr().out
    assert "…" not in printed
    for figure in ("0.9104", "0.9090", "-0.0014", "0.5156", "≥ 0.9104", "broken", "2506.9", "2480.1", "-26.8"):
        assert figure in printed


def test_a_log_has_a_row_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    verdicts_table(VERDICTS, "the base")

    assert len(capsys.readouterr().out.splitlines()) == 3 + len(VERDICTS)


def test_a_fall_that_depends_on_unjudged_documents_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    fall = Verdict("search", "nDCG@10", 0.7, 0.6, 0.69, broken=True, p=0.01)

    print_doubts([replace(fall, possible=0.68), replace(fall, possible=0.8), *VERDICTS])

    assert " ".join(capsys.readouterr().err.split()) == (
        "search: that nDCG@10 fell depends on documents that nobody judged: with the best grades for them it is "
        "0.8000; connector judge pool chooses which to judge"
    )


@pytest.mark.usefixtures("width")
def test_no_figure_about_unjudged_documents_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    judged = collection({"a": {"x": 2}, "b": {"x": 1}})
    runs = {"lexical": dict.fromkeys("ab", ranked("x")), "reranked": dict.fromkeys("ab", ranked("new", "x"))}

    results().print(unjudged_table(build_figures(evaluation(judged, runs))))

    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if "reranked" in line)
    assert "nDCG@10 and what nobody judged" in printed
    for figure in ("0.500", "1.000", "0.750", "0.631…1.000", "+0.000", "-0.369…+0.503"):
        assert figure in row


@pytest.mark.parametrize(
    ("breaks_off", "read", "words"),
    [
        (False, 5, "it stopped; 3 documents were under way; run it again to go on"),
        (False, 2, "it stopped; run it again to go on"),
        (True, 2, "it stopped"),
    ],
)
def test_another_run_is_advised_only_where_it_would_go_on(
    capsys: pytest.CaptureFixture[str], breaks_off: bool, read: int, words: str
) -> None:
    counts = Counts(read=read, written=2)

    print_troubles(JobReport(counts, 1.0, stopped="it stopped", source_broke_off=breaks_off))

    assert " ".join(capsys.readouterr().err.split()) == f"error: the job stopped early: {words}"
