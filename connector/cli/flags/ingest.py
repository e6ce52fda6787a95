"""The flags of `connector ingest`, and how they become settings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from connector.errors import SettingsError

SourceArgument = Annotated[
    str,
    typer.Argument(
        help="JSON, CSV, TSV (each also .gz, .bz2, .xz), Parquet, a BEIR folder, a folder of text, Markdown, HTML, PDF "
        "files, - for JSON Lines from a pipe, postgresql://USER@HOST/DATABASE with --table, or with --follow "
        "kafka://HOST:PORT/TOPIC."
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option("--id", help="The column of the ids; found by its name when not given. [CONNECTOR_FIELDS_ID]"),
]
TextColumns = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="NAME[=BOOST],…",
        help="Text columns in reading order, e.g. title=2,body; worked out when not given. [CONNECTOR_FIELDS_TEXT]",
    ),
]
MetadataColumns = Annotated[
    str | None,
    typer.Option(
        "--metadata",
        metavar="NAME=TYPE,…",
        help="Columns to filter by, and no others: keyword, keyword[], integer, number, boolean, date; or stored. "
        "Worked out from all rows when not given. [CONNECTOR_FIELDS_METADATA]",
    ),
]
DeleteMissing = Annotated[
    bool, typer.Option("--delete-missing", help="Remove documents that the source no longer has.")
]
Rejects = Annotated[
    Path | None,
    typer.Option(help="Where documents that fail are kept with their reason. [INDEX-SOURCE.rejects.jsonl]"),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS|local",
        help="Read, encode and write on the processes of a Ray cluster; local: on several of this machine. "
        "[CONNECTOR_RAY_ADDRESS]",
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report", help="Write a JSON report of the job to this file; while a source is followed, anew now and then."
    ),
]
DryRunFlag = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Read the source, say what would become of each column and which rows would fail; write nothing.",
    ),
]


@dataclass(frozen=True, slots=True)
class FollowSourceFlags:
    """Whether the source is followed, and who is told how far the index is behind."""

    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Then go on: write each change of the source within seconds, deletions included, until ended.",
        ),
    ] = False
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            min=0,
            max=65535,
            help="With --follow: serve GET /metrics for Prometheus on this port of 127.0.0.1.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class PostgresFlags:
    """What is read of a database."""

    PANEL: ClassVar[str] = "PostgreSQL"

    table: Annotated[
        str | None,
        typer.Option("--table", metavar="[SCHEMA.]NAME", help="The table or view. [CONNECTOR_POSTGRES_TABLE]"),
    ] = None
    query: Annotated[
        str | None, typer.Option("--query", metavar="SQL", help="Or a query. [CONNECTOR_POSTGRES_QUERY]")
    ] = None
    updated_at: Annotated[
        str | None,
        typer.Option(
            "--updated-at",
            metavar="COLUMN",
            help="To follow it: the time of a row's last change. [CONNECTOR_POSTGRES_UPDATED_AT]",
        ),
    ] = None

    slot: Annotated[
        str | None,
        typer.Option(
            "--slot",
            metavar="NAME",
            help="To follow it by logical replication: the slot, which is made if there is none. "
            "[CONNECTOR_POSTGRES_SLOT]",
        ),
    ] = None
    drop_slot: Annotated[
        bool, typer.Option("--drop-slot", help="Drop that slot and its publication, and end; when no longer followed.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a slot is made or dropped.")] = False

    def settings(self) -> dict[str, Any]:
        """The flags as paths of settings; None where a flag is not given."""
        return {
            f"postgres__{flag.name}": getattr(self, flag.name)
            for flag in fields(self)
            if flag.name not in ("drop_slot", "yes")
        }


def field_settings(id_column: str | None, text: str | None, metadata: str | None) -> dict[str, Any]:
    """The flags that name columns as paths of settings; None where a flag is not given."""
    return {
        "fields__id": id_column,
        "fields__text": _pairs(text, "--text", float, optional=True) if text else None,
        "fields__metadata": _pairs(metadata, "--metadata", str, optional=False) if metadata else None,
    }


def _pairs(text: str, flag: str, convert: type, *, optional: bool) -> dict[str, object]:
    """`a=2,b` as {"a": 2.0, "b": 1.0}; a colon does for the equals sign."""
    pairs: dict[str, object] = {}
    for part in text.split(","):
        name, separator, value = part.strip().partition("=" if "=" in part else ":")
        if not name or not (separator or optional):
            raise SettingsError(f"{flag} takes NAME=VALUE pairs split by commas, not {text!r}")
        try:
            pairs[name] = convert(value) if separator else 1.0
        except ValueError:
            raise SettingsError(f"{flag}: {value!r} is no number") from None
    return pairs
