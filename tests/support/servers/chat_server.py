"""A strict OpenAI-compatible endpoint on loopback, whose answers the test decides."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.servers.http_server import QuietHandler, listening

KNOWN = {"model", "messages", "temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens"}
QUOTED = re.compile(r"Query: <quoted (\w+)>\n(.*)\n</quoted \1>\nPassage: <quoted \1>\n(.*)\n</quoted \1>\n", re.DOTALL)


@dataclass
class ChatServer:
    """What was asked, and what is answered: `answer` is given the query and the passage as the endpoint can tell them
    apart by their marks. `refusals` are sent first, each a status, a body and headers."""

    answer: Callable[[str, str], str]
    model: str = "stub"
    api_key: str = ""
    refusals: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    most_at_once: int = 0
    finish: str = "stop"

    def pairs(self) -> list[tuple[str, str]]:
        """The query and the passage of each request."""
        return [read_pair(request) for request in self.requests]


def read_pair(request: dict[str, Any]) -> tuple[str, str]:
    found = QUOTED.search(request["messages"][1]["content"])
    assert found
    return found[2], found[3]


@contextmanager
def chat_server(answer: Callable[[str, str], str], **options: Any) -> Iterator[ChatServer]:
    server = ChatServer(answer, **options)
    lock, under_way = threading.Lock(), [0]

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                under_way[0] += 1
                server.most_at_once = max(server.most_at_once, under_way[0])
                refusal = server.refusals.pop(0) if server.refusals else None
            try:
                status, reply, headers = refusal or self.complete(body)
            finally:
                with lock:
                    under_way[0] -= 1
            content = json.dumps(reply).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def complete(self, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
            if why := self.why_not(body):
                return 400, {"error": {"message": why}}, {}
            if server.api_key and self.headers["authorization"] != f"Bearer {server.api_key}":
                return 401, {"error": {"message": "Incorrect API key provided"}}, {}
            with lock:
                server.requests.append(body)
            message = {"role": "assistant", "content": server.answer(*read_pair(body))}
            usage = {"prompt_tokens": len(str(body["messages"])) // 4, "completion_tokens": 6}
            choice = {"index": 0, "message": message, "finish_reason": server.finish}
            return 200, {"object": "chat.completion", "choices": [choice], "usage": usage}, {}

        def why_not(self, body: dict[str, Any]) -> str:
            roles = [message["role"] for message in body["messages"]]
            if self.path != "/v1/chat/completions":
                return f"no such path: {self.path}"
            if unknown := set(body) - KNOWN:
                return f"unknown parameters {sorted(unknown)}"
            if body["model"] != server.model or body["temperature"] != 0:
                return "another model, or another temperature"
            if roles != ["system", *["user", "assistant"] * (len(roles) // 2)][: len(roles)] or roles[-1] != "user":
                return f"roles must alternate: {roles}"
            if not all(isinstance(message["content"], str) and message["content"] for message in body["messages"]):
                return "a message has no text"
            return ""

    with listening(Handler) as url:
        server.url = f"{url}/v1"
        yield server
