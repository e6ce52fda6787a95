"""All rules on the facts of one index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from connector.backfill.facts import Facts
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.verdict import Concern, Obstacle, ProbeVerdict, sum_up

Rule = Callable[[Facts, Intent], Iterator[Obstacle | Concern]]
RULES: tuple[Rule, ...] = ()


def judge(facts: Facts, intent: Intent = Intent()) -> ProbeVerdict:
    """Whether the index can be filled in place; else why not, and what works."""
    return sum_up(facts.index, [said for rule in RULES for said in rule(facts, intent)])
