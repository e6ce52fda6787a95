"""Bulk actions sent to an index that a job made itself, and to no other that has its name by now.

Of a write to an index that is not there the engines make one, with a mapping of their own finding; a write that
requires an alias they refuse where its name is none. So a job goes by a hidden alias, which goes with its index, also
in the middle of a request. Where the credentials may not make one, the index is looked at before each request."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from connector.backfill.same_index import IndexGone, SameIndex
from connector.backfill.sending import PacedSender, check_nothing
from connector.backfill.throttle import WritePace
from connector.backfill.write import UpdateOutcome
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import AccessDenied, ClusterError
from connector.settings.sections import IngestSettings


def write_alias(index: str) -> str:
    """By which a job writes to an index of its own."""
    return f"{index}-writes"


class OwnIndexSender:
    """Sends actions that name no index themselves. Raises IndexGone where the index was deleted or made anew."""

    def __init__(self, cluster: RestCluster, index: str, settings: IngestSettings, pace: WritePace) -> None:
        self._cluster, self._index, self._settings, self._pace = cluster, index, settings, pace
        self._same = SameIndex(cluster, index)
        self._sender: PacedSender | None = None

    async def begin(self) -> None:
        """Once the index is there, and before anything is sent. Again, it does nothing."""
        if self._sender is None:
            await self._same.remember()
            await self._open()

    async def send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        """As PacedSender does."""
        if not actions:
            return []
        await self.begin()
        assert self._sender
        try:
            return await self._sender.send(actions)
        except ClusterError as error:
            if error.status != 404 or isinstance(error, IndexGone):
                raise
            await self.check()
        return await (await self._open()).send(actions)  # somebody took the alias away

    async def check(self) -> None:
        """Nothing, where it is the index still that was written to. Raises IndexGone."""
        try:
            await self._same.check()
        except IndexGone as gone:
            raise self._gone() from gone

    async def explain(self, error: BaseException) -> BaseException:
        """What ended a job: that the index is gone, where that is behind what the engine said; else the error."""
        return self._gone() if isinstance(await self._same.explain(error), IndexGone) else error

    def _gone(self) -> IndexGone:
        return IndexGone(
            f"index {self._index!r} was deleted or made anew while it was being filled; run this again", status=404
        )

    async def take_alias_out(self) -> None:
        """Once nothing more is sent: of an index that is an application's from then on."""
        path = index_path(self._index, f"_alias/{write_alias(self._index)}")
        with suppress(ClusterError):  # there may be none
            await self._cluster.client.request("DELETE", path, timeout_s=ADMIN_TIMEOUT_S)

    async def _open(self) -> PacedSender:
        alias = write_alias(self._index)
        action = {"add": {"index": self._index, "alias": alias, "is_hidden": True}}
        try:
            await self._cluster.client.request(
                "POST", "/_aliases", body={"actions": [action]}, timeout_s=ADMIN_TIMEOUT_S
            )
            self._sender = self._sender_to(alias)
        except AccessDenied:
            self._sender = self._sender_to(self._index)
        return self._sender

    def _sender_to(self, name: str) -> PacedSender:
        by_alias = name != self._index
        return PacedSender(
            self._cluster,
            name,
            self._settings,
            self._pace,
            params={"require_alias": "true"} if by_alias else {},
            check=check_nothing if by_alias else self.check,
        )
