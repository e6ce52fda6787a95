"""The worker as an ASGI application: what stands before the routes, and what starts and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute

from connector.metrics import WatchReplies
from connector.models.files import short_name
from connector.models.scorer import Scorer
from connector.readiness import State
from connector.settings.secrets import split_keys
from connector.settings.sections import WorkerSettings
from connector.worker.access import RequireKey
from connector.worker.bodies import ReadBody
from connector.worker.drain import Drain, RefuseWhileStopping
from connector.worker.head import AnswerHead
from connector.worker.load_headers import SayLoad
from connector.worker.models import OfferedModel
from connector.worker.refusals import AnswerFaults, add_refusals
from connector.worker.request_log import LogRequests
from connector.worker.routes.embed import embed_routes
from connector.worker.routes.rerank import rerank_routes
from connector.worker.routes.status import status_routes
from connector.worker.service import WorkerService

Announce = Callable[[State, str], None]


def create_app(
    load: Callable[[], Scorer],
    settings: WorkerSettings,
    more: Sequence[OfferedModel] = (),
    *,
    drain: Drain | None = None,
    announce: Announce = lambda state, error: None,
) -> FastAPI:
    """The application. `load` makes the first reranker, in a thread, after the server has started to listen, and what
    became of it is announced; `more` models are loaded when somebody asks for them."""
    service = WorkerService([OfferedModel("rerank", short_name(settings.model), load), *more], settings)

    async def start() -> None:
        failure = await service.models.start()
        announce("failed" if failure else "ready", failure)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(start())
        yield
        loading.cancel()
        service.close()
        await asyncio.to_thread(service.traces.close)

    app = FastAPI(title="connector worker", version=version("hybrid-search-connector"), lifespan=lifespan)
    routers = [rerank_routes(service), embed_routes(service), status_routes(service)]
    for router in routers:
        app.include_router(router)
    add_refusals(app)
    # the OpenAPI document has the same, and takes longer to make than all else here
    paths = frozenset(route.path for router in routers for route in router.routes if isinstance(route, APIRoute))
    # each stands before those above it
    app.add_middleware(ReadBody, max_bytes=settings.max_body_bytes)
    app.add_middleware(RequireKey, keys=split_keys(settings.api_keys))
    app.add_middleware(RefuseWhileStopping, drain=drain or Drain())
    app.add_middleware(SayLoad, queue=service.queue)
    app.add_middleware(AnswerFaults)
    app.add_middleware(AnswerHead)
    app.add_middleware(WatchReplies, on_reply=service.metrics.count_request, paths=paths)
    app.add_middleware(LogRequests, level=settings.access_log, paths=paths)
    service.traces.watch(app)
    return app
