"""Kinds of indices whose documents are not updated, or that are not what their name stands for."""

from __future__ import annotations

from collections.abc import Iterator

from connector.backfill.facts import Facts
from connector.backfill.probe.engine_rules import ANEW
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.verdict import Concern, Obstacle

SNAPSHOTS = ("snapshot", "remote_snapshot")


def closed(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    if not facts.is_open:
        yield Obstacle("closed", "it is closed", f"open it: POST {facts.index}/_open", ways=())


def time_series(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """Elasticsearch maps our fields there, and then refuses each update."""
    if facts.setting("mode") == "time_series":
        reason = "it is a time series index (index.mode), whose documents Elasticsearch does not update"
        yield Obstacle("time-series", reason, ANEW)


def append_only(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    if facts.is_set("append_only.enabled"):
        reason = "it is append-only (index.append_only.enabled), and OpenSearch updates none of its documents"
        yield Obstacle("append-only", reason, ANEW)


def pulled(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """OpenSearch 3 can read a stream by itself; such an index takes its writes from there."""
    source = facts.setting("ingestion_source.type", "none")
    if source not in ("none", ""):
        reason = f"OpenSearch fills it from {source} by itself (index.ingestion_source.type)"
        yield Obstacle("pulled", reason, ANEW)


def snapshot(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    if facts.setting("store.type") in SNAPSHOTS:
        reason = (
            f"it is a searchable snapshot (index.store.type: {facts.setting('store.type')}), which nobody writes to"
        )
        yield Obstacle("snapshot", reason, ANEW)


def frozen(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    if facts.is_set("frozen"):
        yield Obstacle("frozen", "it is frozen", f"unfreeze it, or {ANEW}")


def follower(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """A copy of an index of another cluster: only that is written to."""
    leader = facts.setting("plugins.replication.follower.leader_index")
    if facts.is_set("xpack.ccr.following_index") or leader:
        reason = "it follows an index of another cluster, and takes no writes but those of its leader"
        yield Obstacle("follower", reason, f"fill the leader, whose passages then come over; or {ANEW}")


def data_stream(facts: Facts, intent: Intent) -> Iterator[Concern]:
    if facts.data_stream:
        yield Concern(
            "data-stream",
            f"it is behind the data stream {facts.data_stream!r}: each rollover begins an index without our fields, "
            "whose documents only the lexical leg finds until it is back-filled by its own name too; put the fields "
            "into the stream's index template",
        )


def life_cycle(facts: Facts, intent: Intent) -> Iterator[Concern]:
    """A policy that rolls the index over, shrinks it, or makes a snapshot of it."""
    policies = (
        "lifecycle.name",
        "plugins.index_state_management.policy_id",
        "opendistro.index_state_management.policy_id",
    )
    policy = next((facts.setting(name) for name in policies if facts.setting(name)), "")
    rolled = next((name for name in facts.settings if name.endswith("rollover_alias") and facts.settings[name]), "")
    if policy or rolled:
        mechanism = f"the life-cycle policy {policy!r}" if policy else f"a rollover ({rolled})"
        yield Concern(
            "life-cycle",
            f"{mechanism} is set for it: a rollover begins an index without our fields (put them into the index "
            "template), and a phase that makes it read-only, shrinks it or mounts a snapshot of it ends a back-fill "
            "halfway",
        )


def alias(facts: Facts, intent: Intent) -> Iterator[Concern]:
    """It is written to by its own name: through an alias with another write index older documents are missing."""
    if facts.aliases:
        yield Concern(
            "alias",
            f"it is behind the alias {', '.join(facts.aliases)}; what is added goes into {facts.index} alone, and "
            "stays there when the alias moves on",
        )
