"""The flags of `connector migrate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

MigratedIndex = Annotated[
    str | None,
    typer.Argument(
        metavar="INDEX",
        help="The index that was back-filled, or an alias for those behind it. [CONNECTOR_INDEX_NAME]",
        show_default=False,
    ),
]
NewEncoder = Annotated[
    str | None,
    typer.Option("--encoder", metavar="NAME", help="Fill vectors of this encoder. [CONNECTOR_ENCODER_MODEL]"),
]


@dataclass(frozen=True, slots=True)
class MigrateFlags:
    """What to do, and how."""

    PANEL: ClassVar[str] = "Migrate"

    switch: Annotated[
        bool, typer.Option("--switch", help="Let searches use the other vectors; the same again takes that back.")
    ] = False
    clean: Annotated[bool, typer.Option("--clean", help="Take out the vectors that searches do not use.")] = False
    field: Annotated[
        str | None,
        typer.Option("--field", metavar="NAME", help="What the second nested field is called. [passages_2]"),
    ] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="Where the ids of refused documents are kept with the reason. [INDEX.backfill.rejects.jsonl]"
        ),
    ] = None
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write a JSON report of the job to this file.")
    ] = None
