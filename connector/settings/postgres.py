"""The settings of PostgreSQL as a source."""

from __future__ import annotations

from pydantic import Field

from connector.settings.secrets import Password
from connector.settings.section import Section


class PostgresSettings(Section):
    """PostgreSQL as a source: what is read of the database at postgresql://USER@HOST:PORT/DATABASE."""

    table: str | None = Field(None, description="the table or view that is read: NAME or SCHEMA.NAME")
    query: str | None = Field(None, description="or the query whose rows are read")
    updated_at: str | None = Field(
        None, description="to follow it: the column with the time of a row's last change, set by each write"
    )
    slot: str | None = Field(
        None,
        pattern="^[a-z0-9_]{1,63}$",
        description="to follow it by logical replication: the name of the slot, which is made if there is none",
    )
    publication: str | None = Field(
        None, description="the publication that the slot reads; called as the slot when not given"
    )
    password: Password | None = Field(
        None, description="the password of the user in the URL; PGPASSWORD and ~/.pgpass work too"
    )
    poll_s: float = Field(1.0, gt=0, description="how often a followed table is asked for changed rows")
    overlap_s: float = Field(
        60.0,
        ge=0,
        description="how long after the time in its updated_at a row may become visible, since transactions take long "
        "and clocks differ",
    )
