"""Which row of a source takes an id, where rows come in any order: the first one in the source's order."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable

from connector.ingest.scratch_table import id_key, no_room, scratch_table

SHIFT = 40  # bits for the row in a shard


class FirstRows:
    """Ids with the place of the first row that can take each, on disk as `SeenIds` are."""

    def __init__(self) -> None:
        self._database = scratch_table("seen", "id BLOB PRIMARY KEY, place INTEGER")
        self.repeated: defaultdict[int, set[int]] = defaultdict(set)

    def add(self, shard: int, rows: Iterable[tuple[int, str]]) -> None:
        """Rows of a shard that can take the ids beside them. Those that cannot, since another row comes first, are in
        `repeated`, by their shard. Raises DiskError."""
        try:
            self._database.execute("BEGIN")
            for row, doc_id in rows:
                self._add(shard << SHIFT | row, id_key(doc_id))
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise no_room(error) from error

    def keep(self, doc_id: str) -> None:
        """Remember that the source has the id, though its row could not be taken. Raises DiskError."""
        try:
            self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, NULL)", (id_key(doc_id),))
        except sqlite3.OperationalError as error:
            raise no_room(error) from error

    def missing_from(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of the ids that the source has not, in order."""
        ask = "SELECT 1 FROM seen WHERE id = ?"
        return [doc_id for doc_id in doc_ids if self._database.execute(ask, (id_key(doc_id),)).fetchone() is None]

    def close(self) -> None:
        self._database.close()

    def _add(self, place: int, key: bytes) -> None:
        found = self._database.execute("SELECT place FROM seen WHERE id = ?", (key,)).fetchone()
        first = found[0] if found else None
        if place == first:
            return
        if first is None or place < first:
            self._database.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (key, place))
            later = first
        else:
            later = place
        if later is not None:
            self.repeated[later >> SHIFT].add(later & ((1 << SHIFT) - 1))
