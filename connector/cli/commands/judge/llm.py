"""`connector judge llm`: a language model grades the pool, and is held against the people who did."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from connector import event_loop
from connector.cli.console import say
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.judging import FolderArgument, OrderMeasure
from connector.cli.flags.settings import AsJson, ConfigFile, Overrides, read_settings
from connector.cli.progress import counting
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError
from connector.judging.defaults import AT_ONCE, MAX_PASSAGE_CHARS, MEASURE

if TYPE_CHECKING:
    from connector.judging.folder import JudgingFolder
    from connector.judging.model.answers import AnswerStore
    from connector.judging.model.bound import AskingBound
    from connector.judging.model.cost import TokenBudget
    from connector.judging.model.grades import ModelGrades
    from connector.judging.model.grading import GradingOutcome
    from connector.judging.model.next_questions import NextQuestions
    from connector.settings.judge import JudgeSettings

NOTE_EVERY_S = 5.0  # of what is asked again


@dataclass(frozen=True, slots=True)
class LlmFlags:
    """Which model is asked, and how."""

    PANEL: ClassVar[str] = "The model"

    url: Annotated[
        str | None, typer.Option("--url", help="An OpenAI-compatible endpoint, up to /v1. [CONNECTOR_JUDGE_URL]")
    ] = None
    model: Annotated[
        str | None, typer.Option("--model", help="The endpoint's name for the model. [CONNECTOR_JUDGE_MODEL]")
    ] = None
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=256, help="How many requests go side by side.")] = (
        AT_ONCE
    )
    body: Annotated[
        str | None,
        typer.Option("--body", metavar="JSON", help="More parameters of a request; null leaves one out."),
    ] = None
    max_chars: Annotated[
        int, typer.Option("--max-passage-chars", min=100, help="Longer passages are cut, and counted.")
    ] = MAX_PASSAGE_CHARS
    ask_again: Annotated[bool, typer.Option("--ask-again", help="Ask anew where an earlier answer was no grade.")] = (
        False
    )

    def parameters(self) -> dict[str, Any]:
        """UMBRELA's, and those of --body. Raises SettingsError."""
        from connector.judging.model.umbrela import SAMPLING

        try:
            more = json.loads(self.body or "{}")
        except ValueError as error:
            raise SettingsError(f"--body is no JSON ({error}); give an object, such as '{{\"top_p\": null}}'") from None
        if not isinstance(more, dict) or {"messages", "model", "stream"} & set(more):
            raise SettingsError("--body is an object of parameters, without model, messages and stream")
        return {name: value for name, value in {**SAMPLING, **more}.items() if value is not None}


@dataclass(frozen=True, slots=True)
class CostFlags:
    """What it may cost."""

    PANEL: ClassVar[str] = "Cost"

    pairs: Annotated[
        int, typer.Option("--pairs", min=0, help="Only so many pairs, those that the pool wants first; 0: all.")
    ] = 0
    price_in: Annotated[
        float | None, typer.Option("--price-in", min=0, help="What a million tokens to the model cost.")
    ] = None
    price_out: Annotated[
        float | None, typer.Option("--price-out", min=0, help="What a million tokens of answers cost.")
    ] = None
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, help="Stop before it costs more; needs a price.")
    ] = None
    max_requests: Annotated[int | None, typer.Option("--max-requests", min=1, help="Stop after so many requests.")] = (
        None
    )
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether to go on.")] = False

    def budget(self) -> TokenBudget:
        """Raises SettingsError for a cap that nothing can be held against."""
        from connector.judging.model.cost import Prices, TokenBudget

        prices = Prices(self.price_in, self.price_out)
        if self.max_cost is not None and not prices.known:
            raise SettingsError("--max-cost needs prices to count with; give --price-in and --price-out")
        return TokenBudget(self.max_requests, self.max_cost, prices)


class RetryNotes:
    """Says that the endpoint is asked again, and why; not for each of the requests that fail together."""

    def __init__(self) -> None:
        self._due = 0.0

    def __call__(self, error: Exception, wait_s: float) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + NOTE_EVERY_S
            say(f"{error}; asked again in {wait_s:.0f} s")


