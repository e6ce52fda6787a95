"""What these credentials may not do, what follows from it, and what works without."""

from __future__ import annotations

from collections.abc import Iterator

from connector.backfill.facts import Facts
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.mapping_rules import is_ours
from connector.backfill.probe.verdict import BOTH_WAYS, Concern, Obstacle
from connector.clusters.failures import ROLES

READING = {
    "elasticsearch": "view_index_metadata",
    "opensearch": "indices:admin/mappings/get, indices:monitor/settings/get and indices:admin/resolve/index",
}
# what cannot be done -> what it is not needed for, or what is done without
WITHOUT = {
    "refresh": "writes are read again once the index refreshes by itself",
    "stats": "the latency of its searches is not watched (--max-search-ms)",
    "nodes": "queues, memory and processors are not watched; the pace follows the job's own requests alone",
}


def unreadable(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """Without mapping and settings nothing else can be judged."""
    for part in ("mapping", "settings"):
        if (why := facts.unread.get(part)) and not facts.metadata_blocked:
            yield Obstacle(
                "unreadable", f"its {part} cannot be read ({why})", _grant(READING[facts.engine.kind]), ways=()
            )


def denied(facts: Facts, intent: Intent) -> Iterator[Obstacle | Concern]:
    for access, privilege in facts.denied.items():
        if access == "read":
            yield Obstacle(
                "denied-read", f"these credentials may not search it ({privilege})", _grant(privilege), ways=()
            )
        elif access == "write":
            reason = f"these credentials may not write to it ({privilege})"
            yield Obstacle("denied-write", reason, _grant(privilege), BOTH_WAYS)
        elif access == "mapping" and not is_ours(facts, intent):
            reason = f"these credentials may not change its mapping ({privilege})"
            remedy = f"{_grant(privilege)}; or have somebody put the mapping that --dry-run prints, which needs it once"
            yield Obstacle("denied-mapping", reason, remedy)
        elif access in WITHOUT:
            yield Concern(f"denied-{access}", f"without the privilege {privilege} {WITHOUT[access]}")


def _grant(privilege: str) -> str:
    return f"grant {privilege}; {ROLES}"
