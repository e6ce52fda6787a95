"""The nouns of the gateway: a request, its reply, and who may answer in the engine's place.

Headers are pairs of raw bytes everywhere: their case, their order and their repeats survive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from connector.errors import ClusterUnavailable

Headers = tuple[tuple[bytes, bytes], ...]
RERANK_HEADER = b"X-Rerank"  # what a caller wishes for one request, and what a reply says was done
RERANK_KEY = RERANK_HEADER.lower()  # by which it is found


@dataclass(frozen=True, slots=True)
class BufferedRequest:
    """A request whose body is whole. `raw_path` is what stands before the first `?`, as the caller wrote it.

    Its headers are those that may go on to the engine: hop-by-hop ones and the framing are gone. Of a request with
    Transfer-Encoding or `Content-Encoding` the body is what the caller encoded, without its chunks."""

    method: str
    raw_path: bytes
    query_string: bytes
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class BufferedReply:
    """A reply whose body is whole. Its headers have no framing: the gateway writes the length of `body`."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class NotIntercepted:
    """The same request goes on to the engine as it came; `reason` goes into the reply's header: a word or two."""

    reason: str


Interception = BufferedReply | NotIntercepted


class UpstreamAway(ClusterUnavailable):
    """No node of the cluster could be reached, or the connection broke before the reply was whole."""


class Upstream(Protocol):
    """The engine behind the gateway."""

    async def send(self, request: BufferedRequest) -> BufferedReply:
        """Send one request; its reply, whole. Raises UpstreamAway."""
        ...


class Interceptor(Protocol):
    """Who answers some requests in the engine's place."""

    def wants(self, method: str, raw_path: bytes) -> bool:
        """Whether it wants to see such a request, whose body is then kept whole up to a limit. Called for each
        request, so it must cost next to nothing."""
        ...

    async def answer(self, request: BufferedRequest, upstream: Upstream) -> Interception:
        """The reply, or why the request passes through. Whatever else it raises passes through as well."""
        ...

    async def close(self) -> None: ...
