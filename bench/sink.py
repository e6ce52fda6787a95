"""A server that takes bulk requests as Elasticsearch 9.3 does and keeps nothing but ids: what writes to it is measured
alone.

It is as strict as an engine: each line is parsed, each field has to be in the mapping, each vector has to have the
dimensions of its field. A document that is wrong gets an error of its own.

    python bench/sink.py          # prints its URL, and serves until it is killed"""

from __future__ import annotations

import base64
import binascii
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from connector.listening import bind

ROOT = {"version": {"number": "9.3.2", "build_flavor": "default"}, "tagline": "You Know, for Search"}
MARK = {"X-Elastic-Product": "Elasticsearch"}
MAX_BYTES = 100_000_000


@contextmanager
def running_sink() -> Iterator[str]:
    """The URL of a sink that runs as a process of its own until the block ends."""
    process = subprocess.Popen([sys.executable, str(Path(__file__))], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


class Sink:
    """Indices by name: their mapping, and the ids of what was written."""

    def __init__(self) -> None:
        self._mappings: dict[str, Any] = {}
        self._ids: dict[str, set[str]] = {}
        self._aliases: dict[str, str] = {}

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BYTES)
        app.add_routes(
            [
                web.get("/", root),
                web.post("/_bulk", self.bulk),
                web.put("/_bulk", self.bulk),
                web.put("/{index}", self.create),
                web.delete("/{index}", self.drop),
                web.post("/_aliases", self.alias),
                web.get("/{index}/_mapping", self.mapping),
                web.get("/{index}/_settings/index.uuid", uuid),
                web.get("/{index}/_count", self.count),
                web.post("/{index}/_mget", self.get),
                web.post("/{index}/_refresh", refresh),
                web.post("/{index}/_bulk", self.bulk),
            ]
        )
        return app

    async def create(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read() or b"{}")
        self._mappings[request.match_info["index"]] = body.get("mappings", {})
        self._ids[request.match_info["index"]] = set()
        return await answer({"acknowledged": True})

    async def drop(self, request: web.Request) -> web.Response:
        known = self._mappings.pop(request.match_info["index"], None) is not None
        return await answer({"acknowledged": known}, 200 if known else 404)

    async def mapping(self, request: web.Request) -> web.Response:
        name = request.match_info["index"]
        if name not in self._mappings:
            return await answer({"error": {"type": "index_not_found_exception", "reason": name}, "status": 404}, 404)
        return await answer({name: {"mappings": self._mappings[name]}})

    async def alias(self, request: web.Request) -> web.Response:
        for action in orjson.loads(await request.read())["actions"]:
            self._aliases[action["add"]["alias"]] = action["add"]["index"]
        return await answer({"acknowledged": True})

    async def count(self, request: web.Request) -> web.Response:
        return await answer({"count": len(self._ids[request.match_info["index"]])})

    async def get(self, request: web.Request) -> web.Response:
        """None has a content hash that is known: whatever comes is written."""
        asked = orjson.loads(await request.read())["ids"]
        return await answer({"docs": [{"_id": doc_id, "found": False} for doc_id in asked]})

    async def bulk(self, request: web.Request) -> web.Response:
        lines = (await request.read()).splitlines()
        items, failed = [], False
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            address = orjson.loads(action)["index"]
            name, doc_id = address.get("_index") or request.match_info["index"], address["_id"]
            name = self._aliases.get(name, name)
            reason = find_fault(self._mappings[name], orjson.loads(source))
            item: dict[str, Any] = {"_index": name, "_id": doc_id, "status": 400 if reason else 201}
            if reason:
                failed, item["error"] = True, {"type": "document_parsing_exception", "reason": reason}
            else:
                self._ids[name].add(doc_id)
            items.append({"index": item})
        return await answer({"took": 1, "errors": failed, "items": items})


async def root(request: web.Request) -> web.Response:
    return await answer(ROOT)


async def uuid(request: web.Request) -> web.Response:
    return await answer({request.match_info["index"]: {"settings": {"index.uuid": "sink"}}})


async def refresh(request: web.Request) -> web.Response:
    return await answer({"_shards": {"failed": 0}})


def find_fault(mapping: dict[str, Any], source: dict[str, Any]) -> str:
    """What is wrong with a document; empty where nothing is."""
    fields = mapping["properties"]
    if unknown := source.keys() - fields.keys():
        return f"mapping set to strict, dynamic introduction of [{unknown.pop()}] is not allowed"
    passages = fields["passages"]["properties"]
    for passage in source.get("passages", ()):
        if unknown := passage.keys() - passages.keys():
            return f"mapping set to strict, dynamic introduction of [passages.{unknown.pop()}] is not allowed"
        if dims_of(passage["vector"]) != passages["vector"]["dims"]:
            return "the vector has other dimensions than the mapping"
    return ""


def dims_of(vector: str | list[float]) -> int:
    if isinstance(vector, list):
        return len(vector) if all(isinstance(value, float | int) for value in vector) else 0
    try:
        return len(base64.b64decode(vector, validate=True)) // 4
    except binascii.Error:
        return 0


async def answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=MARK, content_type="application/json")


def main() -> None:
    listener = bind("127.0.0.1", 0, choose="a port")
    listener.listen()  # before anybody is told where: aiohttp listens some milliseconds after
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    web.run_app(Sink().app(), sock=listener, print=None, access_log=None)


if __name__ == "__main__":
    main()
