"""How a request of ours reaches the engine: by itself, or with others in one `_msearch`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import orjson

from connector.errors import ClusterError
from connector.gateway.exchange import BufferedReply, BufferedRequest, Headers, Upstream
from connector.gateway.reading.coding import decoded, with_accepted
from connector.gateway.reading.parameters import Parameters, RequestKind
from connector.gateway.reading.raw_json import RAW_LIST, Raw, members

STATUS_OK = 200


class Sender(Protocol):
    """Sends a body of a `_search` where the caller's own went."""

    async def ask(self, kind: RequestKind, body: bytes, more: bytes = b"") -> BufferedReply:
        """The reply; `more` are further parameters of the URL, which the caller's own come before. Raises
        UpstreamAway."""
        ...


@dataclass(frozen=True, slots=True)
class SingleSender:
    """Each request by itself, to the caller's own path, with the caller's headers and what of its URL is the leg's."""

    upstream: Upstream
    raw_path: bytes
    parameters: Parameters
    headers: Headers
    coding: bytes = b""  # that the caller takes: the lexical leg tells whether the engine uses it

    async def ask(self, kind: RequestKind, body: bytes, more: bytes = b"") -> BufferedReply:
        given = set(self.parameters.names())
        added = [piece for piece in more.split(b"&") if piece.partition(b"=")[0].decode() not in given]
        query_string = b"&".join(filter(None, (self.parameters.of(kind), *added)))
        headers = with_accepted(self.headers, self.coding if kind == "lexical" else b"")
        return await self.upstream.send(BufferedRequest("POST", self.raw_path, query_string, headers, body))


class BatchFailed(ClusterError):
    """The engine did not answer an `_msearch` of ours with one reply for each of its searches."""


@dataclass(slots=True)
class Batch:
    """The searches that go to the engine as one `_msearch`. It is sent once `expected` are there, or `send` is called;
    what comes later goes by itself."""

    upstream: Upstream
    raw_path: bytes
    query_string: bytes
    headers: Headers
    as_int: bool  # totals are written as plain numbers, which the engines do for exact ones alone
    expected: int
    coding: bytes = b""  # that the caller takes; whether the engine uses it stands in `reply_headers`
    _lines: list[bytes] = field(default_factory=list)
    _waiting: list[asyncio.Future[BufferedReply]] = field(default_factory=list)
    _sending: asyncio.Task[None] | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)  # or refused, or broken off
    failed: Exception | None = None  # why none of its searches has a reply
    reply_headers: Headers | None = None

    @property
    def is_open(self) -> bool:
        return self._sending is None

    async def ask(self, head: bytes, body: bytes, *, ours: bool = True) -> BufferedReply:
        """The reply to one of the searches; one of the caller's goes as it came. Raises BatchFailed, UpstreamAway."""
        waiting: asyncio.Future[BufferedReply] = asyncio.get_running_loop().create_future()
        self._lines += [head, self._fitting(body) if ours else body]
        self._waiting.append(waiting)
        if len(self._waiting) >= self.expected:
            self.send()
        return await waiting

    def send(self) -> None:
        if self._sending is None and self._waiting:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    def another(self, expected: int = 0, *, coding: bytes = b"") -> Batch:
        """An empty one that goes the same way."""
        return Batch(self.upstream, self.raw_path, self.query_string, self.headers, self.as_int, expected, coding)

    async def close(self) -> None:
        """End what is under way."""
        if self._sending and not self._sending.done():
            self._sending.cancel()
            await asyncio.wait([self._sending])

    async def _send(self) -> None:
        body = b"".join(line + b"\n" for line in self._lines)
        try:
            headers = with_accepted(self.headers, self.coding)
            reply = await self.upstream.send(BufferedRequest("POST", self.raw_path, self.query_string, headers, body))
            replies = read_responses(decoded(reply), len(self._waiting))
            self.reply_headers = reply.headers
        except Exception as error:  # each that waits raises it
            self.failed = error
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        finally:
            self.answered.set()
        for waiting, response in zip(self._waiting, replies, strict=True):
            if not waiting.done():
                waiting.set_result(response)

    def _fitting(self, body: bytes) -> bytes:
        if not self.as_int:
            return body
        parts: dict[str, Any] = dict(members(body))
        if bytes(parts.get("track_total_hits", Raw(b"true"))) == b"false":
            parts["track_total_hits"] = True
        return msgspec.json.encode(parts)


def read_responses(reply: BufferedReply, count: int) -> list[BufferedReply]:
    """The replies in an `_msearch`, each with its own status. Raises BatchFailed where it has not so many."""
    if reply.status != STATUS_OK:
        raise BatchFailed(f"status {reply.status}")
    try:
        found = RAW_LIST.decode(members(reply.body)["responses"])
        statuses = [orjson.loads(bytes(members(response)["status"])) for response in found]
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise BatchFailed("an answer that is no _msearch") from error
    if len(found) != count:
        raise BatchFailed(f"{len(found)} replies to {count} searches")
    return [
        BufferedReply(int(status), reply.headers, bytes(response))
        for status, response in zip(statuses, found, strict=True)
    ]


@dataclass(slots=True)
class BatchSender:
    """The requests of one search of an `_msearch`: its first ones in the batch, others by themselves."""

    batch: Batch
    head: bytes

    async def ask(self, kind: RequestKind, body: bytes, more: bytes = b"") -> BufferedReply:
        if self.batch.is_open and kind != "words":  # for which the others do not wait
            return await self.batch.ask(self.head, body)
        return await self.batch.another(1).ask(self.head, body)
