"""A language model grades the pairs of a judging folder: requests side by side, each grade on disk at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.errors import EndpointError, EndpointUnavailable
from connector.judging.defaults import MAX_PASSAGE_CHARS
from connector.judging.model.answers import AnswerStore, KeptAnswer, answer_key
from connector.judging.model.chat import ChatEndpoint, ChatReply
from connector.judging.model.cost import TokenBudget, Tokens, estimate_tokens
from connector.judging.model.umbrela import ChatMessage, ReadGrade, build_messages, build_reminder, read_answer
from connector.judging.pairs import Pair

MANY_TOKENS = 4_096  # what an answer may take where no parameter limits it
CUT_MARK = " […]"
# what another pair may not meet: a refusal of one that is too long, or a reply without an answer
OF_THE_PAIR = frozenset({200, 400, 413, 422})
FAILED = 500  # some servers fail so at one pair, and answer the next
REFUSED = "refused by the endpoint"


@dataclass(frozen=True, slots=True)
class Question:
    """A pair as the model is asked for it; `is_cut`: its passage was too long to be sent whole."""

    pair: Pair
    key: str
    messages: Sequence[ChatMessage]
    is_cut: bool


@dataclass(slots=True)
class GradingOutcome:
    """What came of a job so far. `faults` counts pairs left without a grade, by why; `refusal` is the last reason that
    the endpoint gave for refusing one of them."""

    graded: int = 0
    remembered: int = 0
    asked_again: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    refusal: str = ""
    is_capped: bool = False

    @property
    def done(self) -> int:
        return self.graded + self.faults.total()


def build_questions(
    pairs: Sequence[Pair],
    queries: Mapping[str, str],
    *,
    model: str,
    parameters: Mapping[str, Any],
    max_passage_chars: int = MAX_PASSAGE_CHARS,
) -> list[Question]:
    """The question for each pair whose query is known."""
    questions = []
    for pair in pairs:
        if pair.query_id in queries:
            query, whole = _sendable(queries[pair.query_id]), _sendable(passage_of(pair))
            passage = whole if len(whole) <= max_passage_chars else whole[:max_passage_chars] + CUT_MARK
            key = answer_key(model, parameters, query, passage)
            questions.append(Question(pair, key, build_messages(query, passage), len(whole) > max_passage_chars))
    return questions


def passage_of(pair: Pair) -> str:
    """What is judged: all fields that the pool kept, in their order."""
    return "\n".join(text for text in map(str, pair.fields.values()) if text.strip())


def _sendable(text: str) -> str:
    """Half a character, which JSON may hold and no endpoint takes, is a question mark."""
    return text.encode("utf-8", "replace").decode()


def most_tokens(question: Question, parameters: Mapping[str, Any]) -> Tokens:
    """What one request may take at most, about."""
    limits = (parameters.get(name) for name in ("max_tokens", "max_completion_tokens"))
    return Tokens(estimate_tokens(question.messages), next((limit for limit in limits if limit), MANY_TOKENS))


def is_open(question: Question, store: AnswerStore, *, ask_again: bool) -> bool:
    """Whether the model has to be asked: there is no answer, or none that was a grade and it is to be asked again."""
    kept = store.find(question.key)
    return kept is None or (ask_again and kept.answer.grade is None)


class GradingJob:
    """Grades questions. All that is answered is kept at once, so that a job that ends at any point can be run again."""

    def __init__(
        self,
        endpoint: ChatEndpoint,
        store: AnswerStore,
        budget: TokenBudget,
        *,
        parameters: Mapping[str, Any],
        keep_grade: Callable[[Pair, int], None],
        ask_again: bool = False,
        on_done: Callable[[GradingOutcome], None] = lambda outcome: None,
    ) -> None:
        """`keep_grade` puts a grade on disk. `ask_again`: an answer of before that was no grade is asked for anew."""
        self._endpoint, self._store, self._budget = endpoint, store, budget
        self._parameters, self._keep_grade, self._ask_anew = parameters, keep_grade, ask_again
        self._on_done = on_done
        self._has_worked = self._has_failed = False  # at all; since the last answer
        self.outcome = GradingOutcome()

    async def run(self, questions: Iterable[Question], *, at_once: int) -> GradingOutcome:
        """Ask the model, so many requests at once; which question is next is asked for when one is free. Raises
        EndpointError where going on makes no sense."""
        waiting = self._not_remembered(questions)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(at_once):
                    tasks.create_task(self._work(waiting))
        except ExceptionGroup as failed:  # the first failure ends all requests
            raise failed.exceptions[0] from None
        return self.outcome

    def _not_remembered(self, questions: Iterable[Question]) -> Iterator[Question]:
        """What the store has no answer to; the rest is graded by it."""
        for question in questions:
            kept = self._store.find(question.key)
            if kept is None or is_open(question, self._store, ask_again=self._ask_anew):
                yield question
            else:
                self.outcome.remembered += 1
                self._settle(question, kept.answer)

    async def _work(self, waiting: Iterator[Question]) -> None:
        for question in waiting:
            if self.outcome.is_capped:
                return
            try:
                kept = await self._ask(question)
            except EndpointError as error:
                if not self._is_of_the_pair(error):
                    raise
                self.outcome.faults[REFUSED] += 1
                self.outcome.refusal = str(error)
                self._on_done(self.outcome)
                continue
            if kept is not None:
                self._store.keep(kept)
                self._settle(question, kept.answer)

    def _is_of_the_pair(self, error: EndpointError) -> bool:
        """Whether the next pair may fare better. Two that fail in a row are the endpoint's failure."""
        if not isinstance(error, EndpointUnavailable):
            return self._has_worked and error.status in OF_THE_PAIR
        had_failed, self._has_failed = self._has_failed, True
        return self._has_worked and error.status == FAILED and not had_failed

    async def _ask(self, question: Question) -> KeptAnswer | None:
        """What the model says; None where a cap forbids asking."""
        first = await self._send(question, question.messages)
        if first is None:
            return None
        reply, taken = first
        answer = read_answer(reply.text, finish=reply.finish)
        if answer.grade is None:
            second = await self._send(question, build_reminder(question.messages, reply.text))
            if second is None:
                return None
            self.outcome.asked_again += 1
            reply, more = second
            answer, taken = read_answer(reply.text, finish=reply.finish), taken + more
        return KeptAnswer(question.key, answer, reply.text, taken.sent, taken.received)

    async def _send(self, question: Question, messages: Sequence[ChatMessage]) -> tuple[ChatReply, Tokens] | None:
        most = most_tokens(Question(question.pair, question.key, messages, question.is_cut), self._parameters)
        if not self._budget.reserve(most):
            self.outcome.is_capped = True
            return None
        taken = Tokens()
        try:
            reply = await self._endpoint.ask(messages)
            self._has_worked, self._has_failed = True, False
            taken = Tokens(
                most.sent if reply.tokens_in is None else reply.tokens_in,
                most.received if reply.tokens_out is None else reply.tokens_out,
            )
        finally:
            self._budget.settle(most, taken)
        return reply, taken

    def _settle(self, question: Question, answer: ReadGrade) -> None:
        if answer.grade is not None:
            self._keep_grade(question.pair, answer.grade)
            self.outcome.graded += 1
        else:
            self.outcome.faults[str(answer.fault)] += 1
        self._on_done(self.outcome)
