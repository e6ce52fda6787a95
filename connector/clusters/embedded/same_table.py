"""Whether a table still is the one that was opened: another process may drop it, and make another of its name."""

from __future__ import annotations

import logging

import lancedb

from connector.clusters.embedded.columns import table_id
from connector.clusters.embedded.reasons import LANCE_ERRORS
from connector.errors import IndexGone

log = logging.getLogger(__name__)


async def checkout_latest(table: lancedb.AsyncTable, connection: lancedb.AsyncConnection, *, known_id: bytes) -> None:
    """The table as it was last written. Raises IndexGone where it is not there any more, or another is."""
    try:
        await table.checkout_latest()
        is_same = table_id(await table.schema()) == known_id
    except LANCE_ERRORS as error:
        if not await is_gone(table, connection):
            raise
        raise IndexGone.while_filled(table.name) from error
    if not is_same:
        raise IndexGone.while_filled(table.name)


async def is_gone(table: lancedb.AsyncTable, connection: lancedb.AsyncConnection) -> bool:
    """Whether there is no table of its name."""
    try:
        return table.name not in (await connection.list_tables()).tables
    except LANCE_ERRORS:  # nor a folder
        log.debug("the tables cannot be listed", exc_info=True)
        return True
