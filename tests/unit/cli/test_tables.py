"""Tables keep their figures whole, in a log as in a narrow terminal."""

from __future__ import annotations

import pytest

from connector.cli.tables.evaluation import verdicts_table
from connector.cli.tables.ingest import print_troubles
from connector.evaluation.gate import Verdict
from connector.ingest.report import Counts, JobReport

VERDICTS = [
    Verdict("after against before", "nDCG@10", 0.9104, 0.9090, 0.9104, broken=True, p=0.5156),
    Verdict("after against before", "p95 ms", 2506.9, 2480.1, None, broken=False),
]


@pytest.mark.parametrize("columns", [None, "80"])
def test_no_figure_of_a_gate_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str | None
) -> None:
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    else:
        monkeypatch.delenv("COLUMNS", raising=False)

    verdicts_table(VERDICTS, "the base")

    printed = capsys.readouterr().out
    assert "…" not in printed
    for figure in ("0.9104", "0.9090", "-0.0014", "0.5156", "≥ 0.9104", "broken", "2506.9", "2480.1", "-26.8"):
        assert figure in printed


def test_a_log_has_a_row_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    verdicts_table(VERDICTS, "the base")

    assert len(capsys.readouterr().out.splitlines()) == 3 + len(VERDICTS)


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
