"""Until the worker has POST /v1/embeddings: a strict one in front of it, which hands everything else through."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.models.encoder import Encoder
from connector.worker.serve import bind


@contextlib.contextmanager
def with_embeddings(worker_url: str, encoder: Encoder) -> Iterator[str]:
    async def embed(request: Request) -> Response:
        body = await request.json()
        assert set(body) == {"input", "model"}, body
        assert isinstance(body["input"], list), body
        assert all(isinstance(one, str) for one in body["input"]), body
        vectors = encoder.encode(body["input"]).tolist()
        data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})

    async def hand_through(request: Request) -> Response:
        async with httpx.AsyncClient(timeout=60) as client:
            headers = {
                name: value for name, value in request.headers.items() if name in ("authorization", "content-type")
            }
            reply = await client.request(
                request.method, worker_url + request.url.path, content=await request.body(), headers=headers
            )
        return Response(reply.content, reply.status_code, media_type=reply.headers.get("content-type"))

    app = Starlette(
        routes=[
            Route("/v1/embeddings", embed, methods=["POST"]),
            Route("/{path:path}", hand_through, methods=["GET", "POST"]),
        ]
    )
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
