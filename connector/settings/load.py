"""Settings: defaults < connector.yaml < CONNECTOR_* < flags.

Every setting has a path (`search.fusion.rank_constant`) and a twin in the environment
(`CONNECTOR_SEARCH_FUSION_RANK_CONSTANT`); a secret has a second one, which names a file
(`CONNECTOR_CLUSTER_PASSWORD_FILE`). How each source is read: `connector/settings/given.py`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from connector.errors import SettingsError
from connector.settings.given import GivenValue, Problem, SourceValues, read_environment, read_file, read_overrides
from connector.settings.names import ENV_PREFIX, SettingNames
from connector.settings.plugins import PluginSettings
from connector.settings.search import Name
from connector.settings.sections import Settings

CONFIG_FILE = "connector.yaml"


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """What the sources came to: the settings (None where there are problems), where each value that is given stands,
    and the settings file that was read."""

    settings: Settings | None
    given: Mapping[str, GivenValue]
    problems: Sequence[Problem]
    file: Path | None

    def require(self) -> Settings:
        """The settings. Raises SettingsError with every problem."""
        if self.settings is None:
            raise SettingsError("; ".join(map(str, self.problems)))
        return self.settings


def load_settings(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings of this process. `overrides` maps paths to values; None values are ignored.

    `file` None means connector.yaml in the working folder if there is one. Raises SettingsError."""
    return load(file=file, environ=environ, overrides=overrides).require()


def load(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedSettings:
    """What `load_settings` gives, with the origin of every value, and with all problems instead of an error."""
    environ = os.environ if environ is None else environ
    names = setting_names()
    if file is None and Path(CONFIG_FILE).exists():
        file = Path(CONFIG_FILE)
    sources = [read_file(file, names, environ)] if file else []
    sources += [read_environment(environ, names), read_overrides(overrides or {}, names, environ)]
    given = {path: value for source in sources for path, value in source.given.items()}
    problems = [problem for source in sources for problem in source.problems]
    settings = None
    try:
        settings = Settings.model_validate(_tree(given), context={"sizes_named": _sizes_named(sources)})
    except SettingsError as error:
        refused = error.__cause__
        problems += _describe(refused, given) if isinstance(refused, ValidationError) else [Problem(str(error))]
    return LoadedSettings(None if problems else settings, given, problems, file)


def load_file_alone(file: Path) -> Settings:
    """What a settings file by itself comes to, without the CONNECTOR_* of this process. Raises SettingsError."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    return load(file=file, environ=environ).require()


@cache
def setting_names() -> SettingNames:
    """The paths of all settings, and of the secrets among them. A `*` stands for a name that the user gives."""
    types = dict(_types_by_path(Settings, ""))
    return SettingNames(
        tuple(types),
        secrets=frozenset(path for path in types if SecretStr in types[path]),
        optional=frozenset(path for path in types if NoneType in types[path]),
    )


@cache
def _default_settings() -> Settings:
    return Settings()


def setting_paths(settings: Settings | None = None) -> Iterator[str]:
    """Every setting's path, sections left out, with the names that these settings (None: the defaults) have."""
    for path in setting_names().paths:
        yield from _named(path, settings or _default_settings())


def _named(path: str, settings: Settings) -> Iterator[str]:
    """A path with each of the names that these settings have in place of its stars."""
    before, star, after = path.partition("*")
    if not star:
        yield path
        return
    section = value_at(settings, before.rstrip("."))
    for name in section.given if isinstance(section, PluginSettings) else section:
        yield from _named(before + name + after, settings)


def value_at(settings: Settings, path: str) -> Any:
    """The value of a setting; a secret comes wrapped, and prints as asterisks."""
    value: Any = settings
    for name in path.split("."):
        value = value.given if isinstance(value, PluginSettings) else value
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value


def section_of(annotation: Any) -> tuple[type[BaseModel], bool] | None:
    """The section that a field is, or that each of its values is, by a name that the user gives; None for a setting."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    arguments = get_args(annotation)
    if get_origin(annotation) is dict and arguments[0] is Name:
        return arguments[1], True
    return None


def item_sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that the value of a setting is made of: the stages of a list, the rules of a stage."""
    for kind in _types(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind


def _types_by_path(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, set[Any]]]:
    """The types that the value of each setting may have."""
    if model is PluginSettings:
        yield f"{prefix}*", set()
    for name, field in model.model_fields.items():
        if section := section_of(field.annotation):
            kind, named = section
            yield from _types_by_path(kind, f"{prefix}{name}.*." if named else f"{prefix}{name}.")
        else:
            yield prefix + name, _types(field.annotation)


def _types(annotation: Any) -> set[Any]:
    """The types that an annotation is made of."""
    return {annotation}.union(*map(_types, get_args(annotation))) if get_args(annotation) else {annotation}


def _tree(given: Mapping[str, GivenValue]) -> dict[str, Any]:
    """The given values as the sections that the settings are made of."""
    tree: dict[str, Any] = {}
    for path, value in given.items():
        *sections, name = path.split(".")
        branch = tree
        for section in sections:
            if not isinstance(branch.get(section), dict):  # what was off is on again
                branch[section] = {}
            branch = branch[section]
        if value.value != {} or not isinstance(branch.get(name), dict):
            branch[name] = value.value
    return tree


def _sizes_named(sources: Sequence[SourceValues]) -> set[str]:
    """Which of k, window and depth the last source names that names any: those that others set before follow them."""
    return next(filter(None, map(_sizes_of, reversed(sources))), set())


def _sizes_of(source: SourceValues) -> set[str]:
    given = source.given
    named = {name for name in ("k", "depth") if f"search.{name}" in given}
    if any(re.fullmatch(r"search\.legs\.\w+\.depth", path) for path in given):
        named.add("depth")
    stages = given["search.rerank"].value if "search.rerank" in given else ()
    stages = stages if isinstance(stages, list) else [stages]
    return named | {"window" for stage in stages if isinstance(stage, Mapping) and "window" in stage}


def _describe(error: ValidationError, given: Mapping[str, GivenValue]) -> Iterator[Problem]:
    """What the settings themselves refuse, each with where it stands; values of secrets are never repeated."""
    for problem in error.errors():
        path = ".".join(map(str, problem["loc"])).removesuffix(".[key]")
        around = [known for known in given if f"{path}.".startswith(f"{known}.")]
        setting = max(around, key=len, default="")
        message = problem["msg"].removeprefix("Value error, ")
        if not setting_names().is_secret(setting) and isinstance(problem["input"], str | int | float):
            message += f" (got {repr(problem['input'])[:100]})"
        yield Problem(f"{path}: {message}" if path else message, given[setting].origin if setting else "")
