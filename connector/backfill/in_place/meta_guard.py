"""What the mapping's `_meta` says of the vectors that a job fills: people change it while the job runs.

They switch to another encoder, take vectors out again, or replace the whole of `_meta`, as migrations of a mapping do.
In the last case the documents still carry the markers, and what was there is put back."""

from __future__ import annotations

from dataclasses import replace

from connector.backfill.fields import BackfillPlan, put_fields
from connector.backfill.same_index import SameIndex
from connector.backfilled import Backfilled, leaving_from_meta
from connector.clusters.dialect import JSON
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import SettingsError

OURS = "*.mappings._meta.connector_backfill*"  # of a mapping, whose fields may be thousands


class VectorsTakenOut(SettingsError):
    """Somebody takes, or took, the vectors out that a job fills, or has others put into their field."""


class MetaGuard:
    """Looks after what `_meta` says of the vectors of one plan, in their index."""

    def __init__(self, cluster: RestCluster, plan: BackfillPlan, same: SameIndex) -> None:
        self._cluster = cluster
        self._plan = plan
        self._same = same

    async def check(self) -> None:
        """Before each write: raises IndexGone, and VectorsTakenOut where they are on their way out."""
        await self._same.check()
        self._find(await self._read())

    async def restore(self) -> bool:
        """Put into `_meta` what somebody wrote over; whether that was necessary. Raises as `check` does."""
        await self._same.check()
        if self._find(await self._read()):
            return False
        if not await self._count_marked():
            raise VectorsTakenOut(f"{self._these} were taken out")
        await put_fields(self._cluster, self._plan)
        return True

    @property
    def _these(self) -> str:
        return f"the vectors in {self._plan.added.names.passages!r} of index {self._plan.index!r}"

    def _find(self, meta: JSON) -> bool:
        """Whether it speaks of them. Raises VectorsTakenOut."""
        added = self._plan.added
        if added.names.passages in leaving_from_meta(meta):
            raise VectorsTakenOut(
                f"{self._these} are being taken out (connector backfill --undo, or connector migrate --clean)"
            )
        used = Backfilled.from_meta(meta)
        found = {
            backfill.names: backfill for backfill in (*Backfilled.others_from_meta(meta), *([used] if used else []))
        }
        if added.names not in found:
            return False
        if found[added.names].generation != added.generation:
            raise VectorsTakenOut(f"{self._these} are to be of another encoder, other text fields or other passages")
        self._plan = replace(self._plan, is_other=used is None or used.names != added.names)
        return True

    async def _read(self) -> JSON:
        """Our part of the mapping's `_meta`."""
        path, params = index_path(self._plan.index, "_mapping"), {"filter_path": OURS}
        reply = await self._cluster.client.request("GET", path, params=params, timeout_s=ADMIN_TIMEOUT_S)
        meta: JSON = reply.get(self._plan.index, {}).get("mappings", {}).get("_meta", {})
        return meta

    async def _count_marked(self) -> int:
        """How many documents carry passages of this plan, or the marker of an empty text."""
        query = {"query": {"term": {self._plan.added.names.marker: self._plan.added.generation}}}
        path = index_path(self._plan.index, "_count")
        reply = await self._cluster.client.request("POST", path, body=query, timeout_s=self._cluster.timeout_s)
        return int(reply["count"])
