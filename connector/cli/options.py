"""Flags that several commands share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from connector.config import Settings, load_settings, parse_value
from connector.errors import SettingsError

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file; connector.yaml in this folder when there is one.")
]
ClusterUrl = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="http(s)://HOST:PORT of Elasticsearch or OpenSearch, or embedded:FOLDER. [CONNECTOR_CLUSTER_URL]",
    ),
]
IndexName = Annotated[str | None, typer.Option("--index", "-i", help="Name of the index. [CONNECTOR_INDEX_NAME]")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Any other setting, e.g. --set search.fusion.kind=linear. Can be repeated."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]


def read_settings(config: Path | None, overrides: list[str] | None, **flags: Any) -> Settings:
    """Settings from every layer; `flags` maps paths, with `__` for the dot, to values (None: not given)."""
    layer: dict[str, Any] = {}
    for one in overrides or []:
        path, equals, value = one.partition("=")
        if not equals:
            raise SettingsError(f"--set takes PATH=VALUE, not {one!r}")
        layer[path.strip()] = parse_value(value)
    layer |= {name.replace("__", "."): value for name, value in flags.items() if value is not None}
    return load_settings(file=config, overrides=layer)
