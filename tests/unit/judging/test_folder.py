"""What a judging folder holds, and what is said where a part of it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from connector.cli.commands.judge import judge_app
from connector.errors import SettingsError
from connector.evaluation.files.judgments import read_judgments
from connector.evaluation.trec import write_run
from connector.judging.folder import JudgingFolder
from connector.judging.pairs import Pair, write_pairs
from connector.types import Hit


def test_a_folder_gives_its_parts(tmp_path: Path) -> None:
    folder = JudgingFolder.make(tmp_path / "judged")
    folder.queries_file.write_text('{"_id": "q1", "text": "deal", "frequency": 7, "band": "head"}\n')
    write_pairs(folder.pool_file, [Pair("q1", "d1", 0)])
    folder.run_file("lexical").parent.mkdir()
    write_run(folder.run_file("lexical"), {"q1": (Hit("d1", 9.5), Hit("d2", 9.5))}, "lexical")
    opened = JudgingFolder.open(folder.path)
    (query,) = opened.queries()

    assert (query.query_id, query.labels["frequency"], query.labels["band"]) == ("q1", ("7",), ("head",))
    assert [pair.doc_id for pair in opened.pairs()] == ["d1"]
    assert {name: [hit.doc_id for hit in run["q1"]] for name, run in opened.runs().items()} == {"lexical": ["d1", "d2"]}


def test_what_is_missing_is_made_by_the_command_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="connector judge queries LOG --out"):
        JudgingFolder.open(tmp_path)
    with pytest.raises(SettingsError, match="connector judge pool"):
        JudgingFolder(tmp_path).pairs()

    assert JudgingFolder(tmp_path).runs() == {}


def test_judgments_without_a_grade_behind_them_are_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "deal"}\n')
    qrels, other = tmp_path / "qrels" / "test.tsv", tmp_path / "other.tsv"
    qrels.parent.mkdir()
    qrels.write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\n")
    other.write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\n")

    def take_in(file: Path) -> Result:
        return CliRunner().invoke(judge_app, ["import", str(file), "--into", str(tmp_path)])

    with pytest.raises(SettingsError, match=r"would be lost.*connector judge import .*test.tsv --into"):
        JudgingFolder.open(tmp_path)
    assert isinstance(take_in(other).exception, SettingsError)
    assert take_in(qrels).exit_code == take_in(other).exit_code == 0
    assert JudgingFolder.open(tmp_path).grades().read()
    assert read_judgments(qrels).qrels == {"q1": {"d1": 2, "d2": 1}}
