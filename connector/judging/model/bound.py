"""How much a language model will be asked at most, worked out before anything is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.judging.model.answers import AnswerStore
from connector.judging.model.cost import Tokens
from connector.judging.model.grading import is_open, most_tokens
from connector.judging.model.next_questions import NextQuestions


@dataclass(frozen=True, slots=True)
class AskingBound:
    """Of `pairs`, so many are to be asked for, in at most so many tokens; the rest was answered before."""

    pairs: int
    asked: int
    most: Tokens


def find_bound(
    questions: NextQuestions, store: AnswerStore, parameters: Mapping[str, Any], *, ask_again: bool
) -> AskingBound:
    """Where the grades decide which questions are asked, it may be the longest of them."""
    asked = [
        most_tokens(question, parameters)
        for question in questions.candidates
        if is_open(question, store, ask_again=ask_again)
    ]
    longest = sorted(asked, key=lambda tokens: tokens.sent, reverse=True)[: questions.count]
    return AskingBound(questions.count, len(longest), sum(longest, Tokens()))
