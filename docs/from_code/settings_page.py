"""The page of all settings, made from the sections and their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from connector.settings.file import allowed_values, to_text
from connector.settings.load import setting_names
from connector.settings.sections import Settings
from connector.settings.sources import env_name

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
    properties = model.model_json_schema()["properties"]
    nested = {name: kind for name, field in model.model_fields.items() if (kind := _section_of(field.annotation))}
    rows = [name for name in model.model_fields if name not in nested]
    if rows:
        yield "\n| setting | default | meaning |\n|---|---|---|"
        for name in rows:
            default = model.model_fields[name].get_default(call_default_factory=True)
            yield _row(prefix + name, default, properties[name])
    for name, section in nested.items():
        yield f"\n{'#' * level} {prefix}{name}\n\n{(section.__doc__ or '').strip()}"
        yield from _section(section, f"{prefix}{name}.", level + 1)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _row(path: str, default: Any, schema: Mapping[str, Any]) -> str:
    name = path.rpartition(".")[2]
    variable = f"`{env_name(path)}`" + (" or `..._FILE`" if path in setting_names().secrets else "")
    allowed = allowed_values(schema).replace("|", "\\|")
    meaning = schema.get("description", "").replace("|", "\\|").replace("<", "&lt;")
    shown = "" if default is None else f"`{to_text(_plain(default))}`"
    return f"| `{name}`<br>{variable} | {shown} | {meaning}{f' ({allowed})' if allowed else ''} |"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
