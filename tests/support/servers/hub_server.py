"""A hub on loopback that has one repository: what huggingface_hub asks of it to fetch a model, and no more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.servers.http_server import QuietHandler, listening

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubServer:
    """`wrong_hash` is a file whose published hash is not that of what is given out. `fetched` are the files that were
    asked for."""

    repository: str
    files: Mapping[str, bytes]
    url: str = ""
    wrong_hash: str = ""
    fetched: list[str] = field(default_factory=list)

    def about(self) -> dict[str, Any]:
        """The answer of /api/models/REPOSITORY."""
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": "0" * 40, "lfs": self._lfs(name, content)}
            for name, content in self.files.items()
        ]
        card = {"license": "mit"}
        return {
            "id": self.repository,
            "modelId": self.repository,
            "sha": REVISION,
            "siblings": siblings,
            "cardData": card,
        }

    def _lfs(self, name: str, content: bytes) -> dict[str, Any] | None:
        if not name.endswith((".safetensors", ".onnx")):
            return None
        return {"size": len(content), "sha256": self.hash_of(name), "pointerSize": 130}

    def hash_of(self, name: str) -> str:
        return "f" * 64 if name == self.wrong_hash else hashlib.sha256(self.files[name]).hexdigest()


@contextmanager
def serving_hub(repository: str, files: Mapping[str, bytes]) -> Iterator[HubServer]:
    hub = HubServer(repository, files)

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix("/")
            name = path.rpartition(f"{repository}/resolve/")[2].partition("/")[2]
            if path.startswith(f"api/models/{repository}/tree"):
                entries = [
                    {"type": "file", "path": file, "size": len(hub.files[file]), "oid": "0" * 40} for file in files
                ]
                self._answer(json.dumps(entries).encode())
            elif path.startswith(f"api/models/{repository}"):
                self._answer(json.dumps(hub.about()).encode())
            elif name in hub.files:
                if self.command == "GET":
                    hub.fetched.append(name)
                self._answer(hub.files[name], {"ETag": f'"{hub.hash_of(name)}"', "X-Repo-Commit": REVISION})
            else:
                self._answer(b"{}", {"X-Error-Code": "RepoNotFound"}, 404)

        do_HEAD = do_GET

        def _answer(self, content: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    with listening(Handler) as hub.url:
        yield hub
