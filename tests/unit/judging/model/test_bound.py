"""What a language model will be asked at most, before it is: by count and by tokens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.evaluation.judging_folders import make_judging_folder

from connector.judging.folder import JudgingFolder
from connector.judging.model.answers import AnswerStore, KeptAnswer
from connector.judging.model.bound import find_bound
from connector.judging.model.cost import Tokens
from connector.judging.model.grading import Question, build_questions, most_tokens
from connector.judging.model.next_questions import NextQuestions
from connector.judging.model.umbrela import SAMPLING, read_answer


@pytest.fixture
def folder(tmp_path: Path) -> JudgingFolder:
    return make_judging_folder(tmp_path / "judging", queries=2, depth=3)[0]


def questions_of(folder: JudgingFolder) -> list[Question]:
    """The pool's, of which the last has the longest passage."""
    *pairs, last = folder.pairs()
    last = replace(last, fields={"text": "long " * 200})
    queries = {query.query_id: query.text for query in folder.queries()}
    return build_questions([*pairs, last], queries, model="m", parameters=SAMPLING)


def test_all_that_has_no_answer_is_counted_with_what_an_answer_may_take(folder: JudgingFolder) -> None:
    questions = questions_of(folder)
    with AnswerStore.alone(folder.path) as store:
        bound = find_bound(NextQuestions(folder, questions), store, SAMPLING, ask_again=False)

    assert (bound.pairs, bound.asked) == (6, 6)
    assert bound.most == sum((most_tokens(question, SAMPLING) for question in questions), Tokens())


def test_what_was_answered_before_costs_nothing_unless_it_is_to_be_asked_again(folder: JudgingFolder) -> None:
    questions = questions_of(folder)
    with AnswerStore.alone(folder.path) as store:
        for question, text in zip(questions, ("##final score: 2", "I cannot tell."), strict=False):
            store.keep(KeptAnswer(question.key, read_answer(text, finish="stop"), text, 9, 9))
        once = find_bound(NextQuestions(folder, questions), store, SAMPLING, ask_again=False)
        anew = find_bound(NextQuestions(folder, questions), store, SAMPLING, ask_again=True)

    assert (once.pairs, once.asked, anew.asked) == (6, 4, 5)


def test_where_the_grades_decide_what_is_asked_it_may_be_the_longest(folder: JudgingFolder) -> None:
    questions = questions_of(folder)
    with AnswerStore.alone(folder.path) as store:
        by_depth = find_bound(NextQuestions(folder, questions, at_most=1), store, SAMPLING, ask_again=False)
        folder.facts_file.write_text(json.dumps({"order": "decide", "depth": 3, "seed": 3}))
        by_grades = find_bound(NextQuestions(folder, questions, at_most=1), store, SAMPLING, ask_again=False)

    assert (by_depth.asked, by_grades.asked) == (1, 1)
    assert by_depth.most == most_tokens(questions[0], SAMPLING)
    assert by_grades.most == most_tokens(questions[-1], SAMPLING)
