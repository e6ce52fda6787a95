"""A real language model judges, end to end: so small a one judges badly, and the report says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.evaluation.judging_folders import grade_all
from support.servers.chat_model import NAME, ChatModel, serving
from typer.testing import CliRunner

from connector.cli.commands.judge import judge_app
from connector.judging.folder import JudgingFolder
from connector.judging.pairs import Pair, write_pairs

QUERIES = {"bread": "how to bake bread", "paris": "what is the capital of France"}
GRADED = {
    ("bread", "recipe"): ("Mix flour, water, salt and yeast. Let the dough rise, then bake it for forty minutes.", 3),
    ("bread", "stocks"): ("The stock market fell on Tuesday.", 0),
    ("paris", "answer"): ("Paris is the capital of France.", 3),
    ("paris", "berlin"): ("Berlin has many museums.", 0),
}
CHOICES = [f"##final score: {grade}" for grade in range(4)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JudgingFolder:
    monkeypatch.chdir(tmp_path)
    folder = JudgingFolder.make(tmp_path / "judging")
    folder.queries_file.write_text(
        "".join(json.dumps({"_id": key, "text": text}) + "\n" for key, text in QUERIES.items())
    )
    write_pairs(
        folder.pool_file, [Pair(*pair, order, {"text": text}) for order, (pair, (text, _)) in enumerate(GRADED.items())]
    )
    grade_all(folder, {pair: grade for pair, (_, grade) in GRADED.items()})
    return folder


def test_a_real_model_grades_every_pair_and_its_report_says_what_that_is_worth(folder: JudgingFolder) -> None:
    with serving(ChatModel()) as url:
        body = json.dumps({"guided_choice": CHOICES})
        done = CliRunner().invoke(
            judge_app,
            ["llm", "judging", "--url", url, "--model", NAME, "--body", body, "--yes"],
            env={"COLUMNS": "200"},
        )
    given = {(grade.query_id, grade.doc_id): grade.grade for grade in folder.grades().read() if grade.kind == "model"}

    assert done.exit_code == 0, done.output
    assert set(given) == set(GRADED)
    assert f"{NAME} against people on 4 pairs of 2 queries: kappa" in done.stdout
    assert f"the grades of {NAME} cannot stand in for those of people" in done.stdout
