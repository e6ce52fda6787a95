"""A PostgreSQL table that goes on, by logical replication.

The stream of a slot says which rows were touched; what they hold now is asked of the table. A row that is no longer
there is removed. The slot is told how far all is written only once it is: so a kill loses nothing, and what comes twice
makes no difference."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import closing
from typing import Any

import psycopg

from connector.errors import SourceError
from connector.event_loop import in_own_thread
from connector.ingest.following.given_rows import GivenRows
from connector.ingest.following.pgoutput import PgOutput, is_visible
from connector.ingest.following.postgres_database import FollowedDatabase
from connector.ingest.following.postgres_slot import (
    SlotNames,
    SlotState,
    check_identity,
    look_at_slot,
    make_slot,
    remember,
)
from connector.ingest.following.postgres_stream import SlotStream, TouchedRows, explain
from connector.ingest.following.source import FIRST_PAUSE_S, TRIES, FollowTarget, SourceLag, SourceStep, whole_steps
from connector.ingest.sources import Source
from connector.ingest.sources.postgres import PostgresSource
from connector.ingest.sources.postgres_relation import Relation, connect_to
from connector.retries import pauses
from connector.settings.sections import Settings

log = logging.getLogger(__name__)
LOOK_S = 0.05  # between two looks at what the stream has brought
GONE = (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState)  # no patience brings the slot back


class FollowedReplica:
    """The rows of a table, and what becomes of them."""

    def __init__(self, location: str, settings: Settings, source: PostgresSource, *, delete_missing: bool) -> None:
        self.source: Source = source
        self._location = location
        self._settings = settings
        self._delete_missing = delete_missing
        self._relation: Relation = source.relation
        self._id_column = settings.fields.id or source.id_field
        slot = str(settings.postgres.slot)
        self._names = SlotNames(slot, settings.postgres.publication or slot)
        self._database = FollowedDatabase(location, settings.postgres)
        self._state: SlotState | None = None
        self._stream: SlotStream | None = None
        if self._relation.oid is None:
            raise SourceError("a query is not replicated; name a table (--table), or --updated-at COLUMN")

    async def will_make(self) -> list[str]:
        state = await in_own_thread(self._look)
        self._state = state
        made: list[str] = (
            [] if state.has_publication else [f"publication {self._names.publication} for {self._relation.name}"]
        )
        if not state.has_slot:
            made.append(
                f"replication slot {self._names.slot}, for which the server keeps all changes that were not followed "
                "yet; drop it with --drop-slot when it is no longer followed"
            )
        return made

    async def begin(self) -> None:
        state = await in_own_thread(self._look) if self._state is None else self._state
        self._state = state
        await in_own_thread(self._make, state)
        if state.has_slot:
            log.info("slot %s is %s bytes behind", self._names.slot, f"{state.behind_bytes:,}")

    async def steps(self, target: FollowTarget) -> AsyncGenerator[SourceStep, None]:
        await in_own_thread(self._check, target.id_column)
        has_all = self._state is not None and self._state.has_all_of(target)
        if not has_all:
            async for whole in whole_steps(self.source):
                yield whole
        waits = pauses(FIRST_PAUSE_S, TRIES)
        while True:
            try:
                if not has_all:
                    await in_own_thread(self._remember, target)
                    has_all = True
                self._stream = await in_own_thread(self._open_stream, target.id_column)
                async for step in self._follow(target.id_column):
                    yield step
                    waits = pauses(FIRST_PAUSE_S, TRIES)
            except GONE as error:
                raise SourceError(
                    f"slot {self._names.slot} cannot be followed any more: {explain(error)}; run it again with "
                    "--drop-slot, then to follow anew"
                ) from error
            except (SourceError, psycopg.Error) as error:
                pause_s = next(waits) or 0.0
                log.warning("%s; trying again in %.1f s", explain(error), pause_s)
                await in_own_thread(self._close_stream)
                await asyncio.sleep(pause_s)

    def lag(self) -> SourceLag:
        if self._stream is None:
            return SourceLag(0.0, self._state.behind_bytes if self._state else 0, "bytes of WAL")
        oldest_s = self._stream.oldest_s()
        behind = max(self._stream.server_end - self._stream.acknowledged, 0)
        return SourceLag(max(time.time() - oldest_s, 0.0) if oldest_s else 0.0, behind, "bytes of WAL")

    async def close(self) -> None:
        await in_own_thread(self._close_stream)
        await in_own_thread(self._database.close)

    async def _follow(self, id_column: str) -> AsyncGenerator[SourceStep, None]:
        stream = self._stream
        assert stream
        while True:
            touched = stream.take()
            if touched is None:
                await asyncio.sleep(LOOK_S)
                continue
            async for step in self._steps_of(touched, id_column):
                yield step
            stream.acknowledge()

    async def _steps_of(self, touched: TouchedRows, id_column: str) -> AsyncGenerator[SourceStep, None]:
        await in_own_thread(self._wait_until_visible, touched.xids)
        if touched.emptied and not self._delete_missing:
            yield SourceStep(note=f"{self._relation.name} was truncated; its documents stay (--delete-missing)")
        elif touched.emptied:
            with closing(await in_own_thread(self._database.all_ids, id_column)) as present:
                yield SourceStep(present=present)
        if touched.lost_keys:
            yield SourceStep(note=f"the stream did not say of all rows of {self._relation.name} which they were")
        if touched.keys:
            rows, removed = await in_own_thread(self._database.rows_by_key, id_column, list(touched.keys))
            yield SourceStep(GivenRows(rows) if rows else None, removed)

    def _look(self) -> SlotState:
        with self._database.asked("look at the slot") as (connection, relation):
            if self._id_column:
                check_identity(connection, relation, self._id_column)
            return look_at_slot(connection, self._names, relation)

    def _make(self, state: SlotState) -> None:
        with self._database.asked("make the slot") as (connection, relation):
            make_slot(connection, self._names, relation, state)

    def _check(self, id_column: str) -> None:
        with self._database.asked("look at the table") as (connection, relation):
            check_identity(connection, relation, id_column)

    def _remember(self, target: FollowTarget) -> None:
        with self._database.asked("remember that all was read") as (connection, _):
            if not remember(connection, self._names, target.name):
                log.info("publication %s is not ours: each start reads all of the table", self._names.publication)

    def _wait_until_visible(self, xids: set[int]) -> None:
        """A transaction reaches the stream a moment before others see what it did."""
        while True:
            with self._database.asked("look for changed rows") as (connection, _):
                found = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
            if found and all(is_visible(xid, found[0]) for xid in xids):
                return
            time.sleep(LOOK_S)

    def _open_stream(self, id_column: str) -> SlotStream:
        self._close_stream()

        def connect() -> psycopg.Connection[Any]:
            return connect_to(self._location, self._settings.postgres, replication="database")

        assert self._relation.oid
        output = PgOutput(self._relation.oid, id_column)
        most = self._settings.follow.batch_documents
        stream = SlotStream(connect, self._names.slot, self._names.publication, output, most=most)
        with self._database.asked("look at the slot") as (connection, _):
            confirmed = connection.execute(
                "SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots WHERE slot_name = %s",
                [self._names.slot],
            ).fetchone()
        stream.acknowledged = int(confirmed[0] or 0) if confirmed else 0
        stream.start()
        return stream

    def _close_stream(self) -> None:
        if self._stream:
            self._stream.close()
        self._stream = None
