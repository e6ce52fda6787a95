"""A worker's application in a test: how it is asked, and what its errors say."""

from __future__ import annotations

from typing import Any

import httpx
from support.parts import wait_until

from connector.settings.sections import WorkerSettings

SETTINGS = WorkerSettings(max_body_bytes=20_000, max_pairs=20)
PASSAGES = ["blue bird", "red fish", "red bird"]
TEI, COHERE = "/rerank", "/v2/rerank"
LIST = {TEI: "texts", "/v1/rerank": "documents", COHERE: "documents"}


def wait_ready(url: str) -> str:
    wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
    return url


def post(url: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
    return httpx.post(url + path, json=body, **options)


def rerank(
    url: str, path: str, query: str = "red fish", passages: list[Any] | None = None, **more: Any
) -> httpx.Response:
    return post(url, path, {"query": query, LIST[path]: PASSAGES if passages is None else passages, **more})


def message(reply: httpx.Response) -> str:
    """The words of an error, and a check of its dialect's shape."""
    body = reply.json()
    match reply.url.path:
        case "/score" | "/v1/score":
            assert set(body["error"]) == {"message", "type", "param", "code"}
            assert body["error"]["code"] == reply.status_code
            return str(body["error"]["message"])
        case "/v1/rerank":
            assert body == {"message": body["detail"], "detail": body["detail"]}
            return str(body["detail"])
        case "/v2/rerank":
            assert set(body) == {"message"}
            return str(body["message"])
        case _:
            assert set(body) == {"error", "error_type"}
            return str(body["error"])
