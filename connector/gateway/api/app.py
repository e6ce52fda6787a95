"""The API as an application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from connector.gateway.api.bodies import LimitBody
from connector.gateway.api.events import event_routes, query_keeper
from connector.gateway.api.health import health_routes
from connector.gateway.api.hosts import CheckHost
from connector.gateway.api.indexes import ServedIndexes
from connector.gateway.api.keeping import open_keeper
from connector.gateway.api.metrics import ApiMetrics, WatchRequests, metrics_routes
from connector.gateway.api.page import docs_routes
from connector.gateway.api.searching import search_routes
from connector.gateway.encoder import SharedEncoder
from connector.gateway.lazy_connector import LazyConnector, NotOpen
from connector.gateway.outcomes import Outcomes
from connector.gateway.problems import ProblemJson, add_problems
from connector.gateway.spans import SERVICE
from connector.gateway.ui.app import create_ui
from connector.judging.page.guard import allowed_hosts
from connector.settings.sections import Settings
from connector.traces import open_spans, watch_requests

UNTRACED = "v1/health,metrics"


def create_api(
    settings: Settings, encoder: SharedEncoder | None = None, *, outcomes: Outcomes | None = None
) -> FastAPI:
    """The application, which begins to open the index when the server starts; `encoder` and `outcomes` are those of a
    gateway in the same process."""
    shared, metrics = encoder or SharedEncoder(settings), ApiMetrics(outcomes)
    lazy = LazyConnector(settings, shared)
    page = create_ui(lazy)
    keeper = open_keeper(settings, metrics)
    otlp_url = settings.gateway.otlp_url
    spans = open_spans(otlp_url, service=SERVICE, setting="gateway.otlp_url") if otlp_url else None

    async def open_early() -> None:
        with contextlib.suppress(NotOpen):  # it is logged, and tried again with the next request
            await lazy.get()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        early = asyncio.create_task(open_early())
        if keeper:
            keeper.start()
        yield
        early.cancel()
        await asyncio.wait([early])
        await page.runs.close()
        await lazy.close()
        if encoder is None:
            shared.close()
        if keeper:
            await keeper.close()
        if spans:
            await asyncio.to_thread(spans.shutdown)

    app = _Api(
        title="connector",
        version=version("hybrid-search-connector"),
        summary="Hybrid search with reranking: the requests and responses of the Python library as JSON",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    application = settings.index.name
    routers = [search_routes(ServedIndexes(lazy), metrics, query_keeper(keeper)), event_routes(keeper, application)]
    routers += [metrics_routes(metrics), docs_routes(app), health_routes(lazy)]
    for router in routers:
        app.include_router(router)
    app.mount("/ui", page.app)
    add_problems(app)
    app.add_middleware(LimitBody, max_bytes=settings.gateway.max_search_bytes)
    app.add_middleware(CheckHost, hosts=allowed_hosts(settings.gateway.host, settings.gateway.api_hosts))
    app.add_middleware(WatchRequests, metrics=metrics, paths=documented_paths(routers))
    if spans:
        watch_requests(app, spans, untraced=UNTRACED)
    app.state.lazy = lazy
    return app


def documented_paths(routers: Iterable[APIRouter]) -> frozenset[str]:
    """Those of the OpenAPI document, which takes longer to make than all else of an application."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return frozenset(route.path for route in routes if route.include_in_schema)


class _Api(FastAPI):
    """Its document has the problems, which no route names as its model."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "ProblemJson" not in schemas:
            found = TypeAdapter(ProblemJson).json_schema(ref_template="#/components/schemas/{model}")
            schemas |= found.pop("$defs", {})
            schemas["ProblemJson"] = found
        return document
