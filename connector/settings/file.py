"""A connector.yaml with every setting in it, as `connector config init` writes it: made from the settings
themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from connector.errors import SettingsError
from connector.settings.load import CONFIG_FILE, item_sections, section_of, setting_names
from connector.settings.names import FILE_SUFFIX, env_name
from connector.settings.search import StageSettings
from connector.settings.sections import Settings
from connector.whole_file import write_whole

WIDTH = 110
HEADER = f"""\
# {CONFIG_FILE}: read from the folder that the connector is started in, or from --config FILE.
#
# Every setting stands here with its default, behind a # without a blank; take that # away to change it.
# The environment goes over this file (search.k is CONNECTOR_SEARCH_K there), flags go over both.
# `connector config show` tells what holds and where it comes from, `connector config check` what is wrong.
"""


def write_file(file: Path, *, force: bool) -> None:
    """Write the commented file. Raises SettingsError where one exists and `force` is not given."""
    try:
        if file.exists() and not force:
            raise SettingsError(f"{file} exists already; --force overwrites it, another name keeps it")
        write_whole(file, build_file())
    except OSError as error:
        raise SettingsError(f"cannot write {file} ({error.strerror}); choose another place") from None


def build_file() -> str:
    """The text of a settings file in which every setting is commented out and has its default."""
    return HEADER + "\n".join(_section(Settings(), "", 0)) + "\n"


def to_text(value: Any) -> str:
    """A value as it is written in YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return str(text).removesuffix("\n").removesuffix("\n...")


def plain_value(value: Any) -> Any:
    """A value as YAML and JSON have it: a section as what is set in it."""
    if isinstance(value, StageSettings):  # whose name is that of its reranker, unless it has another
        hidden = {"name"} if value.name == value.reranker else set()
        return value.model_dump(mode="json", exclude_defaults=True, exclude=hidden)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return [plain_value(item) for item in value] if isinstance(value, list | tuple) else value


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Each value as YAML and JSON have it."""
    return {path: plain_value(value) for path, value in values.items()}


def _section(defaults: BaseModel, prefix: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    schema = type(defaults).model_json_schema()
    for name, field in type(defaults).model_fields.items():
        yield ""
        section, value = section_of(field.annotation), getattr(defaults, name)
        if section is None:
            yield from _comment(_about(prefix + name, schema["properties"][name]), indent)
            for item in item_sections(field.annotation):
                yield from _items(item, indent)
            yield f"{indent}#{name}: {to_text(plain_value(value))}"
            continue
        kind, named = section
        yield from _comment(field.description or (kind.__doc__ or "").splitlines()[0], indent)
        yield f"{indent}{name}:"
        if not named:
            yield from _section(value, f"{prefix}{name}.", depth + 1)
            continue
        for member, of_member in value.items():
            yield f"{indent}  {member}:"
            yield from _section(of_member, f"{prefix}{name}.{member}.", depth + 2)


def _items(section: type[BaseModel], indent: str) -> Iterator[str]:
    """What a section that is a part of a value holds, each setting on a comment's line."""
    properties = section.model_json_schema()["properties"]
    for name, field in section.model_fields.items():
        default = to_text(plain_value(field.get_default(call_default_factory=True, validated_data={})))
        text = f"- {name}: {_about('', properties[name])}; {default} when not given"
        yield from _comment(text.replace("; null when not given", ""), indent)
        for item in item_sections(field.annotation):
            yield from _items(item, f"{indent}  ")


def _about(path: str, schema: Mapping[str, Any]) -> str:
    """What a setting means and what it takes."""
    allowed = allowed_values(schema)
    about: str = schema.get("description", "") + (f" ({allowed})" if allowed else "")
    if setting_names().is_secret(path):
        about += (
            f"; better in {env_name(path)}, or in a file: {env_name(path)}{FILE_SUFFIX}=PATH, or here {{file: PATH}}"
        )
    return about


def allowed_values(schema: Mapping[str, Any]) -> str:
    """The values that a JSON schema allows, in words; empty where there is nothing to say."""
    if "anyOf" in schema:
        return next((words for option in schema["anyOf"] if (words := allowed_values(option))), "")
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if isinstance(schema.get("additionalProperties"), Mapping) and (
        words := allowed_values(schema["additionalProperties"])
    ):
        return f"each {words}"
    match schema:
        case {"minimum": low, "maximum": high}:
            return f"{low:g} to {high:g}" if isinstance(low, float) else f"{low:,} to {high:,}"
        case {"minimum": low}:
            return f"{low:,} or more"
        case {"exclusiveMinimum": low}:
            return f"above {low:g}"
    return ""


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
