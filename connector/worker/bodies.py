"""Bodies as clients send them: of any content type, packed or not, and never longer than is allowed."""

from __future__ import annotations

import json
import zlib
from email.message import Message

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from connector.worker.wire import build_error

GZIP = frozenset({"gzip", "x-gzip"})
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = zlib.MAX_WBITS | 16  # zlib then reads gzip's header


class BodyRefused(Exception):
    """A body that is not read any further, with the status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ReadBody:
    """Reads a request's body whole before anything else does, unpacks it, and hands it on as JSON.

    413 for one that is longer than `max_bytes`, packed or unpacked, before all of it is read; 415 for a content
    encoding other than gzip, 400 for gzip that is broken. What the content type says is not asked: curl says
    application/x-www-form-urlencoded of all that it sends, and every route reads JSON alone."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            body = await self._read(dict(scope["headers"]), receive)
        except BodyRefused as error:
            # the rest of the body is not read, so the connection cannot be used again
            headers = {"connection": "close"} | ({"accept-encoding": "gzip"} if error.status == 415 else {})
            content = build_error(scope["path"], error.status, "validation", str(error))
            return await JSONResponse(content, error.status, headers)(scope, receive, send)
        if body is None:
            return None
        replayed = False

        async def replay() -> Event:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await self._app({**scope, "headers": _headers_of(scope, body)}, replay, send)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The body; None where the caller closed the connection. Raises BodyRefused."""
        unpacker = _unpacker(headers.get(b"content-encoding", b"").decode("latin-1"))
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            raise self._too_long()
        body, packed_bytes = bytearray(), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            packed_bytes += len(part)
            body += unpacker.unpack(part, self._max_bytes + 1 - len(body)) if unpacker else part
            if max(len(body), packed_bytes) > self._max_bytes:
                raise self._too_long()
            if not message.get("more_body", False):
                if unpacker:
                    unpacker.finish()
                return _as_json_text(bytes(body), headers.get(b"content-type", b"").decode("latin-1"))

    def _too_long(self) -> BodyRefused:
        return BodyRefused(413, f"the body is longer than {self._max_bytes} bytes; send fewer or shorter passages")


class GzipUnpacker:
    """Unpacks gzip as it comes, of several members too (RFC 1952). Raises BodyRefused where it is broken."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP_WINDOW)
        self._is_empty = True  # nothing of the member was read

    def unpack(self, part: bytes, max_bytes: int) -> bytes:
        """What the part holds, no more than `max_bytes` of it."""
        found = bytearray()
        while part and len(found) < max_bytes:
            if self._member.eof:
                self._member = zlib.decompressobj(GZIP_WINDOW)
            try:
                found += self._member.decompress(part, max_bytes - len(found))
            except zlib.error as error:
                raise _broken() from error
            self._is_empty = False
            part = self._member.unused_data
        return bytes(found)

    def finish(self) -> None:
        """Raises BodyRefused where the body ended within a member."""
        if not self._member.eof and not self._is_empty:
            raise _broken()


def _as_json_text(body: bytes, content_type: str) -> bytes:
    """The body in an encoding that JSON is read in. Raises BodyRefused.

    That is UTF-8, UTF-16 or UTF-32, told by the first bytes (RFC 8259, RFC 4627). Where the body is none of them, the
    charset that the content type names is taken at its word."""
    encoding = json.detect_encoding(body)
    try:
        body.decode(encoding, "surrogatepass")
        return body
    except UnicodeDecodeError as error:
        if body.startswith(GZIP_MAGIC):
            raise BodyRefused(400, "the body is packed; say so in a header: content-encoding: gzip") from error
        message = Message()
        message["content-type"] = content_type
        try:
            return body.decode(str(message.get_param("charset") or encoding)).encode()
        except (UnicodeError, LookupError):
            raise BodyRefused(
                400,
                f"the body is not {encoding.upper()} (byte {error.start}); send JSON in UTF-8, or name its charset in "
                "the content type",
            ) from error


def _unpacker(encoding: str) -> GzipUnpacker | None:
    """What unpacks such a body; None for one that is not packed. Raises BodyRefused."""
    name = encoding.strip().lower()
    if name in GZIP:
        return GzipUnpacker()
    if name in ("", "identity"):
        return None
    raise BodyRefused(415, f"content-encoding {name[:40]!r} is not read here; send gzip, or the body as it is")


def _broken() -> BodyRefused:
    return BodyRefused(400, "the body is not whole gzip, as its content-encoding says")


def _headers_of(scope: Scope, body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of the body as it is handed on: JSON that is not packed."""
    replaced = {b"content-type", b"content-encoding", b"content-length", b"transfer-encoding"}
    kept = [(name, value) for name, value in scope["headers"] if name not in replaced]
    if not body:
        return kept
    return [*kept, (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