@with_flag_groups
def llm(
    folder: FolderArgument,
    asking: LlmFlags,
    costs: CostFlags,
    config: ConfigFile = None,
    override: Overrides = None,
    measured: OrderMeasure = MEASURE,
    as_json: AsJson = False,
) -> None:
    """Let a language model grade the pool, from 0 to 3, and say how far its grades agree with those of people.

    The prompt is UMBRELA's (arXiv 2406.06519). Asking costs tokens: they are estimated first, and nothing is asked
    without a yes. Each grade is on disk at once, and a rerun asks nothing twice. The endpoint's key is a secret: set
    CONNECTOR_JUDGE_API_KEY, or name a file that holds it in CONNECTOR_JUDGE_API_KEY_FILE.

    Exit code: 0 each pair has a grade; 1 some have none, as the report says; 2 it could not start, or the endpoint
    refused; 3 the endpoint is away: run it again to go on.

    Examples:

        connector judge llm judging --url http://localhost:11434/v1 --model qwen3:8b

        connector judge llm judging --url https://api.openai.com/v1 --model gpt-4o --price-in 2.5 --price-out 10

        connector judge llm judging --model gpt-4o --max-cost 5 --price-in 2.5 --price-out 10 --yes
    """
    say_when_stopped("every grade so far is kept; the same command goes on, and asks nothing twice")
    from connector.evaluation.statistics.measures import check_measures
    from connector.judging.folder import JudgingFolder
    from connector.judging.model.answers import AnswerStore
    from connector.judging.model.bound import find_bound
    from connector.judging.model.grades import ModelGrades
    from connector.judging.model.grading import build_questions
    from connector.judging.model.job import read_endpoint
    from connector.judging.model.next_questions import NextQuestions

    settings = read_settings(config, override, judge__url=asking.url, judge__model=asking.model).judge
    url, model = read_endpoint(settings)
    parameters, budget = asking.parameters(), costs.budget()
    (measured,) = check_measures([measured])
    opened = JudgingFolder.open(folder)
    pairs = opened.pairs()
    queries = {query.query_id: query.text for query in opened.queries()}
    questions = build_questions(pairs, queries, model=model, parameters=parameters, max_passage_chars=asking.max_chars)
    with AnswerStore.alone(opened.path) as store:
        waiting = NextQuestions(opened, questions, at_most=costs.pairs)
        bound = find_bound(waiting, store, parameters, ask_again=asking.ask_again)
        _agree_on_cost(bound, budget, f"{model} at {url}", yes=costs.yes)
        with ModelGrades(opened, model, parameters) as grades:
            outcome = _ask(waiting, store, budget, grades, settings, asking, parameters)
    _report(opened, outcome, waiting, budget, len(pairs) - len(questions), measured, as_json=as_json)
    raise typer.Exit(0 if outcome.graded == min(costs.pairs or len(pairs), len(pairs)) else 1)


def _agree_on_cost(bound: AskingBound, budget: TokenBudget, who: str, *, yes: bool) -> None:
    """Say what will be asked, and ask whether to. Raises SettingsError where nobody can answer; ends the command at a
    no."""
    if not bound.asked:
        return
    text = (
        f"{bound.pairs} pairs: {bound.asked} to ask {who}, {bound.pairs - bound.asked} answered before; about "
        f"{bound.most.sent:,} tokens to the model, at most {bound.most.received:,} back"
    )
    if budget.prices.known:
        text += f": at most {budget.prices.cost(bound.most.sent, bound.most.received):,.2f} at these prices"
    for cap, capped in ((budget.max_cost, "cost"), (budget.max_requests, "requests")):
        text += "" if cap is None else f"; it stops before {capped} go beyond {cap:g}"
    say(f"{text}. An answer that is no grade is asked for once more.", style=None)
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError("there is nobody to ask whether to go on; add --yes where that cost is fine")
    if not typer.confirm("Ask the model?", err=True):
        raise typer.Exit(0)


def _ask(
    questions: NextQuestions,
    store: AnswerStore,
    budget: TokenBudget,
    grades: ModelGrades,
    settings: JudgeSettings,
    asking: LlmFlags,
    parameters: Mapping[str, Any],
) -> GradingOutcome:
    """With a bar on the terminal."""
    from connector.judging.model.job import grade_pool

    with counting("judging", questions.count) as show:
        job = grade_pool(
            questions,
            store,
            budget,
            grades,
            settings,
            parameters=parameters,
            at_once=asking.at_once,
            ask_again=asking.ask_again,
            on_done=lambda outcome: show(outcome.done),
            on_retry=RetryNotes(),
        )
        return event_loop.run(job)


def _report(
    folder: JudgingFolder,
    outcome: GradingOutcome,
    questions: NextQuestions,
    budget: TokenBudget,
    textless: int,
    measured: str,
    *,
    as_json: bool,
) -> None:
    from connector.cli.tables.agreement import print_trust
    from connector.cli.tables.judging import describe_job, print_job
    from connector.judging.trust.judges import compare_all, describe

    cut = sum(question.is_cut for question in questions.given)
    trust = compare_all(folder.grades().read(), folder.runs(), measured=measured)
    if as_json:
        job = describe_job(outcome, budget, textless=textless, cut=cut)
        print(json.dumps({"job": job, **describe(trust)}, ensure_ascii=False))
        return
    print_job(outcome, budget, textless=textless, cut=cut)
    print_trust(trust)
