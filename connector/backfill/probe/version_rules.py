"""Who counts the versions of the documents: see `connector/backfill/versions.py`."""

from __future__ import annotations

from collections.abc import Iterator

from connector.backfill.facts import Facts
from connector.backfill.probe.engine_rules import ANEW
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.verdict import Concern, Obstacle

BREAKS = "an update of ours would count the version up, and the engine would refuse the application's next write"


def external_versions(facts: Facts, intent: Intent) -> Iterator[Obstacle | Concern]:
    if intent.versions == "internal":
        return
    if intent.versions == "external":
        yield Obstacle("external-versions", f"the application gives the versions (--versions external): {BREAKS}", ANEW)
    elif why := facts.versions.why_external:
        remedy = f"{ANEW}; where they come from a copy (reindex with version_type external) and the engine counts now, "
        yield Obstacle(
            "external-versions",
            f"an application seems to give the versions of its documents (version_type=external), for {why}: {BREAKS}",
            f"{remedy}say --versions internal",
        )
    elif facts.is_open and facts.versions.shards:
        yield Concern("versions", _nothing_shown(facts))
    elif facts.is_open and "documents" in facts.unread:
        yield Concern("versions", f"the versions of its documents could not be looked at ({facts.unread['documents']})")


def _nothing_shown(facts: Facts) -> str:
    summed = all(shard.total is not None for shard in facts.versions.shards)
    looked = f"{facts.versions.seen} documents" + (" and the sum of all versions" if summed else "")
    return (
        f"its versions are as the engine counts them ({looked} looked at). Those of an application that gives its own "
        "and counts each write once would look the same: if yours sends version_type=external, say --versions external"
    )
