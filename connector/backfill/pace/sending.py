"""Bulk actions sent to one index at the cluster's pace, each until it is taken or refused for good.

An engine that is full answers, and what it puts off may be taken in a moment. So that is sent again for as long as some
of it is taken, and given up only once nothing was for `ingest.busy_s`. A cluster that is away has as many tries as
`ingest.max_attempts` allows. Nothing waits for a block to go: the disk has to be freed first."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from connector.backfill.pace.patience import tell_retry
from connector.backfill.pace.throttle import WritePace
from connector.backfill.write import UpdateOutcome, write_actions
from connector.clusters.rest import RestCluster
from connector.clusters.writing.no_room import NoRoom
from connector.errors import ClusterUnavailable
from connector.retries import Retry
from connector.settings.sections import IngestSettings


async def check_nothing() -> None:
    """The index is ours alone, and stays what it is."""


def count_nothing(count: int) -> None:
    """Nobody counts what is sent again."""


class PacedSender:
    """Sends the actions of bulk requests to one index, of several writers at once, with these `params`. `check` comes
    before each request; `on_retry` hears how many actions are sent again."""

    def __init__(
        self,
        cluster: RestCluster,
        index: str,
        settings: IngestSettings,
        pace: WritePace,
        *,
        params: Mapping[str, str] | None = None,
        check: Callable[[], Awaitable[None]] = check_nothing,
        on_retry: Callable[[int], None] = count_nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._index = index
        self._pace = pace
        self._params = params
        self._check = check
        self._on_retry = on_retry
        self._clock = clock
        self._busy_s = settings.busy_s
        self._busy_since: float | None = None  # nothing was taken since then
        tell = partial(tell_retry, on_retry)
        self._retry = Retry((ClusterUnavailable,), settings.max_attempts, settings.backoff_s, on_retry=tell)

    async def send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        """What became of each action, in order. Once one is `blocked`, no more are sent, and the rest counts as blocked
        too; so does what was put off for too long.

        Raises ClusterUnavailable where the cluster was away for too long, and what `check` raises."""
        outcomes: dict[int, UpdateOutcome] = {}
        left = list(range(len(actions)))
        blocked: UpdateOutcome | None = None
        while left and not blocked:
            await self._pace.wait()
            await self._check()
            count = self._pace.documents
            chunk, left = left[:count], left[count:]
            found = await self._send([actions[at] for at in chunk])
            outcomes |= dict(zip(chunk, found, strict=True))
            blocked = next((outcome for outcome in found if outcome.kind == "blocked"), None)
            put_off = [at for at in chunk if outcomes[at].kind == "pressure"]
            if put_off and not blocked:
                left += put_off  # last: others may find room meanwhile, in another shard or on another node
                self._on_retry(len(put_off))
            blocked = blocked or self._given_up(found)
        if blocked:
            outcomes |= dict.fromkeys(left, blocked)
        return [outcomes[at] for at in range(len(actions))]

    async def _send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        send = partial(write_actions, self._cluster, self._index, actions, params=self._params, on_bulk=self._tell_pace)
        return await self._retry.run(send)

    def _given_up(self, found: Sequence[UpdateOutcome]) -> UpdateOutcome | None:
        """What is put off is so for good, once nothing was taken for too long."""
        put_off = [outcome for outcome in found if outcome.kind == "pressure"]
        if len(put_off) < len(found):
            self._busy_since = None
            return None
        now_s = self._clock()
        if self._busy_since is None:
            self._busy_since = now_s
        busy_s = now_s - self._busy_since
        if busy_s < self._busy_s:
            return None
        return UpdateOutcome(
            "blocked",
            f"the cluster has taken no update for {busy_s:.0f} s (ingest.busy_s): {put_off[0].reason}; run this again "
            "when it has less to do",
        )

    def _tell_pace(self, took_ms: int, documents: int, outcomes: Sequence[UpdateOutcome]) -> None:
        put_off = [outcome for outcome in outcomes if outcome.kind == "pressure"]
        no_room: NoRoom = "queue" if all(outcome.no_room == "queue" for outcome in put_off) else "memory"
        self._pace.saw(took_ms if len(put_off) < documents else None, documents, len(put_off), no_room)


def blocked_reason(outcomes: Sequence[UpdateOutcome]) -> str | None:
    """Why the index takes no writes, where it takes none."""
    return next((outcome.reason for outcome in outcomes if outcome.kind == "blocked"), None)
