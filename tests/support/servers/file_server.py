"""A server of files on loopback, as a Maven repository is: with ranges, and with the faults that a test asks for."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.servers.http_server import QuietHandler, listening


@dataclass
class FileServer:
    """`ends_after` has, for one reply after the other, how many bytes come before the line is cut; `statuses` what is
    answered instead. `seen` are the requests: path, Range and Authorization."""

    files: Mapping[str, bytes]
    url: str = ""
    knows_ranges: bool = True
    sends_on_to: str = ""  # a server that has the files: 302
    user: str = ""  # name:password, without which it answers 401
    ends_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    seen: list[tuple[str, str, str]] = field(default_factory=list)


@contextmanager
def serving_files(files: Mapping[str, bytes]) -> Iterator[FileServer]:
    server = FileServer(files)

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted, credentials = self.headers.get("range", ""), self.headers.get("authorization", "")
            server.seen.append((self.path, wanted, credentials))
            content = server.files.get(self.path.removeprefix("/"))
            expected = f"Basic {base64.b64encode(server.user.encode()).decode()}"
            if server.statuses:
                self._answer(server.statuses.pop(0))
            elif server.user and credentials != expected:
                self._answer(401)
            elif server.sends_on_to:
                self._answer(302)
            elif content is None:
                self._answer(404)
            elif wanted and server.knows_ranges:
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
                if start >= len(content):
                    self._answer(416)
                else:
                    self._answer(206, content[start:], f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self._answer(200, content)

        def _answer(self, status: int, content: bytes = b"", content_range: str = "") -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            if status == 302:
                self.send_header("location", server.sends_on_to + self.path)
            if content_range:
                self.send_header("content-range", content_range)
            self.end_headers()
            ends = server.ends_after.pop(0) if server.ends_after and content else len(content)
            with contextlib.suppress(ConnectionError):  # a client that has had enough of a file that is too long
                self.wfile.write(content[:ends])
            self.close_connection = ends < len(content)

    with listening(Handler) as server.url:
        yield server
