"""What came of a model's grading, on the terminal and as JSON."""

from __future__ import annotations

from typing import Any

from connector.cli.console import results, say
from connector.judging.model.cost import TokenBudget
from connector.judging.model.grading import GradingOutcome

WHAT_WAS_SAID = "; answers.jsonl has what the model said, and --ask-again asks anew"


def describe_job(outcome: GradingOutcome, budget: TokenBudget, *, textless: int, cut: int) -> dict[str, Any]:
    """As JSON."""
    return {
        "graded": outcome.graded,
        "answered_before": outcome.remembered,
        "asked_again": outcome.asked_again,
        "without_grade": dict(outcome.faults),
        "queries_missing": textless,
        "passages_cut": cut,
        "capped": outcome.is_capped,
        "requests": budget.requests,
        "tokens_in": budget.spent.sent,
        "tokens_out": budget.spent.received,
        "cost": budget.cost if budget.prices.known else None,
    }


def print_job(outcome: GradingOutcome, budget: TokenBudget, *, textless: int, cut: int) -> None:
    """What was graded, what it took, and what has no grade."""
    spent = budget.spent
    text = (
        f"{outcome.graded} pairs graded, {outcome.remembered} of all by answers of before; {budget.requests} requests, "
        f"{spent.sent:,} tokens to the model, {spent.received:,} back"
    )
    if budget.prices.known:
        text += f", {budget.cost:,.2f} at these prices"
    results().print(text, highlight=False, soft_wrap=True)
    left = [f"{count} {fault}" for fault, count in outcome.faults.most_common()]
    notes = (
        (f"left without a grade: {', '.join(left)}{WHAT_WAS_SAID}" if left else ""),
        (f"the endpoint's last reason: {outcome.refusal}" if outcome.refusal else ""),
        (f"{outcome.asked_again} answers were no grade and were asked for again" if outcome.asked_again else ""),
        (f"{cut} passages were too long and were cut (--max-passage-chars)" if cut else ""),
        (f"{textless} pairs are of queries that are not in queries.jsonl, and were not asked" if textless else ""),
        ("a cap was reached before the end; the same command goes on with a higher one" if outcome.is_capped else ""),
    )
    for note in filter(None, notes):
        say(note)
