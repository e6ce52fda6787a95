"""Plain text and Markdown files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.ingest.sources.streams import decode_text

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
OWN_FIELDS = ("path", "title", "text")


@dataclass(frozen=True, slots=True)
class FileText:
    """The title (empty where the file names none) and the text of a file; its further fields; what was left out."""

    title: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)


def read_text(data: bytes) -> FileText:
    """The text as it stands."""
    text = _with_plain_line_ends(decode_text(data))
    if text.count("\0") > len(text) // 10:
        raise ValueError("it holds null bytes, so it is no text, or UTF-16 without a byte-order mark; convert it")
    return FileText("", text)


def read_markdown(data: bytes) -> FileText:
    """The first heading is the title; front matter in YAML gives fields, and the title if it names one."""
    whole = read_text(data).text
    fields, text, notes = _split_front_matter(whole)
    named = fields.get("title")
    others = {str(name): value for name, value in fields.items() if name not in OWN_FIELDS and value is not None}
    notes.update(f"front matter's {name!r} is not read" for name in ("path", "text") if name in fields)
    if isinstance(named, str) and named.strip():
        return FileText(named.strip(), text, others, notes)
    heading = _HEADING.search(_FENCE.sub(lambda fence: " " * len(fence[0]), text))
    if not heading:
        return FileText("", text, others, notes)
    rest = text[: heading.start()] + text[heading.end() :].lstrip("\n")
    return FileText(heading[1], rest if rest.strip() else text, others, notes)


def _split_front_matter(text: str) -> tuple[dict[str, Any], str, Counter[str]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.tokens import AliasToken

    from connector.ingest.sources.plain import UnreadableValue, plain_value

    found = _FRONT_MATTER.match(text)
    if not found:
        return {}, text, Counter()
    rest = text[found.end() :]
    try:
        if any(isinstance(token, AliasToken) for token in YAML(typ="safe", pure=True).scan(found[1] or "")):
            raise ValueError("a few aliases can stand for more than memory holds")
        loaded = YAML(typ="safe", pure=True).load(found[1] or "") or {}
    except (YAMLError, LookupError, ValueError, RecursionError):  # of `!!bool perhaps` it raises a KeyError
        loaded = None
    if not isinstance(loaded, dict):
        return {}, text, Counter({"front matter that is no mapping in YAML is read as text": 1})
    fields, notes = {}, Counter[str]()
    for key, value in loaded.items():
        name = str(key)
        try:
            fields[name] = plain_value(value)
        except UnreadableValue as error:
            notes[f"front matter's {name!r} is left out: {error}"] += 1
    return fields, rest, notes


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
