"""What each process of a job opens for itself: the index, kept for the next task of the same job in this process."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from connector.clusters.by_encoder import check_encoder
from connector.clusters.protocol import Index
from connector.errors import AccessDenied, ConnectorError, IndexGone, IndexMissing
from connector.event_loop import open_runner
from connector.ingest.ray.board import Board
from connector.ingest.writing import PatientIndex
from connector.schema import EncoderFingerprint, IndexSchema
from connector.settings.sections import Settings
from connector.wiring import open_cluster

T = TypeVar("T")
_OPEN: dict[str, tuple[asyncio.Runner, Index]] = {}  # of this process, by job


@dataclass(frozen=True)
class JobPart:
    """What the processes of a job have in common."""

    settings: Settings
    schema: IndexSchema
    board: Board
    job_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def run(self, work: Callable[[PatientIndex], Coroutine[Any, Any, T]], on_retry: Callable[[int], None]) -> T:
        """The outcome of work with the index, in this process's own event loop."""
        runner, index = self._opened()
        return runner.run(work(PatientIndex(index, self.settings.ingest, on_retry)))

    def check_encoder(self, encoder: EncoderFingerprint) -> None:
        """Refuse an encoder that is not the index's. Raises EncoderMismatch."""
        check_encoder(self._opened()[1], encoder)

    def stop(self, error: ConnectorError) -> None:
        """Tell the job that it is to stop, and why."""
        self.board.stop(str(error), denied=isinstance(error, AccessDenied))

    def _opened(self) -> tuple[asyncio.Runner, Index]:
        if self.job_id not in _OPEN:
            runner = open_runner()
            _OPEN[self.job_id] = runner, runner.run(self._open())
        return _OPEN[self.job_id]

    async def _open(self) -> Index:
        """The index that the job began with. Raises IndexGone."""
        cluster, name = await open_cluster(self.settings), self.settings.index.name
        try:
            index = await cluster.open_index(name)
        except IndexMissing as error:
            raise IndexGone.while_filled(name) from error
        if index.schema != self.schema:
            raise IndexGone.while_filled(name)
        return index
