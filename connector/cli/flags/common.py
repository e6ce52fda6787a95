"""Flags that several commands share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from connector.errors import SettingsError
from connector.settings.load import LoadedSettings, load, setting_names
from connector.settings.sections import Settings
from connector.settings.sources import FILE_SUFFIX, FLAG, env_name, parse_value, shown

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
        "--set",
        metavar="PATH=VALUE",
        help="Any setting, such as search.fusion.kind=linear; null takes a value back. Can be repeated.",
    ),
]
LogFormat = Annotated[
    str | None, typer.Option("--log-format", help="text, or json: one object a line on stderr. [CONNECTOR_LOG_FORMAT]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]


def read_settings(config: Path | None, overrides: list[str] | None, **flags: Any) -> Settings:
    """Settings from every source; `flags` maps paths, with `__` for the dot, to values (None: not given)."""
    return read_loaded(config, overrides, **flags).require()


def read_loaded(config: Path | None, overrides: list[str] | None, **flags: Any) -> LoadedSettings:
    """The same with the origin of every value, and with problems instead of an error. A secret in a flag is refused at once."""
    given: dict[str, Any] = {}
    for one in overrides or []:
        path, equals, value = one.partition("=")
        if not equals:
            raise SettingsError(f"--set takes PATH=VALUE, not {shown(one)!r}")
        given[path.strip()] = parse_value(value)
    given |= {name.replace("__", "."): value for name, value in flags.items() if value is not None}
    loaded = load(file=config, overrides=given)
    for path in setting_names().secrets & set(loaded.given):
        if loaded.given[path].origin == FLAG and loaded.given[path].exposed:
            raise SettingsError(
                f"{path} cannot be given as a flag, which every list of processes shows; set {env_name(path)}, or name a "
                f"file in {env_name(path)}{FILE_SUFFIX}"
            )
    return loaded
