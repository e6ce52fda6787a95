"""The settings of sources that go on: how long changes are gathered, and how often all is looked through."""

from __future__ import annotations

from pydantic import Field

from connector.settings.section import Section


class FollowSettings(Section):
    """`connector ingest --follow`: a source that goes on; `connector follow`: an index that was back-filled."""

    batch_documents: int = Field(500, ge=1, description="most changes that are written together")
    quiet_s: float = Field(0.5, ge=0, description="how long a file must not have changed before it is read")
    rescan_s: float = Field(
        300.0,
        gt=0,
        description="how often a whole folder is looked through, and the ids of a table are compared with those of the "
        "index (--delete-missing)",
    )
    report_s: float = Field(10.0, gt=0, description="how often --report FILE is written while a source is followed")
    every_s: float = Field(2.0, ge=0.1, description="how often an index is asked for what was written to it")
    sweep_s: float = Field(3600.0, gt=0, description="how often a whole index is searched for missing passages")
