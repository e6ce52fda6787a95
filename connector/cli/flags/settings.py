"""Flags that stand for settings, and how they become settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from connector.errors import SettingsError
from connector.settings.given import FLAG, NULL, parse_value
from connector.settings.load import LoadedSettings, load, setting_names
from connector.settings.names import FILE_SUFFIX, env_name, repeatable
from connector.settings.sections import Settings

SettingsReader = Callable[[Mapping[str, Any]], Settings]

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
WorkerUrl = Annotated[
    str | None,
    typer.Option("--worker", help="The URL of what the first stage reranks with. [CONNECTOR_RERANKERS_LOCAL_URL]"),
]
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


@dataclass(frozen=True, slots=True)
class SettingsFlags:
    """Where the documents are, and every other setting."""

    PANEL: ClassVar[str] = "Settings"

    cluster: ClusterUrl = None
    index: IndexName = None
    config: ConfigFile = None
    override: Overrides = None

    def load(self, **flags: Any) -> LoadedSettings:
        """The settings from every source, with the origin of each value. `flags` maps paths, with `__` for the dot, to
        values (None: not given)."""
        return read_loaded(self.config, self.override, **self.named() | flags)

    def read(self, **flags: Any) -> Settings:
        """The settings alone. Raises SettingsError with every problem."""
        return self.load(**flags).require()

    def reader(self, **flags: Any) -> SettingsReader:
        """A function that gives the settings of a pipeline: those of all sources, with its own on top, where None takes
        back what they give."""

        def settings_with(own: Mapping[str, Any]) -> Settings:
            return self.read(
                **flags | {path.replace(".", "__"): NULL if value is None else value for path, value in own.items()}
            )

        return settings_with

    def named(self) -> dict[str, Any]:
        """The flags of this group that stand for one setting each."""
        return {"cluster__url": self.cluster, "index__name": self.index}


@dataclass(frozen=True, slots=True)
class SearchSettingsFlags(SettingsFlags):
    """The same, and the worker that reranks."""

    worker_url: WorkerUrl = None

    def load(self, **flags: Any) -> LoadedSettings:
        loaded = SettingsFlags.load(self, **flags)
        if self.worker_url is None or loaded.settings is None:
            return loaded
        name = loaded.settings.first_stage.reranker
        return SettingsFlags.load(self, **{f"rerankers__{name}__url": self.worker_url} | flags)


def read_settings(config: Path | None, overrides: list[str] | None, **flags: Any) -> Settings:
    """Settings from every source; `flags` maps paths, with `__` for the dot, to values (None: not given)."""
    return read_loaded(config, overrides, **flags).require()


def read_loaded(config: Path | None, overrides: list[str] | None, **flags: Any) -> LoadedSettings:
    """The same with the origin of every value, and with problems instead of an error. A secret in a flag is refused at
    once."""
    given: dict[str, Any] = {}
    for override in overrides or []:
        path, equals, value = override.partition("=")
        if not equals:
            raise SettingsError(f"--set takes PATH=VALUE, not {repeatable(override)!r}")
        given[path.strip()] = parse_value(value)
    given |= {name.replace("__", "."): value for name, value in flags.items() if value is not None}
    loaded = load(file=config, overrides=given)
    for path in filter(setting_names().is_secret, loaded.given):
        if loaded.given[path].origin == FLAG and loaded.given[path].exposed:
            raise SettingsError(
                f"{path} cannot be given as a flag, which every list of processes shows; set {env_name(path)}, or name "
                f"a file in {env_name(path)}{FILE_SUFFIX}"
            )
    if loaded.settings and loaded.settings.log.level == "debug":  # some commands write no log else
        from connector.logs import configure_logging

        configure_logging(loaded.settings.log)
    return loaded
