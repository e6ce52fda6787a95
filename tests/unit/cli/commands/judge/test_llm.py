"""`connector judge llm`: what is said before, what is kept, and what the report is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.evaluation.judging_folders import grade_all, make_judging_folder
from support.programs.command import flat
from support.servers.chat_server import ChatServer, chat_server
from typer.testing import CliRunner, Result

from connector.cli.commands.judge import judge_app
from connector.errors import EndpointError, SettingsError
from connector.judging.model.umbrela import PROMPT_HASH
from connector.judging.pairs import PairKey
from connector.judging.pooling.next_pairs import NextPairs


def judge(server: ChatServer, *flags: str, **options: Any) -> Result:
    asked = ["llm", "judging", "--url", server.url, "--model", "stub", *flags]
    return CliRunner().invoke(judge_app, asked, env={"COLUMNS": "200"}, **options)


def answers(truth: dict[PairKey, int], wrong: float = 0.0) -> Any:
    """An endpoint that knows the grades, and gives that share of them at random."""

    def answer(query: str, passage: str) -> str:
        pair = (query.split()[-1], passage.split()[-1])
        random = np.random.default_rng([*"/".join(pair).encode()])
        grade = int(random.integers(0, 4)) if random.random() < wrong else truth[pair]
        return f"##final score: {grade}"

    return answer


def test_each_pair_gets_a_grade_that_says_who_gave_it_and_the_judgments_are_written(made: Any) -> None:
    folder, truth = made
    with chat_server(answers(truth)) as server:
        done = judge(server, "--yes", "--price-in", "2", "--price-out", "8")
        again = judge(server)  # nothing is left to ask, so nobody is asked whether to
        requests = len(server.requests)
    grades = folder.grades().read()

    assert (done.exit_code, again.exit_code, requests) == (0, 0, 30)
    assert "30 pairs: 30 to ask stub at http" in flat(done.stderr)
    assert "at these prices" in flat(done.stderr)
    assert "30 pairs graded, 0 of all by answers of before; 30 requests" in done.stdout
    assert "30 pairs graded, 30 of all by answers of before; 0 requests" in again.stdout
    assert {(grade.query_id, grade.doc_id): grade.grade for grade in grades} == truth
    assert len(folder.grades_file.read_text().splitlines()) == 30
    assert {(grade.by, grade.kind, grade.about["model"], grade.about["prompt"]) for grade in grades} == {
        ("stub", "model", "stub", PROMPT_HASH)
    }
    assert len(folder.qrels_file.read_text().splitlines()) == 31


@pytest.mark.parametrize("order", ["decide", "move-to-front"])
def test_the_grades_of_the_model_decide_what_it_is_asked_next(made: Any, order: str) -> None:
    folder, truth = made
    folder.facts_file.write_text(json.dumps({"order": order, "depth": 6, "seed": 3}))
    grade_all(folder, dict.fromkeys(truth, 0))  # what a person said decides nothing here
    pairs = NextPairs.of_pool(folder, truth)
    wanted: list[PairKey] = []
    for _ in range(12):
        wanted += pairs.next()
        pairs.tell(*wanted[-1], truth[wanted[-1]])
    with chat_server(answers(truth)) as server:
        some = judge(server, "--yes", "--pairs", "8", "--at-once", "1")
        more = judge(server, "--yes", "--pairs", "12", "--at-once", "1")
    asked = [(grade.query_id, grade.doc_id) for grade in folder.grades().history() if grade.kind == "model"]

    assert "8 pairs: 8 to ask stub at http" in flat(some.stderr)
    assert "8 pairs graded" in some.stdout
    assert "12 pairs graded, 8 of all by answers of before" in more.stdout
    assert (some.exit_code, more.exit_code) == (0, 0)
    assert asked == wanted
    assert asked != list(truth)[:12]


def test_without_a_persons_grade_it_says_that_nobody_knows(made: Any) -> None:
    with chat_server(answers(made[1])) as server:
        done = judge(server, "--yes")
        report = json.loads(judge(server, "--json").stdout)

    assert "nobody knows how good the grades of stub are" in flat(done.stderr)
    assert "kappa" not in done.stdout
    assert (report["comparisons"], report["unmeasured"], report["job"]["graded"]) == ([], ["stub"], 30)


def test_a_known_rate_of_errors_comes_out_as_the_agreement_that_it_gives(tmp_path: Path) -> None:
    """Of half the pairs, which people have judged, the report has the kappa that scikit-learn has."""
    from sklearn.metrics import cohen_kappa_score  # whose import takes seconds of each process that collects

    folder, truth = make_judging_folder(tmp_path / "judging", queries=12, depth=10)
    judged = dict([*truth.items()][::2])
    grade_all(folder, judged)
    with chat_server(answers(truth, wrong=0.3)) as server:
        done = judge(server, "--yes")
    report = json.loads(CliRunner().invoke(judge_app, ["agreement", "judging", "--json"]).stdout)
    (found,) = report["comparisons"]
    given = {(grade.query_id, grade.doc_id): grade.grade for grade in folder.grades().read() if grade.kind == "model"}
    expected = cohen_kappa_score([*judged.values()], [given[pair] for pair in judged], weights="quadratic")

    assert found["pairs"] == sum(map(sum, found["table"])) == 60
    assert found["kappa"] == pytest.approx(expected)
    assert found["kappa_interval"][0] < 0.7 < found["kappa_interval"][1]  # what 30 % of chance leaves of 1
    assert found["order"]["tau"] == 1.0
    assert list(found["order"]["first_means"]) == ["blind", "dull", "sharp"]
    assert found["order"]["first_means"]["sharp"] > found["order"]["first_means"]["dull"]
    assert "stub against people on 60 pairs of 12 queries: kappa" in done.stdout
    assert "they order the pipelines by nDCG@10 with tau 1.00" in done.stdout
    assert "people (rows) and stub (columns)" in done.stdout


def test_a_judge_who_guesses_is_called_one(made: Any) -> None:
    folder, truth = made
    grade_all(folder, truth)
    with chat_server(answers(truth, wrong=1.0)) as server:
        done = judge(server, "--yes")

    assert "the grades of stub cannot stand in for those of people" in done.stdout


def test_nothing_is_asked_without_a_yes(made: Any) -> None:
    with chat_server(answers(made[1])) as server:
        refused = judge(server)

        assert server.requests == []
    assert isinstance(refused.exception, SettingsError)
    assert "add --yes" in str(refused.exception)


def test_a_cap_leaves_the_rest_for_another_time(made: Any) -> None:
    with chat_server(answers(made[1])) as server:
        some = judge(server, "--yes", "--max-requests", "20")
        rest = judge(server, "--yes")
        requests = len(server.requests)

    assert (some.exit_code, rest.exit_code, requests) == (1, 0, 30)
    assert "a cap was reached before the end" in flat(some.stderr)
    assert "it stops before requests go beyond 20" in flat(some.stderr)
    assert len(made[0].grades_file.read_text().splitlines()) == 30


def test_answers_that_are_no_grade_are_counted_by_kind(made: Any) -> None:
    known = answers(made[1])
    with chat_server(lambda query, passage: "no idea" if "-3" in passage else known(query, passage)) as server:
        done = judge(server, "--yes")

    assert done.exit_code == 1
    assert "left without a grade: 5 no grade" in flat(done.stderr)
    assert "5 answers were no grade and were asked for again" in flat(done.stderr)


def test_a_job_that_breaks_off_keeps_what_it_has_and_writes_the_judgments(made: Any) -> None:
    folder, truth = made
    known = answers(truth)
    with chat_server(known) as server:

        def fail_after(query: str, passage: str) -> str:
            if len(server.requests) == 10:
                server.refusals.append((402, {"error": {"message": "no credit is left"}}, {}))
            return str(known(query, passage))

        server.answer = fail_after
        broken = judge(server, "--yes", "--at-once", "1")
        kept = len(folder.qrels_file.read_text().splitlines())
        server.answer = known
        done = judge(server, "--yes")
        requests = len(server.requests)

    assert isinstance(broken.exception, EndpointError)
    assert "no credit is left" in str(broken.exception)
    assert (kept, done.exit_code, requests) == (11, 0, 30)


def test_a_busy_endpoint_is_said_once_for_all_that_wait(made: Any) -> None:
    busy = (429, {"error": {"message": "slow down"}}, {"retry-after": "0.01"})
    with chat_server(answers(made[1]), refusals=[busy] * 6) as server:
        done = judge(server, "--yes")

    assert done.exit_code == 0
    assert flat(done.stderr).count("slow down; asked again in") == 1


def test_flags_that_cannot_be_meant_are_refused(made: Any) -> None:
    with chat_server(answers(made[1])) as server:
        for flags, why in (
            (["--max-cost", "3"], "--max-cost needs prices"),
            (["--body", "{"], "--body is no JSON"),
            (["--body", '{"model": "x"}'], "without model"),
        ):
            assert why in str(judge(server, *flags).exception)
        unnamed = CliRunner().invoke(judge_app, ["llm", "judging", "--model", "m"])

        assert "no judge.url" in str(unnamed.exception)
        assert judge(server, "--yes", "--body", '{"top_p": null}').exit_code == 0
        assert "top_p" not in server.requests[0]


def test_the_key_comes_from_the_environment(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_JUDGE_API_KEY", "s3cret")
    with chat_server(answers(made[1]), api_key="s3cret") as server:
        assert judge(server, "--yes").exit_code == 0
