"""POST /v1/events: what users did with an answer, under the field names of User Behavior Insights."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from connector.gateway.api.bodies import JsonRoute, json_reply
from connector.gateway.api.keeping import Keeper
from connector.gateway.problems import ApiRefusal, documented
from connector.settings.gateway import MAX_EVENTS
from connector.types import SearchResponse

SHORT = Field(None, max_length=200)


class EventObject(BaseModel):
    """What was acted on: `object_id` is the document's id."""

    model_config = ConfigDict(extra="allow", strict=True)

    object_id: str = Field(min_length=1, max_length=1_024)
    object_id_field: str | None = SHORT


class EventPosition(BaseModel):
    """Where it stood: `ordinal` is the hit's rank, from 1."""

    model_config = ConfigDict(extra="allow", strict=True)

    ordinal: int | None = Field(None, ge=0, le=1_000_000)


class EventAttributes(BaseModel):
    """All else of an event, such as `dwell_time`; any names are taken."""

    model_config = ConfigDict(extra="allow", strict=True)

    object: EventObject | None = None
    position: EventPosition | None = None


class EventJson(BaseModel):
    """One event: a click, something put into a cart, a time spent reading."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action_name: str = Field(min_length=1, max_length=200, description="click, add_to_cart, impression, dwell, ...")
    query_id: str = Field(min_length=1, max_length=200, description="that of the answer")
    application: str | None = SHORT
    session_id: str | None = SHORT
    client_id: str | None = SHORT
    timestamp: str | None = Field(None, max_length=64, description="ISO 8601; the time of arrival when left out")
    message_type: str | None = SHORT
    message: str | None = Field(None, max_length=8_000)
    event_attributes: EventAttributes | None = None


class EventsAccepted(TypedDict):
    """So many events were taken."""

    accepted: int


def event_routes(keeper: Keeper | None, application: str) -> APIRouter:
    """The route, for an application; None where the settings name no place for events."""
    router = APIRouter(route_class=JsonRoute)

    @router.post(
        "/v1/events",
        response_model=None,
        status_code=202,
        responses={
            202: {"model": EventsAccepted, "description": "they are written by and by"},
            **documented(400, 404, 413, 421, 422, 500, 503),
        },
    )
    async def take(events: EventJson | list[EventJson]) -> Response:
        """Take one event, or a list. All are taken, or none."""
        if keeper is None:
            message = "no events are kept here: set gateway.events_file or gateway.events_index"
            raise ApiRefusal(404, "events-off", message)
        found = events if isinstance(events, list) else [events]
        if len(found) > MAX_EVENTS:
            raise ApiRefusal(413, "too-many-events", f"send at most {MAX_EVENTS} events in one request")
        if not keeper.put("events", [_line(event, application) for event in found]):
            message = "too many events wait to be written; send these again later"
            raise ApiRefusal(503, "events-full", message, {"retry-after": "5"})
        return json_reply(orjson.dumps({"accepted": len(found)}), 202)

    return router


def query_line(response: SearchResponse, query_id: str, application: str) -> dict[str, Any]:
    """A search and what it showed, as a line of ubi_queries."""
    return {
        "application": application,
        "query_id": query_id,
        "timestamp": _now(),
        "user_query": response.query,
        "query_response_hit_ids": [hit.doc_id for hit in response.hits],
    }


def query_keeper(keeper: Keeper | None) -> Callable[[SearchResponse, str, str], bool]:
    """What keeps a search; False where there was no room for it."""

    def keep(response: SearchResponse, query_id: str, application: str) -> bool:
        return keeper is None or keeper.put("queries", [query_line(response, query_id, application)])

    return keep


def _line(event: EventJson, application: str) -> dict[str, Any]:
    given = event.model_dump(exclude_none=True)
    timestamp = given.pop("timestamp", None)
    return {"application": application, "timestamp": _checked(timestamp) if timestamp else _now(), **given}


def _checked(timestamp: str) -> str:
    try:
        datetime.fromisoformat(timestamp)
    except ValueError:
        message = f"timestamp is {timestamp!r}; give ISO 8601, as 2026-01-31T12:00:00Z, or leave it out"
        raise ApiRefusal(422, "wrong-timestamp", message) from None
    return timestamp


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
