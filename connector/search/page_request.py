"""What a search asks for its results page, checked: words of the engines, or the short forms of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.errors import QueryError
from connector.lexical import PageRequest
from connector.schema import IndexSchema
from connector.source_filter import read_source_filter
from connector.types import SearchRequest

UP_TO = 10_000  # as many as the engines count, where nobody says otherwise
FACETS = ("lexical", "union")


def read_page_request(request: SearchRequest, schema: IndexSchema) -> PageRequest | None:
    """The page that a request asks for; None where it wants nothing but hits. Raises QueryError."""
    facets = _read_facets(request.facets)
    page = PageRequest(
        total=_read_total(request.total),
        aggregations=_read_object("aggs", request.aggs),
        highlight=_read_highlight(request.highlight, schema),
        source=read_source_filter(request.source),
        collapse=_read_collapse(request.collapse, schema),
        sort=_read_sort(request.sort),
        facets=facets or "lexical",
    )
    if page.sort is not None and request.cursor:
        raise QueryError("a sorted order is read page after page by offset; leave the cursor or the sort out")
    if page.sort is not None and page.facets == "union":
        raise QueryError("with a sort only the lexical leg is asked, so there is no union to count; leave facets out")
    options = (request.total, page.aggregations, page.highlight, page.source, page.collapse, page.sort, facets)
    return page if any(option is not None for option in options) else None


def _read_total(value: Any) -> bool | int:
    if value is None:
        return UP_TO
    if isinstance(value, bool):
        return value
    if not isinstance(value, int) or value < 1:
        raise QueryError(f"total is True, False, or up to how many documents are counted, not {value!r}")
    return value


def _read_object(name: str, value: Any) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value or None
    raise QueryError(f"{name} must be an object, as the engines take it, not {type(value).__name__}")


def _read_highlight(value: Any, schema: IndexSchema) -> Mapping[str, Any] | None:
    """The engines' options; True stands for all text fields, a name or a list of names for those fields."""
    if value is None or value is False:
        return None
    if isinstance(value, Mapping):
        if not value.get("fields"):
            raise QueryError('highlight has no fields; write {"fields": {"FIELD": {}}}, True, or names of fields')
        return value
    names = [*schema.fields.text] if value is True else [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names) or not names:
        raise QueryError("highlight is True, names of fields, or an object as the engines take it")
    return {"fields": {name: {} for name in names}}


def _read_collapse(value: Any, schema: IndexSchema) -> str | None:
    name = value.get("field") if isinstance(value, Mapping) and len(value) == 1 else value
    if name is None and value is None:
        return None
    if not isinstance(name, str):
        raise QueryError("collapse names one field, whose every value is shown once; it takes no other options")
    if schema.fields.metadata.get(name, "stored") in ("stored", "keyword[]"):
        raise QueryError(f"the index has no field {name!r} with one value to collapse by; name one to filter by")
    return name


def _read_sort(value: Any) -> Any:
    """The engines' sort; `FIELD:asc` and `FIELD:desc` are short for `{FIELD: order}`."""
    if value is None or value == []:
        return None
    keys = list(value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(key, str | Mapping) and key for key in keys):
        raise QueryError("a sort names fields: FIELD, FIELD:desc, {FIELD: order}, or a list of them")
    return [_read_sort_key(key) for key in keys]


def _read_sort_key(key: Any) -> Any:
    name, _, order = key.rpartition(":") if isinstance(key, str) else ("", "", "")
    return {name: order} if name and order in ("asc", "desc") else key


def _read_facets(value: Any) -> Any:
    if value is not None and value not in FACETS:
        raise QueryError(f"facets is {' or '.join(map(repr, FACETS))}, not {value!r}")
    return value
