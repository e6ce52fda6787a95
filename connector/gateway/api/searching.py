"""POST /v1/search: the library's request and response as JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from connector.gateway.api.bodies import JsonRoute, json_reply
from connector.gateway.api.indexes import ServedIndexes
from connector.gateway.api.metrics import ApiMetrics
from connector.gateway.api.slow import log_slow
from connector.gateway.credentials import read_credentials
from connector.gateway.problems import documented
from connector.search.as_json import ResponseJson, response_as_json
from connector.types import SearchResponse

NOT_KEPT = "this query was not kept for feedback: too much waits to be written"
KeepQuery = Callable[[SearchResponse, str, str], bool]  # an answer, its id, and the index that was searched
NO_OPTIONS = frozenset({"index", "query"})
Named = bool | str | list[str] | dict[str, Any]


class SearchJson(BaseModel):
    """A search: the index, and the options of `connector.SearchOptions`, each None where the settings decide."""

    model_config = ConfigDict(extra="forbid", strict=True)

    index: str | None = Field(None, description="index.name, or one of gateway.indexes; index.name when left out")
    query: str | None = Field(None, description="the text; may be left out where lexical holds it")
    lexical: dict[str, Any] | None = Field(None, description="the application's own query, as the engine words it")
    filter: str | dict[str, Any] | list[str | dict[str, Any]] | None = Field(
        None, description="text (date>=2024-01-15), JSON, or a list of either, joined by and"
    )
    k: int | None = Field(None, ge=1, description="hits of the answer")
    offset: int | None = Field(None, ge=0, description="hits that are left out before the first")
    cursor: str | bool | None = Field(
        None, description="true: pages that hold still begin; then what the page before gave"
    )
    depth: int | None = Field(None, ge=1, description="hits of each leg")
    window: int | None = Field(None, ge=1, description="hits that the first rerank stage sees; no fewer than k")
    rerank: bool | None = Field(None, description="whether anything is reranked")
    deadline_s: float | None = Field(None, gt=0, description="seconds that the search may take")
    facts: dict[str, Any] | None = Field(None, description="what the caller knows of the request, for rules of stages")
    total: bool | int | None = Field(None, description="up to how many documents are counted; true: all")
    aggs: dict[str, Any] | None = Field(None, description="aggregations, as the engine words them")
    facets: Literal["lexical", "union"] | None = Field(None, description="what total and aggs count")
    highlight: Named | None = Field(None, description="options, names of fields, or true for all text fields")
    source: Named | None = Field(None, description="the fields that a hit shows")
    collapse: str | None = Field(None, description="a field of which each value is shown once")
    sort: str | dict[str, Any] | list[Any] | None = Field(
        None, description="an order that takes the place of fusion and rerank"
    )


class SearchAnswer(ResponseJson):
    """The answer, and the id by which events refer to it."""

    query_id: str


def search_routes(indexes: ServedIndexes, metrics: ApiMetrics, keep: KeepQuery) -> APIRouter:
    """The route, for an application; `keep` keeps what was searched and shown."""
    router = APIRouter(route_class=JsonRoute)

    @router.post(
        "/v1/search",
        response_model=None,
        responses={
            200: {"model": SearchAnswer, "description": "the best documents, by the deadline"},
            **documented(400, 401, 403, 404, 410, 413, 421, 422, 500, 502, 503),
        },
    )
    async def search(body: SearchJson, request: Request) -> Response:
        """The best documents for a query. The caller's Authorization is what the cluster is asked with."""
        lazy = indexes.get(body.index)
        credentials = read_credentials(request, lazy.settings)
        connector = await lazy.get()
        given = {name: getattr(body, name) for name in body.model_fields_set - NO_OPTIONS}
        response = await connector.search(body.query, **given, credentials=credentials)
        query_id = uuid.uuid4().hex
        metrics.count_search(response)
        log_slow(response, query_id, lazy.settings.gateway)
        if not keep(response, query_id, lazy.settings.index.name):
            response = replace(response, notes=(*response.notes, NOT_KEPT))
        return json_reply(dumps({"query_id": query_id, **response_as_json(response)}))

    return router


def dumps(value: Any) -> bytes:
    """As JSON, also what orjson does not take: numbers beyond 64 bits, half characters."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value).encode()
