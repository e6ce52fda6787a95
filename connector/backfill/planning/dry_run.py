"""What a back-fill of an index would do: whether it can be filled in place, what would be put into its mapping, and
what that takes. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from connector.backfill.facts import Facts
from connector.backfill.fields import BackfillPlan, build_properties
from connector.backfill.planning.estimate import Estimate, estimate
from connector.backfill.planning.sampling import measure_sample, read_sample_of
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.judge import judge
from connector.backfill.probe.verdict import ProbeVerdict
from connector.clusters.indices.vector_choices import choose, read_choices
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.errors import AccessDenied
from connector.event_loop import in_own_thread
from connector.models.encoder import Encoder
from connector.settings.sections import IngestSettings

JSON = dict[str, Any]
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class BackfillRehearsal:
    """The verdict, the mapping body that would be put, and the estimate."""

    verdict: ProbeVerdict
    mapping: JSON
    estimate: Estimate

    def describe(self) -> JSON:
        return {
            "index": self.verdict.index,
            "in_place": self.verdict.in_place,
            "obstacles": [{"rule": obstacle.rule, "text": str(obstacle)} for obstacle in self.verdict.obstacles],
            "concerns": [{"rule": concern.rule, "text": str(concern)} for concern in self.verdict.concerns],
            "ways": list(self.verdict.ways),
            "mapping": self.mapping,
            "estimate": self.estimate.describe(),
        }


async def rehearse_backfill(
    cluster: RestCluster, plan: BackfillPlan, facts: Facts, intent: Intent, encoder: Encoder, settings: IngestSettings
) -> BackfillRehearsal:
    """Read a sample, encode it with the real encoder, and reckon from it."""
    documents = await read_sample_of(cluster, plan)
    sample = await in_own_thread(measure_sample, plan, documents, encoder)
    dims = encoder.fingerprint.dims
    chosen = choose(cluster.engine, plan.vectors, dims)
    choices = [choice for choice in read_choices(cluster.engine.kind).values() if choice.known_to(cluster.engine)]
    found = estimate(
        facts,
        sample,
        dims=dims,
        m=plan.vectors.m,
        chosen=chosen,
        choices=choices,
        writers=settings.writers,
        index_bytes=await read_index_bytes(cluster, plan.index),
    )
    verdict = judge(facts, replace(intent, most_passages=sample.most_passages, most_nested=sample.most_nested))
    theirs = facts.mapping.get("_meta", {})
    mapping = {"_meta": plan.added.to_meta(theirs), "properties": build_properties(cluster.engine, plan)}
    return BackfillRehearsal(verdict, mapping, found)


async def read_index_bytes(cluster: RestCluster, index: str) -> int:
    """What the primaries of an index take on disk; 0 where these credentials may not ask."""
    params = {"filter_path": "_all.primaries.store.size_in_bytes"}
    try:
        reply = await cluster.client.request(
            "GET", index_path(index, "_stats/store"), params=params, timeout_s=TIMEOUT_S
        )
    except AccessDenied:
        return 0
    return int(reply["_all"]["primaries"]["store"]["size_in_bytes"])
