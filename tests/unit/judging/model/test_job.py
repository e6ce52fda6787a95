"""The pool asked of an endpoint: each grade is kept as it comes, and the judgments are written whatever comes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.evaluation.judging_folders import make_judging_folder
from support.servers.chat_server import ChatServer, chat_server

from connector.errors import EndpointError, SettingsError
from connector.judging.folder import JudgingFolder
from connector.judging.model.answers import AnswerStore
from connector.judging.model.cost import TokenBudget
from connector.judging.model.grades import ModelGrades
from connector.judging.model.grading import GradingOutcome, build_questions
from connector.judging.model.job import grade_pool, read_endpoint
from connector.judging.model.next_questions import NextQuestions
from connector.judging.model.umbrela import SAMPLING
from connector.settings.judge import JudgeSettings


def grade(server: ChatServer, folder: JudgingFolder) -> GradingOutcome:
    settings = JudgeSettings(url=server.url, model="stub")
    queries = {query.query_id: query.text for query in folder.queries()}
    questions = build_questions(folder.pairs(), queries, model="stub", parameters=SAMPLING)
    with AnswerStore.alone(folder.path) as store, ModelGrades(folder, "stub", SAMPLING) as grades:
        job = grade_pool(
            NextQuestions(folder, questions), store, TokenBudget(), grades, settings, parameters=SAMPLING, at_once=1
        )
        return asyncio.run(job)


def test_every_grade_is_on_disk_and_the_judgments_are_written(tmp_path: Path) -> None:
    folder, truth = make_judging_folder(tmp_path / "judging", queries=2, depth=3)
    with chat_server(lambda query, passage: "##final score: 2") as server:
        outcome = grade(server, folder)
    kept = {(grade.query_id, grade.doc_id): grade.grade for grade in folder.grades().read()}

    assert outcome.graded == 6
    assert kept == dict.fromkeys(truth, 2)
    assert len(folder.qrels_file.read_text().splitlines()) == 7  # with its heading


def test_the_judgments_are_written_also_where_the_endpoint_ends_it(tmp_path: Path) -> None:
    folder, _ = make_judging_folder(tmp_path / "judging", queries=2, depth=3)
    with chat_server(lambda query, passage: "##final score: 1") as server:
        server.answer = lambda query, passage: _refuse_after(2, server)

        with pytest.raises(EndpointError, match="no credit is left"):
            grade(server, folder)

    assert len(folder.grades().read()) == 3
    assert len(folder.qrels_file.read_text().splitlines()) == 4


def _refuse_after(count: int, server: ChatServer) -> str:
    """A grade; once so many have been given, it is the last."""
    if len(server.requests) > count:
        server.refusals.append((402, {"error": {"message": "no credit is left"}}, {}))
    return "##final score: 1"


@pytest.mark.parametrize(("given", "missing"), [({"model": "m"}, "url"), ({"url": "http://h/v1"}, "model")])
def test_an_endpoint_without_an_address_or_a_model_is_refused(given: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError, match=rf"no judge\.{missing}"):
        read_endpoint(JudgeSettings.model_validate(given))
