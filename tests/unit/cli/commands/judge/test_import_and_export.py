"""`connector judge import` and `connector judge export` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.programs.command import flat
from typer.testing import CliRunner, Result

from connector.cli.commands.judge import judge_app
from connector.errors import SettingsError, SourceError
from connector.evaluation.files.datasets import read_collection
from connector.judging.folder import JudgingFolder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(judge_app, [*arguments], env={"COLUMNS": "200"})


def test_a_case_of_quepid_becomes_a_collection_and_goes_out_as_every_format() -> None:
    Path("ratings.csv").write_text("query,docid,rating\nred fish,d1,3\nred fish,d2,0\nblue bird,d1,1\n")
    done = run("import", "ratings.csv", "--into", "judging")
    collection = read_collection(Path("judging"))

    assert (done.exit_code, done.stdout) == (0, "ratings.csv (quepid): 3 grades are new, 0 were there already\n")
    assert "2 queries were added" in flat(done.stderr)
    assert {query.text for query in collection.queries} == {"red fish", "blue bird"}
    assert sorted(grade for grades in collection.qrels.values() for grade in grades.values()) == [0, 1, 3]
    assert run("export", "judging", "--to", "quepid", "--out", "out.csv").exit_code == 0
    assert sorted(Path("out.csv").read_text().splitlines()) == sorted(Path("ratings.csv").read_text().splitlines())
    for name in ("trec", "beir"):
        Path(f"out.{name}").write_text(run("export", "judging", "--to", name).stdout)
        again = run("import", f"out.{name}", "--into", "judging", "--by", "ratings.csv", "--json")
        assert json.loads(again.stdout)[f"out.{name}"]["known"] == 3
    workbench = json.loads(run("export", "judging", "--to", "workbench").stdout)
    assert (workbench["name"], workbench["type"]) == ("judging", "IMPORT_JUDGMENT")


def test_qrels_bring_the_texts_of_their_queries_along() -> None:
    Path("qrels.txt").write_text("1 0 d1 2\n2 0 d2 1\n")
    Path("topics.tsv").write_text("1\tred fish\n")
    done = run("import", "qrels.txt", "--queries", "topics.tsv", "--into", "judging", "--kind", "person")

    assert done.exit_code == 1
    assert "1 judgments are of 1 queries that are not in the folder, and are left out: '2'" in flat(done.stderr)
    assert [(grade.query_id, grade.kind, grade.by) for grade in JudgingFolder(Path("judging")).grades().read()] == [
        ("1", "person", "qrels.txt")
    ]


def test_qrels_whose_queries_nobody_knows_leave_no_empty_judgments_behind() -> None:
    Path("qrels.txt").write_text("1 0 d1 2\n")
    done = run("import", "qrels.txt", "--into", "judging")

    assert done.exit_code == 1
    assert "--queries FILE gives their texts" in flat(done.stderr)
    assert not JudgingFolder(Path("judging")).qrels_file.exists()


def test_clicks_become_grades_with_what_they_were_made_of() -> None:
    random, rows = np.random.default_rng(4), []
    for at in range(300):
        hits = [*random.permutation(["good", "fair", "poor"])]
        rows.append({"query_id": f"s{at}", "user_query": "red fish", "query_response_hit_ids": hits})
        for rank, doc_id in enumerate(hits, start=1):
            if random.random() < {"good": 0.9, "fair": 0.3, "poor": 0.01}[doc_id] * (1, 0.6, 0.3)[rank - 1]:
                place = {"object": {"object_id": doc_id}, "position": {"ordinal": rank}}
                rows.append({"query_id": f"s{at}", "action_name": "click", "event_attributes": place})
    Path("queries.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows if "user_query" in row))
    Path("events.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows if "action_name" in row))
    done = run("import", "queries.ndjson", "events.ndjson", "--into", "judging")
    grades = {grade.doc_id: grade for grade in JudgingFolder(Path("judging")).grades().read()}

    assert done.exit_code == 0
    assert {doc_id: grade.grade for doc_id, grade in grades.items()} == {"good": 3, "fair": 2, "poor": 0}
    assert {(grade.kind, grade.by) for grade in grades.values()} == {("clicks", "pbm")}
    assert grades["fair"].about["cuts"] == [0.05, 0.2, 0.5]
    assert grades["fair"].about["value"] == pytest.approx(0.3, abs=0.06)


def test_an_exports_searches_are_those_of_a_template(tmp_path: Path) -> None:
    Path("ratings.csv").write_text("query,docid,rating\nred fish,d1,3\n")
    Path("search.json").write_text('{"query": {"match": {"body": {"query": "{{query}}", "operator": "and"}}}}')
    run("import", "ratings.csv", "--into", "judging")
    done = run("export", "judging", "--to", "rank-eval", "--index", "kb", "--query", "search.json")
    (request,) = json.loads(done.stdout)["requests"]

    assert request["request"] == {"query": {"match": {"body": {"query": "red fish", "operator": "and"}}}}
    assert request["ratings"] == [{"_index": "kb", "_id": "d1", "rating": 3}]


@pytest.mark.parametrize(
    ("arguments", "error", "why"),
    [
        (("import", "ratings.csv", "--into", "f", "--cuts", "3,2"), SettingsError, "rising numbers"),
        (("import", "broken.json", "--into", "f"), SourceError, "JSON of a kind that is not known here"),
        (("import", "ratings.csv", "--into", "f", "--format", "workbench"), SourceError, "is no JSON"),
        (("export", "f", "--to", "trec"), SettingsError, "has no queries.jsonl"),
        (("export", "judging", "--to", "trec", "--kind", "robot"), SettingsError, "no kind of judge"),
        (("export", "judging", "--to", "trec", "--kind", "clicks"), SettingsError, "has no grades of that kind"),
        (("export", "judging", "--to", "rank-eval", "--query", "broken.json"), SettingsError, "is no search"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], error: Any, why: str) -> None:
    Path("ratings.csv").write_text("query,docid,rating\nred fish,d1,3\n")
    Path("broken.json").write_text('{"hello": 1}')
    run("import", "ratings.csv", "--into", "judging")
    refused = run(*arguments)

    assert isinstance(refused.exception, error)
    assert why in str(refused.exception)
