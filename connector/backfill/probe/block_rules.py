"""Blocks that somebody, or a full disk, has put on an index."""

from __future__ import annotations

from collections.abc import Iterator

from connector.backfill.facts import Facts
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.verdict import Obstacle, OtherWay

# what each bars, and the ways that still work
BLOCKS: dict[str, tuple[str, tuple[OtherWay, ...]]] = {
    "write": ("writes are blocked", ("into", "beside")),
    "read_only": ("it is read-only", ("beside",)),
    "metadata": ("its metadata is blocked, so its mapping can be neither read nor changed", ()),
    "read": ("reads are blocked", ()),
    "search_only": ("it only answers searches (index.blocks.search_only)", ("beside",)),
}
FLOOD = "read_only_allow_delete"


def blocks(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    for name, (reason, ways) in BLOCKS.items():
        if facts.is_set(f"blocks.{name}") or (name == "metadata" and facts.metadata_blocked):
            yield Obstacle(f"block-{name}", reason, _lift(facts.index, f"index.blocks.{name}"), ways)


def full_disk(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """The engines answer 429 to each write, as under load; but it does not go by itself."""
    if facts.is_set(f"blocks.{FLOOD}"):
        remedy = "free space, upon which the engine lifts the block by itself; where somebody else set it, " + _lift(
            facts.index, f"index.blocks.{FLOOD}"
        )
        yield Obstacle("full-disk", "the disk is nearly full (flood stage), so it takes no writes", remedy, ways=())


def _lift(index: str, name: str) -> str:
    return f'lift the block: PUT {index}/_settings {{"{name}": false}}'
