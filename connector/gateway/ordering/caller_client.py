"""The client through which an index of the cluster is asked for a caller's search: the caller's own path, parameters
and headers, and nobody's credentials but the caller's."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
from pydantic import SecretStr

from connector.clusters.failures import garbled, refusal
from connector.credentials import Credentials
from connector.errors import ClusterError, ClusterUnavailable, UsageError
from connector.gateway.exchange import BufferedReply, Headers
from connector.gateway.ordering.sender import Sender
from connector.gateway.reading.parameters import RequestKind
from connector.gateway.reading.raw_json import Raw, write
from connector.gateway.reading.who_asks import has_credentials
from connector.settings.sections import ClusterSettings

STATUS_ERROR = 400


class CallerClient:
    """A `Client` of the clusters' room. Only searches are asked."""

    def __init__(
        self,
        sender: Sender,
        headers: Headers,
        settings: ClusterSettings,
        shared: Mapping[str, Raw],
        indices: Collection[str] | None = None,
    ) -> None:
        """`shared` are parts of the caller's body that hold for every search: fields that only it knows of. Hits of
        other `indices` are an error."""
        self._sender = sender
        self._settings = settings
        self._shared = shared
        self._authorized = has_credentials(headers)
        self._headers = headers
        self._kind: RequestKind = "dense"
        self._indices = indices
        self.has_strayed = False  # a hit was of another index

    @property
    def has_credentials(self) -> bool:
        return self._authorized

    @property
    def credentials(self) -> Credentials | None:
        """The caller's own, for an index that is not at the caller's path; None where no Authorization header says
        them."""
        authorization = next((value for key, value in self._headers if key.lower() == b"authorization"), None)
        return Credentials(SecretStr(authorization.decode("latin-1"))) if authorization else None

    def for_words(self) -> CallerClient:
        """The same, for what is asked of the query's words beside the legs."""
        other = copy.copy(self)
        other._kind = "words"
        return other

    async def send(self, leg: RequestKind, body: bytes, *, more: bytes = b"", timeout_s: float) -> BufferedReply:
        """The reply to a leg, whatever its status. Raises ClusterUnavailable."""
        try:
            async with asyncio.timeout(max(timeout_s, 0)):
                return await self._sender.ask(leg, body, more)
        except TimeoutError:
            raise ClusterUnavailable("the engine did not answer in time") from None

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        """The reply to a search; it goes to the caller's own path. Raises ClusterError."""
        if not path.endswith("/_search"):
            raise UsageError(f"a caller's search asks for searches alone, not for {path}")
        more = urlencode(params or {}).encode()
        content = write({**body, **self._shared})
        return self.read(await self.send(self._kind, content, more=more, timeout_s=timeout_s))

    def read(self, reply: BufferedReply) -> dict[str, Any]:
        """The reply as JSON. Raises ClusterError for a refusal, and for what is no reply to a search."""
        try:
            found = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            found = None
        if reply.status >= STATUS_ERROR:
            raise refusal(self._settings, reply.status, found, asker="the caller's credentials")
        if not isinstance(found, dict):
            raise garbled(self._settings)
        if not _has_hits(found):
            raise ClusterError(f"{self._settings.url} answered a search with something that is no reply to one")
        if self._indices is not None and any(hit.get("_index") not in self._indices for hit in found["hits"]["hits"]):
            self.has_strayed = True
            raise ClusterError("a hit of an index that does not stand behind that name")
        return found

    async def bulk(
        self, index: str, lines: Sequence[bytes], *, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        raise ClusterError("a caller's search writes nothing")

    def as_caller(self, credentials: Credentials) -> CallerClient:
        return self

    async def close(self) -> None:
        """Its connections are the gateway's."""


def _has_hits(reply: Mapping[str, Any]) -> bool:
    """Whether the reply is as each engine's to a search: with a list of hits, each with its score."""
    found = reply.get("hits")
    hits = found.get("hits") if isinstance(found, dict) else None
    return isinstance(hits, list) and all(
        isinstance(hit, dict) and isinstance(hit.get("_score", ""), int | float | None) for hit in hits
    )
