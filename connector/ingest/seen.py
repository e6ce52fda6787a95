"""Which ids a job has seen: on disk, so that memory does not grow with the source."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator

from connector.ingest.scratch_table import id_key, no_room, scratch_table


class SeenIds:
    """A set of ids. Thread-safe.

    A job that stops closes it while the thread that reads the source may be about to add one more; SQLite itself
    would crash."""

    def __init__(self) -> None:
        self._using = threading.Lock()
        self._database = scratch_table("seen", "id BLOB PRIMARY KEY, taken INTEGER")

    def add(self, doc_id: str) -> bool:
        """Take the id; whether no row took it before."""
        take = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET taken = 1 WHERE taken = 0"
        return self._write(take, doc_id) == 1

    def keep(self, doc_id: str) -> None:
        """Remember that the source has the id, though its row could not be taken."""
        self._write("INSERT OR IGNORE INTO seen VALUES (?, 0)", doc_id)

    def missing_from(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of the ids that were not seen, in order."""
        ask = "SELECT 1 FROM seen WHERE id = ?"
        with self._using:
            return [doc_id for doc_id in doc_ids if self._database.execute(ask, (id_key(doc_id),)).fetchone() is None]

    def batches(self, size: int) -> Iterator[list[str]]:
        """All ids that were seen, in order, so many at a time."""
        last = b""
        while True:
            with self._using:
                ask = "SELECT id FROM seen WHERE id > ? ORDER BY id LIMIT ?"
                found = [key for (key,) in self._database.execute(ask, (last, size))]
            if not found:
                return
            yield [key.decode("utf-8", "surrogatepass") for key in found]
            last = found[-1]

    def _write(self, statement: str, doc_id: str) -> int:
        """How many rows the statement changed. Raises DiskError."""
        try:
            with self._using:
                return self._database.execute(statement, (id_key(doc_id),)).rowcount
        except sqlite3.OperationalError as error:
            raise no_room(error) from error

    def close(self) -> None:
        """Forget all; a thread that still adds ids then gets sqlite3.ProgrammingError."""
        with self._using:
            self._database.close()
