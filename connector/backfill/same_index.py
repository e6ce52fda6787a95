"""Whether the name of an index still stands for the index that a job began with.

An application may delete its index and build it anew while a job runs, or swap an alias in under its name. An update
of ours would then go to another index, whose documents may well have the same ids, sequence numbers and terms; and of
an update to an index that is not there the engines make an empty one. So the index is looked at before each request
that writes. What happens in the milliseconds between is left: credentials that may not create indices close that gap
for the deleted one (the role in examples/security may not)."""

from __future__ import annotations

from connector.clusters.rest import RestCluster
from connector.clusters.writing.write_place import explain_gone
from connector.errors import ClusterError, IndexGone


class SameIndex:
    """One index, known by its uuid from the first look on."""

    def __init__(self, cluster: RestCluster, index: str) -> None:
        self._cluster = cluster
        self._index = index
        self._uuid = ""  # where these credentials may not see it, nothing is compared

    async def remember(self) -> None:
        self._uuid = await self._cluster.read_uuid(self._index)

    async def explain(self, error: BaseException) -> BaseException:
        """What ended a job: that the index is gone, where that is behind an error of the engine; else the error."""
        return await explain_gone(error, self.check)

    async def check(self) -> None:
        """Raises IndexGone."""
        try:
            now = await self._cluster.read_uuid(self._index)
        except ClusterError as error:
            if error.status != 404:
                raise
            raise IndexGone(
                f"index {self._index!r} was deleted while it was being filled; nothing is left to do here. Where its "
                "name is taken by an empty index now, the engine made that of a write to none",
                status=404,
            ) from error
        if self._uuid and now != self._uuid:
            raise IndexGone(
                f"another index has the name {self._index!r} now: the one that was being filled was deleted, or its "
                "name was given to an alias; nothing was written to the new one. Run backfill again for that"
            )
