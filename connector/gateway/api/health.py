"""GET /v1/health: whether the cluster, the encoder and the rerankers are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Response
from typing_extensions import TypedDict

from connector.errors import ConnectorError
from connector.gateway.api.bodies import json_reply
from connector.gateway.lazy_connector import LazyConnector
from connector.settings.sections import Settings
from connector.wiring import open_cluster, open_reranker

CHECK_S = 2.0
HealthState = Literal["ready", "degraded", "not ready"]


class PartState(TypedDict):
    """A part, and why it is not ready."""

    ready: bool
    detail: str


class Health(TypedDict):
    """`degraded`: searches are answered, but not reranked. `parts`: index, cluster, encoder, and rerankers by name."""

    status: HealthState
    parts: dict[str, PartState]


def health_routes(lazy: LazyConnector) -> APIRouter:
    """The routes, for an application."""
    router = APIRouter()
    answers: dict[int | str, dict[str, Any]] = {
        status: {"model": Health, "description": text} for status, text in HEALTH_WORDS.items()
    }

    @router.get("/v1/health", response_model=None, responses=answers)
    async def health() -> Response:
        """Each part of a search, asked now. 503 where no search can be answered."""
        found = await look(lazy)
        return json_reply(orjson.dumps(found), 503 if found["status"] == "not ready" else 200)

    @router.get("/v1/health/live", response_model=None, responses={200: {"model": dict[str, str]}})
    async def live() -> Response:
        """200 as long as the process answers; nothing else is asked."""
        return json_reply(orjson.dumps({"status": "live"}))

    return router


HEALTH_WORDS = {200: "searches are answered, perhaps in part", 503: "no search can be answered"}


async def look(lazy: LazyConnector) -> Health:
    """Ask all parts at once."""
    settings = lazy.settings
    names = dict.fromkeys(str(stage.reranker) for stage in settings.search.rerank)
    cluster, index, *rerankers = await asyncio.gather(
        _part(_ask_cluster(settings)), _part(_open(lazy)), *(_part(_ask_reranker(settings, name)) for name in names)
    )
    encoder = PartState(ready=index["ready"], detail=lazy.encoder_state)
    parts = {"cluster": cluster, "index": index, "encoder": encoder}
    parts |= {f"reranker {name}": state for name, state in zip(names, rerankers, strict=True)}
    if not (cluster["ready"] and index["ready"]):
        return Health(status="not ready", parts=parts)
    return Health(status="ready" if all(part["ready"] for part in rerankers) else "degraded", parts=parts)


async def _part(asked: Awaitable[None]) -> PartState:
    try:
        async with asyncio.timeout(CHECK_S):
            await asked
    except TimeoutError:
        return PartState(ready=False, detail=f"no answer within {CHECK_S:g} s")
    except ConnectorError as error:
        return PartState(ready=False, detail=str(error))
    return PartState(ready=True, detail="")


async def _ask_cluster(settings: Settings) -> None:
    cluster = await open_cluster(settings)
    await cluster.close()


async def _open(lazy: LazyConnector) -> None:
    await asyncio.shield(lazy.get())


async def _ask_reranker(settings: Settings, name: str) -> None:
    """With a client of its own: one that searches remembers what it was told."""
    reranker = open_reranker(settings, name)
    try:
        await reranker.info(timeout_s=CHECK_S)
    finally:
        await reranker.close()
