"""The messages of PostgreSQL's logical replication: which rows of a table were touched, and where a transaction ends.

Only keys are read: what a row holds now is asked for by its key. So columns that the stream leaves out (large values
that did not change), types and order make no difference.
https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

POSTGRES_EPOCH_S = 946_684_800  # 2000-01-01


@dataclass(frozen=True, slots=True)
class TransactionBegun:
    """A transaction: its changes follow. `committed_s` is when it was committed, since 1970."""

    xid: int
    committed_s: float


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """The end of a transaction; all of it lies before `end`."""

    end: int


@dataclass(frozen=True, slots=True)
class Touched:
    """A row that came, changed or went: its key, and the one that it had before where that was another."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Emptied:
    """The table was truncated."""


@dataclass(frozen=True, slots=True)
class KeyMissing:
    """A row was changed or deleted, and the stream does not say which."""


StreamEvent = TransactionBegun | TransactionEnded | Touched | Emptied | KeyMissing


class PgOutput:
    """Reads the stream for one table, whose keys are in one column."""

    def __init__(self, table_oid: int, key_column: str) -> None:
        self._table_oid = table_oid
        self._key_column = key_column
        self._place: int | None = None

    def read(self, message: bytes) -> StreamEvent | None:
        """What a message says; None where it is about nothing of ours."""
        match message[:1]:
            case b"B":
                _, committed_us, xid = struct.unpack_from("!qqI", message, 1)
                return TransactionBegun(xid, POSTGRES_EPOCH_S + committed_us / 1e6)
            case b"C":
                return TransactionEnded(int(struct.unpack_from("!q", message, 10)[0]))
            case b"R":
                self._read_relation(message)
            case b"I" | b"U" | b"D" if self._is_ours(message):
                return self._read_change(message)
            case b"T":
                count = struct.unpack_from("!i", message, 1)[0]
                if self._table_oid in struct.unpack_from(f"!{count}I", message, 6):
                    return Emptied()
        return None

    def _is_ours(self, message: bytes) -> bool:
        return bool(struct.unpack_from("!I", message, 1)[0] == self._table_oid)

    def _read_relation(self, message: bytes) -> None:
        if not self._is_ours(message):
            return
        at = message.index(b"\0", message.index(b"\0", 5) + 1) + 1  # behind the names of schema and table
        (count,) = struct.unpack_from("!h", message, at + 1)
        at += 3
        self._place = None
        for place in range(count):
            end = message.index(b"\0", at + 1)
            if message[at + 1 : end].decode() == self._key_column:
                self._place = place
            at = end + 9

    def _read_change(self, message: bytes) -> Touched | KeyMissing:
        """The keys of the tuples in a message: the old one, where it is there, and the new one."""
        at, keys = 5, []
        while at < len(message):
            cells, at = _read_tuple(message, at + 1)
            key = cells[self._place] if self._place is not None and self._place < len(cells) else None
            if key is not None and key not in keys:
                keys.append(key)
        return Touched(tuple(keys)) if keys else KeyMissing()


def _read_tuple(message: bytes, at: int) -> tuple[list[str | None], int]:
    """The cells as text, None for what is NULL or left out; and where the tuple ends."""
    (count,) = struct.unpack_from("!h", message, at)
    at += 2
    cells: list[str | None] = []
    for _ in range(count):
        kind, at = message[at : at + 1], at + 1
        if kind in (b"t", b"b"):
            (size,) = struct.unpack_from("!i", message, at)
            cells.append(message[at + 4 : at + 4 + size].decode("utf-8", "replace"))
            at += 4 + size
        else:
            cells.append(None)
    return cells, at


@dataclass(frozen=True, slots=True)
class Received:
    """What the server sent: a message, or a sign of life; how far it has written, and whether it wants an answer."""

    payload: bytes | None
    server_end: int
    wants_reply: bool = False


def read_received(data: bytes) -> Received | None:
    """A message of the streaming protocol."""
    if data[:1] == b"w":
        _, server_end = struct.unpack_from("!qq", data, 1)
        return Received(data[25:], server_end)
    if data[:1] == b"k":
        (server_end,) = struct.unpack_from("!q", data, 1)
        return Received(None, server_end, data[17:18] == b"\1")
    return None


def build_status(position: int, now_s: float) -> bytes:
    """What tells the server up to where all is written, and need not be kept."""
    now_us = int((now_s - POSTGRES_EPOCH_S) * 1e6)
    return struct.pack("!cqqqqb", b"r", position, position, position, now_us, 0)


def is_visible(xid: int, snapshot: str) -> bool:
    """Whether a transaction is seen in a snapshot, as `pg_current_snapshot()` spells it: xmin:xmax:those under way.

    A transaction reaches the stream a moment before others can see what it did. `xid` has 32 bits, the snapshot's have
    64, of which the upper ones count how often the lower ones began anew."""
    _, xmax, under_way = snapshot.split(":")
    if any(int(other) & 0xFFFFFFFF == xid for other in _split(under_way)):
        return False
    behind = (xid - int(xmax)) & 0xFFFFFFFF
    return behind >= 0x80000000  # before xmax, on the circle of 32 bits


def _split(numbers: str) -> Iterator[str]:
    yield from (number for number in numbers.split(",") if number)
