"""Settings: defaults < connector.yaml < CONNECTOR_* < flags.

Every setting has a path (`search.fusion.rank_constant`) and a twin in the environment
(`CONNECTOR_SEARCH_FUSION_RANK_CONSTANT`); a secret has a second one, which names a file
(`CONNECTOR_CLUSTER_PASSWORD_FILE`). How each source is read: `connector/settings/sources.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from connector.errors import SettingsError
from connector.settings.sections import Settings
from connector.settings.sizes import PATHS as SIZES
from connector.settings.sources import (
    ENV_PREFIX,
    GivenValue,
    Problem,
    SettingNames,
    SourceValues,
    read_environment,
    read_file,
    read_overrides,
)

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
    """The paths of all settings, and of the secrets among them."""
    types = {path: _types_at(path) for path in setting_paths()}
    return SettingNames(
        tuple(types),
        secrets=frozenset(path for path in types if SecretStr in types[path]),
        optional=frozenset(path for path in types if NoneType in types[path]),
    )


def setting_paths(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting's path, sections left out."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_paths(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def value_at(settings: Settings, path: str) -> Any:
    """The value of a setting; a secret comes wrapped, and prints as asterisks."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _types_at(path: str) -> set[Any]:
    """The types that the value of a setting may have."""
    *sections, name = path.split(".")
    model: Any = Settings
    for section in sections:
        model = model.model_fields[section].annotation
    return _types(model.model_fields[name].annotation)


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
            branch = branch.setdefault(section, {})
        branch[name] = value.value
    return tree


def _sizes_named(sources: Sequence[SourceValues]) -> set[str]:
    """Which of k, window and depth the last source names that names any: those that others set before follow them."""
    named = ({name for name, path in SIZES.items() if path in source.given} for source in reversed(sources))
    return next(filter(None, named), set())


def _describe(error: ValidationError, given: Mapping[str, GivenValue]) -> Iterator[Problem]:
    """What the settings themselves refuse, each with where it stands; values of secrets are never repeated."""
    for problem in error.errors():
        path = ".".join(map(str, problem["loc"]))
        setting = next((known for known in given if f"{path}.".startswith(f"{known}.")), "")
        message = problem["msg"].removeprefix("Value error, ")
        if setting not in setting_names().secrets and isinstance(problem["input"], str | int | float):
            message += f" (got {repr(problem['input'])[:100]})"
        yield Problem(f"{path}: {message}" if path else message, given[setting].origin if setting else "")
