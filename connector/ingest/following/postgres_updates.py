"""A PostgreSQL table or query that goes on, by a column with the time of each row's last change.

A row can come to be seen after its time: `now()` is when its transaction began, and clocks differ. So each look asks
again for what changed up to `postgres.overlap_s` before the newest time that was seen, and more where a transaction is
open for long. Rows that were written already are told by what they hold. Deletions leave no time behind: they are found
by comparing ids, every `follow.rescan_s`."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from typing import Any

from connector.errors import SourceError
from connector.event_loop import in_own_thread
from connector.ingest.following.given_rows import GivenRows
from connector.ingest.following.postgres_database import FollowedDatabase, low_mark
from connector.ingest.following.source import FIRST_PAUSE_S, TRIES, FollowTarget, SourceLag, SourceStep, whole_steps
from connector.ingest.sources import Row, Source
from connector.ingest.sources.postgres import PostgresSource
from connector.ingest.survey import value_at_path
from connector.retries import pauses
from connector.settings.sections import Settings

log = logging.getLogger(__name__)
MOST_REMEMBERED = 200_000  # rows of the window; the others are compared with the index once more


class FollowedTable:
    """The rows of a table or query, and what becomes of them."""

    def __init__(self, location: str, settings: Settings, source: PostgresSource, *, delete_missing: bool) -> None:
        self.source: Source = source
        self._postgres = settings.postgres
        self._rescan_s = settings.follow.rescan_s
        self._delete_missing = delete_missing
        self._database = FollowedDatabase(location, settings.postgres)
        self._written = WrittenRows()
        self._since: Any = None
        self._behind_since: float | None = None
        self._column = str(settings.postgres.updated_at)
        if self._column not in source.relation.columns:
            raise SourceError(
                f"{source.relation.name} has no column {self._column!r} (postgres.updated_at); it has "
                f"{', '.join(source.relation.columns)}"
            )

    async def will_make(self) -> list[str]:
        return []

    async def begin(self) -> None:
        self._since = await in_own_thread(self._low_mark)

    async def steps(self, target: FollowTarget) -> AsyncGenerator[SourceStep, None]:
        async for whole in whole_steps(self.source):
            yield whole
        compared_at = time.monotonic()
        waits = pauses(FIRST_PAUSE_S, TRIES)
        while True:
            started = time.monotonic()
            try:
                async for step in self._look(target.id_column):
                    yield step
                if self._delete_missing and started - compared_at >= self._rescan_s:
                    with closing(await in_own_thread(self._database.all_ids, target.id_column)) as present:
                        yield SourceStep(present=present)
                    compared_at = started
                self._behind_since = None
                waits = pauses(FIRST_PAUSE_S, TRIES)
                pause_s = max(started + self._postgres.poll_s - time.monotonic(), 0.0)
            except SourceError as error:
                self._behind_since = self._behind_since or started
                pause_s = next(waits) or 0.0
                log.warning("%s; trying again in %.1f s", error, pause_s)
            await asyncio.sleep(pause_s)

    def lag(self) -> SourceLag:
        return SourceLag(0.0 if self._behind_since is None else time.monotonic() - self._behind_since)

    async def close(self) -> None:
        await in_own_thread(self._database.close)

    def _low_mark(self) -> Any:
        return low_mark(self._database, self._column, self._postgres.overlap_s)

    async def _look(self, id_column: str) -> AsyncGenerator[SourceStep, None]:
        """What changed since the last look; the next one looks from the mark that was set before this one."""
        mark = await in_own_thread(self._low_mark)
        seen: dict[str, tuple[Any, bytes]] = {}
        rows = self._changed(id_column, seen)
        first = await in_own_thread(next, rows, None)
        if first is not None:
            self._behind_since = self._behind_since or time.monotonic()
            step = SourceStep(GivenRows(_with_first(first, rows)))
            yield step
            if step.report and step.report.source_broke_off:
                raise SourceError("a reading of changed rows broke off")
        self._written.set(seen, mark)
        self._since = mark

    def _changed(self, id_column: str, seen: dict[str, tuple[Any, bytes]]) -> Iterator[Row]:
        """The rows in the window that were not written as they are; `seen` gets all of them."""
        for row in self._database.changed_since(self._column, self._since):
            key, digest = str(row.values.get(id_column, value_at_path(row, id_column))), _digest(row)
            if len(seen) < MOST_REMEMBERED:
                seen[key] = (row.values.get(self._column), digest)
            if self._written.get(key) != digest:
                yield row


class WrittenRows:
    """What rows in the window held when they were written, by their ids."""

    def __init__(self) -> None:
        self._digests: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self._digests.get(key)

    def set(self, seen: dict[str, tuple[Any, bytes]], mark: Any) -> None:
        """Those of the last look that the next one will see again."""
        self._digests = {
            key: digest for key, (changed_at, digest) in seen.items() if mark is None or _not_before(changed_at, mark)
        }


def _not_before(changed_at: Any, mark: Any) -> bool:
    try:
        return bool(changed_at >= mark)
    except TypeError:  # a date, or a time without a zone: kept longer than need be
        return True


def _digest(row: Row) -> bytes:
    return hashlib.blake2b(repr((row.values, row.faults)).encode("utf-8", "replace"), digest_size=16).digest()


def _with_first(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows
