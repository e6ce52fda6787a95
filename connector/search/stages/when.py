"""Whether a stage can pay: rules over what is known before it runs. Pure: a search and a tuning call the same."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from connector.settings.search import WhenSettings
from connector.types import Ranking

WORD = re.compile(r"\w+")


def why_left_out(
    when: WhenSettings | None,
    *,
    query: str,
    facts: Mapping[str, Any],
    legs: Mapping[str, Ranking],
    order: Ranking,
    window: int,
    k: int,
) -> str:
    """Why a stage with these rules does not run on an order; empty where it does.

    `order` has the scores of what placed it, `legs` what each leg found."""
    if when is None:
        return ""
    if when.gap_below is not None and (gap := gap_at_border(order[:window], k)) >= when.gap_below:
        seen = "there is nothing after it" if math.isinf(gap) else f"it is {gap:.2g}"
        return f"gap_below {when.gap_below:g}: the gap behind hit {k}: {seen}"
    if when.agree_below is not None and (both := agreement(legs, k)) >= when.agree_below:
        return f"agree_below {when.agree_below}: the legs agree on {both} of the first {k}"
    words = len(WORD.findall(query))
    if when.query_words_at_least is not None and words < when.query_words_at_least:
        return f"query_words_at_least {when.query_words_at_least}: the query has {words}"
    for name, wanted in when.facts.items():
        if facts.get(name) not in (wanted if isinstance(wanted, list | tuple) else [wanted]):
            return f"facts: {name} is {facts.get(name)!r}"
    return ""


def gap_at_border(window: Ranking, k: int) -> float:
    """The gap between the scores of hit k and of the next one, in standard deviations of the scores of the window.

    Without end where there is no next one, so that no stage could bring up another; 0 where all scores are equal."""
    if len(window) <= k:
        return math.inf
    scores = [hit.score for hit in window]
    mean = math.fsum(scores) / len(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
    return abs(scores[k - 1] - scores[k]) / deviation if deviation else 0.0


def agreement(legs: Mapping[str, Ranking], k: int) -> int:
    """How many documents are among the first k of every leg that found any; 0 where only one did."""
    firsts: Sequence[set[str]] = [{hit.doc_id for hit in ranking[:k]} for ranking in legs.values() if ranking]
    return len(set.intersection(*firsts)) if len(firsts) > 1 else 0
