"""The pool's questions to an endpoint: each grade goes to disk, and to what chooses the next question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connector.errors import SettingsError
from connector.judging.model.answers import AnswerStore
from connector.judging.model.chat import ChatEndpoint
from connector.judging.model.cost import TokenBudget
from connector.judging.model.grades import ModelGrades
from connector.judging.model.grading import GradingJob, GradingOutcome
from connector.judging.model.next_questions import NextQuestions
from connector.judging.pairs import Pair
from connector.settings.judge import JudgeSettings


def read_endpoint(settings: JudgeSettings) -> tuple[str, str]:
    """Its address, and its name for the model. Raises SettingsError where one of the two is not set."""
    if not settings.url or not settings.model:
        missing = "url" if not settings.url else "model"
        raise SettingsError(f"no judge.{missing}; name the endpoint and its model with --url and --model")
    return settings.url, settings.model


async def grade_pool(
    questions: NextQuestions,
    store: AnswerStore,
    budget: TokenBudget,
    grades: ModelGrades,
    settings: JudgeSettings,
    *,
    parameters: Mapping[str, Any],
    at_once: int,
    ask_again: bool = False,
    on_done: Callable[[GradingOutcome], None] = lambda outcome: None,
    on_retry: Callable[[Exception, float], None] = lambda error, wait_s: None,
) -> GradingOutcome:
    """Ask what has no answer yet, and keep what is answered. Raises EndpointError where going on makes no sense, and
    SettingsError."""
    url, model = read_endpoint(settings)
    endpoint = ChatEndpoint(
        url,
        model,
        parameters=parameters,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        ca_cert=settings.ca_cert,
        timeout_s=settings.timeout_s,
        on_retry=on_retry,
    )

    def keep_grade(pair: Pair, grade: int) -> None:
        grades(pair, grade)
        questions.tell(pair, grade)

    try:
        job = GradingJob(
            endpoint,
            store,
            budget,
            parameters=parameters,
            keep_grade=keep_grade,
            ask_again=ask_again,
            on_done=on_done,
        )
        return await job.run(questions, at_once=at_once)
    finally:
        await endpoint.close()
