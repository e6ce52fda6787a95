"""The flags of `connector follow`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

FollowedIndex = Annotated[
    str | None,
    typer.Argument(
        metavar="INDEX",
        help="The index that was back-filled, or an alias for those behind it. [CONNECTOR_INDEX_NAME]",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class FollowFlags:
    """How an index is followed."""

    PANEL: ClassVar[str] = "Follow"

    every_s: Annotated[
        float | None,
        typer.Option(
            "--every",
            metavar="SECONDS",
            help="How often to look for what was written. [CONNECTOR_FOLLOW_EVERY_S]",
            show_default=False,
        ),
    ] = None
    state: Annotated[
        Path,
        typer.Option(
            "--state", help="The folder of INDEX.UUID.follow.json, which says up to where the passages are right."
        ),
    ] = Path()
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="Where the ids of refused documents are kept with the reason. [INDEX.UUID.follow.rejects.jsonl]"
        ),
    ] = None
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write a JSON report to this file, at the end.")
    ] = None
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port", min=0, max=65535, help="Serve GET /metrics for Prometheus on this port of 127.0.0.1."
        ),
    ] = None
