"""Bulk actions sent to an index that a job made itself, and to no other that has its name by now."""

from __future__ import annotations

from collections.abc import Sequence

from connector.backfill.pace.sending import PacedSender
from connector.backfill.pace.throttle import WritePace
from connector.backfill.write import UpdateOutcome
from connector.clusters.rest import RestCluster
from connector.clusters.writing.write_place import WritePlace
from connector.errors import ClusterError, IndexGone
from connector.settings.sections import IngestSettings


class OwnIndexSender:
    """Sends actions that name no index themselves. Raises IndexGone where the index was deleted or made anew."""

    def __init__(self, cluster: RestCluster, index: str, settings: IngestSettings, pace: WritePace) -> None:
        self._cluster, self._settings, self._pace = cluster, settings, pace
        self.place = WritePlace(cluster.client, index)
        self._sender: PacedSender | None = None

    async def begin(self) -> None:
        """Once the index is there, and before anything is sent. Again, it does nothing."""
        if self._sender is None:
            await self.place.begin()
            self._sender = self._sender_to(self.place)

    async def send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        """As PacedSender does."""
        if not actions:
            return []
        await self.begin()
        assert self._sender
        try:
            return await self._sender.send(actions)
        except IndexGone:
            raise
        except ClusterError as error:
            await self.place.begin_again(error)
        self._sender = self._sender_to(self.place)
        return await self._sender.send(actions)

    def _sender_to(self, place: WritePlace) -> PacedSender:
        return PacedSender(
            self._cluster, place.name, self._settings, self._pace, params=place.params, check=place.check
        )
