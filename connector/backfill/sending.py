"""Bulk actions sent to an index of ours until each is taken or refused for good."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from connector.backfill.write import UpdateOutcome, write_actions
from connector.clusters.rest import RestCluster
from connector.errors import ClusterUnavailable
from connector.retries import Retry, pauses
from connector.settings.sections import IngestSettings


async def send_actions(
    cluster: RestCluster, index: str, actions: Sequence[bytes], settings: IngestSettings
) -> list[UpdateOutcome]:
    """The outcome of each action, in order, after as many tries as may help those that the cluster had no room for.

    Raises ClusterUnavailable where the index takes no writes, or the cluster stays away."""
    outcomes: dict[int, UpdateOutcome] = {}
    pending = list(range(len(actions)))
    for pause_s in pauses(settings.backoff_s, settings.max_attempts):
        if not pending:
            break
        send = partial(write_actions, cluster, index, [actions[at] for at in pending])
        sent = await Retry((ClusterUnavailable,), settings.max_attempts, settings.backoff_s).run(send)
        outcomes |= dict(zip(pending, sent, strict=True))
        pending = [at for at in pending if outcomes[at].kind == "pressure"]
        if pending and pause_s is not None:
            await asyncio.sleep(pause_s)
    if blocked := next((each for each in outcomes.values() if each.kind == "blocked"), None):
        raise ClusterUnavailable(blocked.reason)
    return [outcomes[at] for at in range(len(actions))]
