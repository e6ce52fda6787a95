"""A table on disk for one job, so that memory does not grow with the source."""

from __future__ import annotations

import sqlite3

from connector.errors import DiskError


def scratch_table(name: str, columns: str) -> sqlite3.Connection:
    """SQLite's own temporary file, which is unlinked while it is open: none is left, not even after kill -9. The first
    of the columns is the key."""
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # the empty name: a temporary file
    database.executescript(
        f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE {name} ({columns}) WITHOUT ROWID"
    )
    return database


def id_key(doc_id: str) -> bytes:
    """An id as a table has it: a source may hold half a surrogate pair, and SQLite's text may not."""
    return doc_id.encode("utf-8", "surrogatepass")


def no_room(error: sqlite3.OperationalError) -> DiskError:
    """What a write that failed is to the user."""
    return DiskError(f"cannot remember which ids the source has ({error}); free space in the folder of temporary files")
