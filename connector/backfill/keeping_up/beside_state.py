"""Up to where the vectors beside an index are right, kept between two runs of whoever follows it.

The file is that of `connector follow`: see keeping_up/state.py. What the shards say of themselves (another history
after a restore, operations lost in a failover) takes the privilege to read statistics, which reading an index does not.
Without it nothing is kept, and each run begins by looking at everything."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import replace

import orjson

from connector.backfill.beside.filling import BesideJob
from connector.backfill.keeping_up.checkpoints import IndexCheckpoints, read_checkpoints
from connector.backfill.keeping_up.state import FollowState, StateFile, begin_anew
from connector.backfill.scan import NONE_YET, count_shards
from connector.clusters.beside.index import BesideIndex
from connector.clusters.rest import RestCluster
from connector.errors import AccessDenied

log = logging.getLogger(__name__)


class BesideState:
    """What a follower knows of the index, and of what an earlier one did."""

    def __init__(self, cluster: RestCluster, index: BesideIndex, file: StateFile) -> None:
        self._cluster, self._index, self._file = cluster, index, file
        self._state: FollowState | None = None
        self._generation = ""
        self._swept_at: float | None = None
        self._may_read = True  # what the shards say

    async def look(self, job: BesideJob) -> None:
        """Before a pass: the job goes on from what is known, or looks at everything where that is void."""
        now = await self._read_shards() if self._may_read else None
        if now is None:
            return
        self._generation = self._generation or await self._read_generation()
        known = self._state or self._file.read()
        why = known.why_void(self._generation, now) if known else None
        if known and why:
            log.warning("%s: every document is looked at anew", why)
        if known is None or why:
            known = begin_anew(self._index.name, self._generation, now)
        if known != self._state:
            self._swept_at = known.swept_at
            job.go_on_from(dict(enumerate(known.upto)))
        self._state = known

    def is_sweep_due(self, every_s: float) -> bool:
        """Whether all is to be compared: nobody has, or so long ago, or the clock was set back behind it."""
        return self._swept_at is None or not 0 <= time.time() - self._swept_at < every_s

    def passed(self, job: BesideJob, *, swept_at: float | None) -> None:
        """After a pass: keep up to where it came, and whether it compared all, at which time. What the engine refused
        is looked for by the next run, which compares all then. Raises DiskError."""
        self._swept_at = swept_at or self._swept_at
        if self._state is None:
            return
        upto = tuple(job.upto.get(number, NONE_YET) for number in range(len(self._state.upto)))
        moved = replace(self._state, upto=upto, swept_at=None if job.has_failed else self._swept_at)
        if moved != self._state:
            self._file.keep(moved)
        self._state = moved

    async def _read_shards(self) -> IndexCheckpoints | None:
        index = self._index.name
        try:
            shards = len(self._state.upto) if self._state else await count_shards(self._cluster, index)
            return await read_checkpoints(self._cluster, index, shards)
        except AccessDenied as error:
            log.warning("%s: nothing is kept for the next run, which begins by comparing all (%s)", index, error)
            self._may_read = False
            return None

    async def _read_generation(self) -> str:
        """Of what is kept: which index of ours it is, and of which encoder, fields and passages."""
        vectors = self._index.vectors
        origin = replace(self._index.origin, uuid="")
        identity = [await self._cluster.read_uuid(vectors.name), origin.to_meta(vectors.schema)]
        return hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
