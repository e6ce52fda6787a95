"""An application's query with `{{query}}` where the text goes. The text is put into values, never into JSON's text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connector.errors import QueryError

PLACE = re.compile(r"\{\{\{?\s*(\w+)\s*\}?\}\}")
NAME = "query"


def fill_template(template: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The query with the text in every place of it. Raises QueryError for what is no template."""
    check_template(template)
    filled: dict[str, Any] = _fill(template, text)
    return filled


def check_template(template: Mapping[str, Any]) -> None:
    """Raise QueryError for a template without `{{query}}`, or with a place that nothing goes into."""
    names = set(_places(template))
    if others := sorted(names - {NAME}):
        raise QueryError(f"the query's template has a place {{{{{others[0]}}}}}; only {{{{query}}}} is filled in")
    if not names:
        raise QueryError("the query's template has no {{query}}; put it where the text that is searched for goes")


def _places(value: Any) -> list[str]:
    if isinstance(value, str):
        return PLACE.findall(value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [name for part in parts for name in _places(part)]


def _fill(value: Any, text: str) -> Any:
    if isinstance(value, str):
        return PLACE.sub(lambda _: text, value)
    if isinstance(value, Mapping):
        return {name: _fill(part, text) for name, part in value.items()}
    return [_fill(part, text) for part in value] if isinstance(value, list | tuple) else value
