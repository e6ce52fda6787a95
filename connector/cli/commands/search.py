"""`connector search`: a query, its hits, and why they are where they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.page import PageFlags
from connector.cli.flags.reranker import RerankerName, with_reranker
from connector.cli.flags.settings import AsJson, SearchSettingsFlags
from connector.cli.tables.hits import print_response
from connector.errors import FilterError, QueryError, SettingsError
from connector.search.as_json import response_as_json
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.client import SearchOptions


@with_flag_groups
def search(
    context: typer.Context,
    query: Annotated[
        list[str] | None, typer.Argument(help="One query, in one or several words; - reads a query a line from stdin.")
    ] = None,
    *,
    settings: SearchSettingsFlags,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            help="FIELD=VALUE[,VALUE], FIELD!=VALUE, FIELD>=VALUE, FIELD?, !FIELD?, or JSON. Repeat to narrow.",
        ),
    ] = None,
    lexical_query: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Your own query for the lexical leg, as the engine words it: what stands under query in a _search. "
            "QUERY may be left out where the file tells it.",
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("-k", help="How many hits. [CONNECTOR_SEARCH_K]")] = None,
    rerank: Annotated[
        bool | None,
        typer.Option(
            "--rerank/--no-rerank", help="Rerank as the settings have it, or not at all. [CONNECTOR_SEARCH_RERANK]"
        ),
    ] = None,
    reranker: RerankerName = None,
    page: PageFlags,
    as_json: AsJson = False,
) -> None:
    """Search an index with its legs, fusion and the reranker.

    Examples:

        connector search "refund for opened hardware" --filter region=emea --filter "date>=2024-01-01"

        connector search "FL-2207" --no-rerank -k 3 --json

        connector search "refund for opened hardware" --reranker cross-encoder/ettin-reranker-32m-v1

        connector search "refund for opened hardware" --aggs facets.json --highlight --collapse product

        connector search "refund for opened hardware" -k 10 --cursor first

        connector search "quarterly numbers" --index wiki --set 'index.text_fields={title: 2, body: 1}'

        connector search --lexical-query query.json --index shop --set 'index.text_fields={name: 2, text: 1}'
    """
    if reranker and rerank is False:
        raise SettingsError("--reranker and --no-rerank ask for opposite things; leave one of them out")
    settings_with = settings.reader(search__k=k, search__rerank=_stages(rerank, settings))
    lexical = _read_lexical(lexical_query) if lexical_query else None
    options: Any = {"filter": [_read_filter(text) for text in filter or []], "lexical": lexical, **page.options()}
    queries = [None] if lexical is not None and not query else _queries(query)
    event_loop.run(_search_all(queries, with_reranker(context, reranker, settings_with)({}), options, as_json))


def _stages(rerank: bool | None, settings: SearchSettingsFlags) -> str | None:
    """As the settings have them, or the one by default where they have none and one is asked for."""
    if rerank is None:
        return None
    return "off" if not rerank else None if settings.read().search.rerank else "on"


def _check_cursor(settings: Settings, cursor: str | bool | None, *, count: int) -> None:
    if cursor is None:
        return
    if settings.search.cursor_key is None:
        raise SettingsError(
            "--cursor needs a secret that signs cursors, the same for the next command: set search.cursor_key "
            "(CONNECTOR_SEARCH_CURSOR_KEY, or CONNECTOR_SEARCH_CURSOR_KEY_FILE for a file that holds it)"
        )
    if cursor is not True and count > 1:
        raise QueryError(f"a cursor is of one search, and here are {count} queries; give the one that it came from")


async def _search_all(queries: Sequence[str | None], settings: Settings, options: SearchOptions, as_json: bool) -> None:
    from connector.client import Connector

    _check_cursor(settings, options.get("cursor"), count=len(queries))
    with stderr.status("loading"):
        connector = await Connector.open(settings)
    async with connector:
        for query in queries:
            response = await connector.search(query, **options)
            if as_json:
                print(json.dumps(response_as_json(response), ensure_ascii=False), flush=True)
            else:
                print_response(response)


def _queries(words: list[str] | None) -> list[str]:
    if words == ["-"]:
        return [line.strip() for line in sys.stdin if line.strip()]
    return [" ".join(words or [])]


def _read_lexical(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise QueryError(f"cannot read the lexical query {file}: {error.strerror}") from None
    except ValueError as error:
        raise QueryError(f"the lexical query {file} is not JSON: {error}") from None


def _read_filter(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise FilterError(f"the filter {text!r} is not JSON: {error}") from None
