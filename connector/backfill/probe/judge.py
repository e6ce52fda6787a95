"""All rules on the facts of one index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from connector.backfill.facts import Facts
from connector.backfill.probe import (
    block_rules,
    engine_rules,
    kind_rules,
    mapping_rules,
    privilege_rules,
    source_rules,
    version_rules,
)
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.verdict import Concern, Obstacle, ProbeVerdict, sum_up

Rule = Callable[[Facts, Intent], Iterator[Obstacle | Concern]]
RULES: tuple[Rule, ...] = (
    kind_rules.closed,
    privilege_rules.unreadable,
    privilege_rules.denied,
    block_rules.full_disk,
    block_rules.blocks,
    version_rules.external_versions,
    source_rules.no_source,
    source_rules.our_fields_left_out,
    source_rules.their_fields_left_out,
    kind_rules.time_series,
    kind_rules.append_only,
    kind_rules.pulled,
    kind_rules.snapshot,
    kind_rules.frozen,
    kind_rules.follower,
    engine_rules.no_knn,
    engine_rules.derived_source,
    engine_rules.sorted_index,
    engine_rules.no_sequence_numbers,
    mapping_rules.no_objects,
    mapping_rules.names_taken,
    mapping_rules.limits,
    mapping_rules.many_passages,
    mapping_rules.restored_vectors,
    engine_rules.left_out_vectors,
    source_rules.synthetic_source,
    source_rules.inferred,
    kind_rules.data_stream,
    kind_rules.life_cycle,
    kind_rules.alias,
)
NOTHING_PARTICULAR = Intent()


def judge(facts: Facts, intent: Intent = NOTHING_PARTICULAR) -> ProbeVerdict:
    """Whether the index can be filled in place; else why not, and what works."""
    return sum_up(facts.index, [reason for rule in RULES for reason in rule(facts, intent)])
