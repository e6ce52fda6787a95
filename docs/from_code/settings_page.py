"""The page of all settings, made from the sections and their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from connector.settings.file import allowed_values, plain_value, to_text
from connector.settings.load import section_of, setting_names
from connector.settings.names import env_name
from connector.settings.sections import Settings

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
    nested = {name: found for name, field in model.model_fields.items() if (found := section_of(field.annotation))}
    rows = [name for name in model.model_fields if name not in nested]
    if rows:
        yield "\n| setting | default | meaning |\n|---|---|---|"
        for name in rows:
            default = model.model_fields[name].get_default(call_default_factory=True)
            yield _row(prefix + name, default, properties[name])
    for name, (section, named) in nested.items():
        path = f"{prefix}{name}.NAME" if named else prefix + name
        about = f"{said}.\n\n" if (said := model.model_fields[name].description) else ""
        yield f"\n{'#' * level} {path}\n\n{about[:1].upper()}{about[1:]}{(section.__doc__ or '').strip()}"
        yield from _section(section, f"{path}.", level + 1)


def _row(path: str, default: Any, schema: Mapping[str, Any]) -> str:
    name = path.rpartition(".")[2]
    variable = f"`{env_name(path)}`" + (" or `..._FILE`" if setting_names().is_secret(path) else "")
    allowed = allowed_values(schema).replace("|", "\\|")
    meaning = schema.get("description", "").replace("|", "\\|").replace("<", "&lt;")
    shown = "" if default is None else f"`{to_text(plain_value(default))}`"
    return f"| `{name}`<br>{variable} | {shown} | {meaning}{f' ({allowed})' if allowed else ''} |"
