"""A request as it came -> one that is checked and complete, the settings filling in what it leaves open."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from connector.credentials import Credentials
from connector.errors import QueryError, SettingsError
from connector.filters import Filter, check_filter, fields_of, parse_filter
from connector.lexical import PageRequest
from connector.schema import IndexSchema
from connector.search.own import OwnQueries, find_text, read_own_queries
from connector.search.page_request import read_page_request
from connector.settings.search import StageSettings, reach
from connector.settings.sections import Settings
from connector.settings.sizes import Sizes, fit_sizes
from connector.source_filter import SourceFilter
from connector.text import normalise_text
from connector.types import SearchRequest

MAX_QUERY_CHARS = 20_000
MAX_DEPTH = 10_000
SORTED = "sorted as asked for: nothing was fused or reranked, and only what the lexical leg finds is there"
NO_STAGE = "nothing is reranked, as asked for: search.rerank has no stage, or is off"


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """One search, complete: `text` is the query as it is searched for."""

    query: str
    text: str
    filter: Filter | None
    own: OwnQueries
    k: int
    offset: int
    cursor: str | bool  # of the page that is asked for; True: pages begin
    depth: int
    windows: tuple[int, ...]  # of each stage
    reranks: bool
    passages: int  # of each document that the legs bring along
    deadline_s: float
    credentials: Credentials | None
    facts: Mapping[str, Any]
    page: PageRequest | None
    notes: tuple[str, ...]

    def filter_for(self, leg: str) -> Filter | None:
        """What the hits of a leg have to fulfil."""
        return self.own.filter_for(leg, self.filter)

    @property
    def source(self) -> SourceFilter | None:
        """What the hits show of their documents."""
        return self.page.source if self.page else None

    @property
    def sorts(self) -> bool:
        """Whether the caller demands an order, so that nothing is fused or reranked."""
        return self.page is not None and self.page.sort is not None


def build_request(query: str | None, options: Mapping[str, Any]) -> SearchRequest:
    """A request of keyword arguments. Raises QueryError for one that there is not."""
    known = [field.name for field in fields(SearchRequest) if field.name != "query"]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise QueryError(f"a search has no option {name!r}; {advice}")
    return SearchRequest(query, **options)


def check_request(
    request: SearchRequest, settings: Settings, schema: IndexSchema, stages: Sequence[StageSettings]
) -> CheckedRequest:
    """The request with the settings' values where it has none, for a search with these `stages`. Raises QueryError,
    FilterError or SettingsError."""
    search = settings.search
    query = find_text(request.query, request.lexical, schema)
    text = _read_query(query)
    wants_rerank = _read_flag("rerank", request.rerank)
    page = read_page_request(request, schema)
    sorts = page is not None and page.sort is not None
    reranks = bool(stages) and wants_rerank is not False and not sorts
    k, window, depth = (_read_size(name, getattr(request, name)) for name in ("k", "window", "depth"))
    windows = [stage.window for stage in stages] if reranks else []
    named: set[str | int] = {"k"} if k else set()
    if window and windows:
        windows[0] = window
        named.add(0)
    depth = depth or search.depth
    if depth > MAX_DEPTH:
        raise QueryError(f"depth={depth} is more than the {MAX_DEPTH:,} hits that a leg can return")
    cursor, offset = _read_cursor(request.cursor), _read_offset(request)
    reached = reach(search.legs, depth)
    if isinstance(cursor, str):  # a later page has no legs and stages to fit
        sizes = Sizes(_read_page_size(k or search.k), tuple(windows))
    else:
        sizes = fit_sizes(k=k or search.k, windows=windows, reach=reached, named=named)
    _check_offset(offset, sizes.k, MAX_DEPTH if sorts else reached, sorts=sorts)
    deadline_s = _read_seconds("deadline_s", request.deadline_s)
    credentials = request.credentials
    if credentials is not None and not isinstance(credentials, Credentials):
        kind = type(credentials).__name__
        raise QueryError(f"credentials are made with Credentials.basic, api_key or bearer, and are no {kind}")
    found = check_filter(parse_filter(request.filter), schema.fields.metadata)
    members = schema.layout.members
    seen = members.notes_of([schema.vector_field or "", *search.vector_fields])
    rerank_notes = [SORTED] if sorts else [NO_STAGE] if wants_rerank and not stages else []
    return CheckedRequest(
        query=query,
        text=text,
        filter=found,
        own=read_own_queries(text, request.lexical, search.legs, schema),
        k=sizes.k,
        offset=offset,
        cursor=cursor,
        depth=depth,
        windows=sizes.windows,
        reranks=reranks,
        passages=max(stage.passages for stage in stages) if reranks else 0,
        deadline_s=search.deadline_s if deadline_s is None else deadline_s,
        credentials=credentials,
        facts=_read_facts(request.facts),
        page=page,
        notes=(*settings.size_notes, *sizes.notes, *rerank_notes, *seen, *members.notes_on(fields_of(found))),
    )


def _read_query(query: Any) -> str:
    """The text to search for: without blanks around it, and in the spelling in which documents are indexed."""
    if query is None:
        raise QueryError("a search needs a query: a text, or lexical= with an engine's query that holds one")
    if not isinstance(query, str):
        raise QueryError(f"the query must be a text, not {_shown(query)}")
    if len(query) > MAX_QUERY_CHARS:
        raise QueryError(f"the query has {len(query)} characters; at most {MAX_QUERY_CHARS} are taken")
    if any("\ud800" <= character <= "\udfff" for character in query):
        raise QueryError("the query holds half a surrogate pair, which is no character; check its encoding")
    text = normalise_text(query).strip() or query.strip()
    if not text:
        raise QueryError("the query is empty; type at least one word")
    return text


def _read_size(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise QueryError(f"{name} must be a whole number, not {_shown(value)}")
    if value < 1:
        raise SettingsError(f"{name} must be 1 or more, not {value}")
    return int(value)


def _read_offset(request: SearchRequest) -> int:
    offset = request.offset
    if offset is None:
        return 0
    if isinstance(offset, bool) or not isinstance(offset, Integral) or offset < 0:
        raise QueryError(f"offset must be a whole number, 0 or more, not {_shown(offset)}")
    if offset and request.cursor:
        raise QueryError("offset and cursor are two ways to a page; leave one of them out")
    return int(offset)


def _check_offset(offset: int, k: int, reached: int, *, sorts: bool) -> None:
    if offset + k <= max(reached, k):
        return
    if sorts:
        raise QueryError(
            f"offset={offset} and k={k} go beyond the {reached:,} documents that a sorted order is read to"
        )
    raise QueryError(
        f"offset={offset} and k={k} go beyond the {reached} documents that the legs find; raise depth, or read page "
        "after page with a cursor"
    )


def _read_cursor(cursor: Any) -> str | bool:
    if cursor is None:
        return False
    if not isinstance(cursor, str | bool):
        raise QueryError(f"cursor is True for the first page, or what the page before gave, not {_shown(cursor)}")
    return cursor


def _read_page_size(k: int) -> int:
    if k > MAX_DEPTH:
        raise QueryError(f"k={k} is more than the {MAX_DEPTH:,} hits that a page can have")
    return k


def _read_seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise QueryError(f"{name} must be a number of seconds, not {_shown(value)}")
    if not 0 < float(value) < math.inf:
        raise QueryError(f"{name} must be more than 0 seconds, not {value}")
    return float(value)


def _read_flag(name: str, value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise QueryError(f"{name} must be True or False, not {_shown(value)}")
    return value


def _read_facts(value: Any) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise QueryError(f"facts must map names to values, not {_shown(value)}")
    return value or {}


def _shown(value: Any) -> str:
    """A value in a message, without what may be secret or long."""
    kind = type(value).__name__
    return f"{kind} {value!r}"[:80] if isinstance(value, str | int | float) and not kind.startswith("Secret") else kind
