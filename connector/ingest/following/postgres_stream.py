"""A replication slot's stream, read by a thread of its own, so that the server hears from us however long a write
takes."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGresult

from connector.errors import SourceError
from connector.ingest.following.pgoutput import (
    Emptied,
    KeyMissing,
    PgOutput,
    Touched,
    TransactionBegun,
    TransactionEnded,
    build_status,
    read_received,
)
from connector.ingest.sources.postgres_relation import first_line

STATUS_S = 5.0  # between two signs of life
LOOK_S = 0.1


@dataclass(slots=True)
class TouchedRows:
    """What the stream has said and is not written: keys, each once, and transactions that have to be visible before
    the rows are asked for. All transactions that end before `end` are in it whole, or were before it."""

    keys: dict[str, None] = field(default_factory=dict)
    xids: set[int] = field(default_factory=set)
    emptied: bool = False
    lost_keys: int = 0
    end: int = 0
    oldest_s: float | None = None

    @property
    def size(self) -> int:
        return len(self.keys) + self.emptied + self.lost_keys


class SlotStream:
    """The stream of a slot from where it was last acknowledged. `connect` gives a connection for replication.

    It reads on until `most` keys wait to be taken."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        slot: str,
        publication: str,
        output: PgOutput,
        *,
        most: int,
    ) -> None:
        self._connect = connect
        self._slot = slot
        self._publication = publication
        self._output = output
        self._most = most
        self._lock = threading.Lock()
        self._waiting = TouchedRows()
        self._taken: TouchedRows | None = None
        self._transaction: TransactionBegun | None = None
        self._is_closed = False
        self._ended: Future[None] = Future()
        self.acknowledged = 0
        self.server_end = 0
        self._thread = threading.Thread(target=self._run, name="replication", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self) -> TouchedRows | None:
        """What has come; None where nothing has. It is acknowledged by `acknowledge`. Raises SourceError where the
        stream has ended, and psycopg.Error as it was where it could not begin."""
        with self._lock:
            if not self._waiting.size:
                if self._ended.done():
                    self._ended.result()
                return None
            self._taken, self._waiting = self._waiting, TouchedRows(end=self._waiting.end)
            return self._taken

    def acknowledge(self) -> None:
        """What was taken last is written; the server need not keep it."""
        with self._lock:
            if self._taken:
                self.acknowledged = max(self.acknowledged, self._taken.end)
            self._taken = None

    def oldest_s(self) -> float | None:
        """When the oldest transaction was committed that is not written."""
        with self._lock:
            times = [rows.oldest_s for rows in (self._taken, self._waiting) if rows and rows.oldest_s is not None]
        return min(times, default=None)

    def close(self) -> None:
        self._is_closed = True
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._connect()
            try:
                self._follow(connection)
            finally:
                connection.close()
        except Exception as error:  # any; it is raised where the stream is taken from
            self._ended.set_exception(error)

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        pgconn = connection.pgconn
        options = f"(proto_version '1', publication_names '{_quoted(self._publication)}')"
        begun = pgconn.exec_(f'START_REPLICATION SLOT "{self._slot}" LOGICAL 0/0 {options}'.encode())
        if begun.status != pq.ExecStatus.COPY_BOTH:
            raise _error_of(begun)
        said_at, sent = 0.0, 0
        while not self._is_closed:
            if time.monotonic() - said_at >= STATUS_S or self.acknowledged != sent:
                sent, said_at = self.acknowledged, time.monotonic()
                pgconn.put_copy_data(build_status(sent, time.time()))
                pgconn.flush()
            if self._is_full():
                time.sleep(LOOK_S)
                continue
            size, data = pgconn.get_copy_data(1)
            if size > 0:
                said_at = self._receive(bytes(data), said_at)
            elif size == 0:
                select.select([pgconn.socket], [], [], LOOK_S)
                pgconn.consume_input()
            elif (ended := pgconn.get_result()) and ended.error_message:
                raise _error_of(ended)
            else:
                raise SourceError(f"the stream of slot {self._slot} has ended")
        pgconn.put_copy_data(build_status(self.acknowledged, time.time()))
        pgconn.flush()

    def _receive(self, data: bytes, said_at: float) -> float:
        """Take in a message; the time since when the server has heard nothing."""
        received = read_received(data)
        if received is None:
            return said_at
        self.server_end = max(self.server_end, received.server_end)
        if received.payload is not None:
            with self._lock:
                self._note(received.payload)
            return said_at
        with self._lock:
            if self._taken is None and not self._waiting.size and self._transaction is None:
                self.acknowledged = max(self.acknowledged, received.server_end)  # all that was for us is written
        return 0.0 if received.wants_reply else said_at

    def _note(self, payload: bytes) -> None:
        waiting = self._waiting
        match self._output.read(payload):
            case TransactionBegun() as begun:
                self._transaction = begun
            case TransactionEnded(end):
                self._transaction = None
                waiting.end = end
                if self._taken is None and not waiting.size:
                    self.acknowledged = max(self.acknowledged, end)
            case Touched(keys):
                waiting.keys.update(dict.fromkeys(keys))
                self._mark(waiting)
            case Emptied():
                waiting.emptied = True
                self._mark(waiting)
            case KeyMissing():
                waiting.lost_keys += 1
                self._mark(waiting)

    def _mark(self, waiting: TouchedRows) -> None:
        if self._transaction:
            waiting.xids.add(self._transaction.xid)
            waiting.oldest_s = waiting.oldest_s or self._transaction.committed_s

    def _is_full(self) -> bool:
        with self._lock:
            return self._waiting.size >= self._most


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("'", "''") + '"'


def _error_of(result: PGresult) -> psycopg.Error:
    """What the server refused a command with, or ended a stream with."""
    field = result.error_field(pq.DiagnosticField.SQLSTATE)
    kind = psycopg.errors.lookup(field.decode() if field else "58000")
    return kind(result.error_message.decode(errors="replace").strip())


def explain(error: Exception) -> str:
    """Why a stream ended."""
    return str(error) if isinstance(error, SourceError) else first_line(error)
