"""The page of all settings, made from the sections and their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from connector.settings.file import allowed_values, plain_value, to_text
from connector.settings.load import item_sections, section_of, setting_names
from connector.settings.names import env_name
from connector.settings.plugins import PluginSettings
from connector.settings.sections import Settings

PLUGINS = "plugins"

HEADER = """\
# Settings

This page is made from the code. [How to configure](../how-to/configure.md) says where values come from.

The path of a setting is its place in `connector.yaml` and what `--set PATH=VALUE` names.
Its variable is written below its path. A secret's variable with `_FILE` behind it names a file that holds the secret.
"""


def build_settings_page() -> str:
    """A heading for each section and a table of its settings."""
    return HEADER + "\n".join(_section(Settings, "", 2))


def _section(model: type[BaseModel], prefix: str, level: int) -> Iterator[str]:
    if model is PluginSettings:
        variable = env_name(f"{PLUGINS}.*.*")
        yield f"\n| setting | meaning |\n|---|---|\n| `KEY`<br>`{variable}` | what the plug-in takes |"
        return
    properties = model.model_json_schema()["properties"]
    nested = {name: found for name, field in model.model_fields.items() if (found := section_of(field.annotation))}
    rows = [name for name in model.model_fields if name not in nested]
    if rows:
        yield "\n| setting | default | meaning |\n|---|---|---|"
        for name in rows:
            default = model.model_fields[name].get_default(call_default_factory=True)
            yield _row(prefix + name, default, properties[name])
    for name in rows:
        for item in item_sections(model.model_fields[name].annotation):
            yield from _items(item, f"{prefix}{name}", level)
    for name, (section, named) in nested.items():
        path = f"{prefix}{name}.NAME" if named else prefix + name
        about = f"{description}.\n\n" if (description := model.model_fields[name].description) else ""
        yield f"\n{'#' * level} {path}\n\n{about[:1].upper()}{about[1:]}{(section.__doc__ or '').strip()}"
        yield from _section(section, f"{path}.", level + 1)


def _items(section: type[BaseModel], path: str, level: int) -> Iterator[str]:
    """A table of what a section that is a part of a value holds; it has no variables of its own."""
    properties = section.model_json_schema()["properties"]
    yield f"\n{'#' * level} each of {path}\n\n{(section.__doc__ or '').strip()}"
    yield "\n| setting | default | meaning |\n|---|---|---|"
    for name, field in section.model_fields.items():
        yield _row(name, field.get_default(call_default_factory=True), properties[name], variable="")
    for name, field in section.model_fields.items():
        for item in item_sections(field.annotation):
            yield from _items(item, f"{path}, {name}", level + 1)


def _row(path: str, default: Any, schema: Mapping[str, Any], variable: str | None = None) -> str:
    """`variable` None: that of the path; empty: it has none."""
    name = path.rpartition(".")[2]
    if variable is None:
        variable = f"<br>`{env_name(path)}`" + (" or `..._FILE`" if setting_names().is_secret(path) else "")
    allowed = allowed_values(schema).replace("|", "\\|")
    meaning = schema.get("description", "").replace("|", "\\|").replace("<", "&lt;")
    given = "" if default is None else f"`{to_text(plain_value(default))}`"
    return f"| `{name}`{variable} | {given} | {meaning}{f' ({allowed})' if allowed else ''} |"
