"""The worker as an ASGI application: what stands before the routes, and what starts and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import version

from fastapi import FastAPI

from connector.models.files import short_name
from connector.models.scorer import Scorer
from connector.settings.sections import WorkerSettings, split_keys
from connector.worker.access import BodyLimit, RequireKey
from connector.worker.metrics import CountRequests
from connector.worker.models import OfferedModel
from connector.worker.refusals import add_refusals
from connector.worker.routes.embed import embed_routes
from connector.worker.routes.rerank import rerank_routes
from connector.worker.routes.status import status_routes
from connector.worker.service import WorkerService


def create_app(load: Callable[[], Scorer], settings: WorkerSettings, more: Sequence[OfferedModel] = ()) -> FastAPI:
    """The application. `load` makes the first reranker, in a thread, after the server has started to listen; `more` models are
    loaded when somebody asks for them."""
    service = WorkerService([OfferedModel("rerank", short_name(settings.model), load), *more], settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(service.models.start())
        yield
        loading.cancel()
        service.close()
        await asyncio.to_thread(service.traces.close)

    app = FastAPI(title="connector worker", version=version("hybrid-search-connector"), lifespan=lifespan)
    routers = [rerank_routes(service), embed_routes(service), status_routes(service)]
    for router in routers:
        app.include_router(router)
    add_refusals(app)
    paths = frozenset(app.openapi()["paths"])
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(RequireKey, keys=split_keys(settings.api_keys))
    app.add_middleware(CountRequests, metrics=service.metrics, paths=paths)
    service.traces.watch(app)
    return app
