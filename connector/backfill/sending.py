"""Bulk actions sent to an index of ours until each is taken or refused for good."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from connector.backfill.throttle import WritePace
from connector.backfill.write import UpdateOutcome, write_actions
from connector.clusters.rest import RestCluster
from connector.errors import ClusterUnavailable
from connector.retries import Retry, pauses
from connector.settings.sections import IngestSettings


async def send_actions(
    cluster: RestCluster, index: str, actions: Sequence[bytes], settings: IngestSettings, pace: WritePace
) -> list[UpdateOutcome]:
    """The outcome of each action, in order, after as many tries as may help those that the cluster had no room for; as
    fast as the pace allows.

    Raises ClusterUnavailable where the index takes no writes, or the cluster stays away."""
    outcomes: dict[int, UpdateOutcome] = {}
    pending = list(range(len(actions)))
    for pause_s in pauses(settings.backoff_s, settings.max_attempts):
        if not pending:
            break
        retry = Retry((ClusterUnavailable,), settings.max_attempts, settings.backoff_s)
        sent = await _send_paced(cluster, index, [actions[at] for at in pending], pace, retry)
        outcomes |= dict(zip(pending, sent, strict=True))
        pending = [at for at in pending if outcomes[at].kind == "pressure"]
        if pending and pause_s is not None:
            await asyncio.sleep(pause_s)
    if blocked := next((each for each in outcomes.values() if each.kind == "blocked"), None):
        raise ClusterUnavailable(blocked.reason)
    return [outcomes[at] for at in range(len(actions))]


async def _send_paced(
    cluster: RestCluster, index: str, actions: Sequence[bytes], pace: WritePace, retry: Retry
) -> list[UpdateOutcome]:
    outcomes: list[UpdateOutcome] = []
    hear = partial(_hear, pace)
    while len(outcomes) < len(actions):
        await pace.wait()
        chunk = actions[len(outcomes) : len(outcomes) + pace.documents]
        outcomes += await retry.run(partial(write_actions, cluster, index, chunk, on_bulk=hear))
    return outcomes


def _hear(pace: WritePace, took_ms: int, documents: int, outcomes: Sequence[UpdateOutcome]) -> None:
    rejected = sum(outcome.kind == "pressure" for outcome in outcomes)
    pace.saw(took_ms if rejected < documents else None, documents, rejected)
