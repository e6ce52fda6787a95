"""Flags of what a results page needs beside its hits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from connector.errors import QueryError

FIRST = "first"  # as a cursor: that of pages to begin


@dataclass(frozen=True, slots=True)
class PageFlags:
    """What is counted, marked, shown and left out."""

    PANEL: ClassVar[str] = "Results page"

    aggs: Annotated[
        str | None, typer.Option(help="A file with aggregations in JSON as the engine takes them, or the JSON itself.")
    ] = None
    total: Annotated[bool, typer.Option("--total", help="Count all documents that the lexical query matches.")] = False
    facets: Annotated[
        str | None,
        typer.Option(help="What total and aggregations count: lexical (the default), or union, with all legs' hits."),
    ] = None
    highlight: Annotated[bool, typer.Option("--highlight", help="Mark the query's words in the text fields.")] = False
    source: Annotated[
        str | None, typer.Option(help="FIELD[,FIELD]: which fields the hits show; * stands for any text.")
    ] = None
    collapse: Annotated[str | None, typer.Option(help="FIELD: show one hit of each of its values.")] = None
    sort: Annotated[
        list[str] | None,
        typer.Option(help="FIELD, FIELD:desc: this order in place of fusion and rerank. Can be repeated."),
    ] = None
    offset: Annotated[int | None, typer.Option(help="How many hits of the order come before the page.")] = None
    cursor: Annotated[
        str | None,
        typer.Option(
            help="first: begin pages that hold still, and print the cursor of the next one; then that cursor, with the "
            "same query and options. Needs CONNECTOR_SEARCH_CURSOR_KEY, since each command is a process of its own."
        ),
    ] = None

    def options(self) -> dict[str, Any]:
        """The options of a search that were given. Raises QueryError for aggregations that cannot be read."""
        given = {
            "aggs": self.aggs and read_json("--aggs", self.aggs),
            "total": self.total or None,
            "facets": self.facets,
            "highlight": self.highlight or None,
            "source": self.source and self.source.split(","),
            "collapse": self.collapse,
            "sort": self.sort,
            "offset": self.offset,
            "cursor": True if self.cursor == FIRST else self.cursor,
        }
        return {name: value for name, value in given.items() if value is not None}


def read_json(flag: str, value: str) -> Mapping[str, Any]:
    """The JSON object of a flag: a file's, or that which stands there. Raises QueryError."""
    inline = value.lstrip().startswith("{")
    try:
        found = json.loads(value if inline else Path(value).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise QueryError(f"{flag} takes JSON, or a file of it: {error}") from None
    if not isinstance(found, Mapping):
        raise QueryError(f"{flag} takes a JSON object, not a {type(found).__name__}")
    return found
