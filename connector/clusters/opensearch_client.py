"""OpenSearch's official client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import opensearchpy
import orjson

from connector.clusters.clients import (
    MAX_CONNECTIONS,
    Asking,
    refusing_redirects,
    require_object,
    tls_options,
    with_port,
)
from connector.clusters.failures import broken, garbled, late
from connector.settings.sections import ClusterSettings

MIN_TIMEOUT_S = 0.001  # to aiohttp, 0 and less mean for ever


class OpenSearchClient(Asking):
    """`opensearchpy.AsyncOpenSearch`. It retries nothing by itself: a request has one deadline."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__(settings)
        self._client = opensearchpy.AsyncOpenSearch(
            [with_port(settings.url)],
            connection_class=_OpenSearchConnection,
            maxsize=MAX_CONNECTIONS,
            max_retries=0,
            retry_on_timeout=False,
            http_compress=settings.compress,
            serializer=_OrjsonSerializer(),
            **tls_options(settings),
        )

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        timed = {**(params or {}), "request_timeout": max(timeout_s, MIN_TIMEOUT_S)}
        call = self._client.transport.perform_request(method, path, params=timed, body=body, headers=self.header())
        return await self._reply(call, path)

    async def bulk(
        self, index: str, lines: Sequence[bytes], *, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        timed = {**(params or {}), "request_timeout": max(timeout_s, MIN_TIMEOUT_S)}
        call = self._client.bulk(body=b"".join(lines), index=index, params=timed, headers=self.header())
        return await self._reply(call, f"/{index}/_bulk")

    async def close(self) -> None:
        await self._client.close()

    async def _reply(self, call: Any, path: str) -> dict[str, Any]:
        try:
            reply = await call
        except opensearchpy.exceptions.ConnectionTimeout as error:
            raise late(self._settings) from error
        except opensearchpy.exceptions.ConnectionError as error:  # of which SSLError is one
            raise broken(self._settings, error) from error
        except opensearchpy.exceptions.TransportError as error:
            raise self.refusal(int(error.status_code), error.info or error.error, path) from error
        except opensearchpy.exceptions.OpenSearchException as error:  # SerializationError
            raise garbled(self._settings) from error
        return require_object(self._settings, reply)


class _OrjsonSerializer(opensearchpy.JSONSerializer):  # type: ignore[misc]
    """Reads replies with orjson, three times as fast; writes as the client does."""

    def loads(self, s: str | bytes) -> Any:
        try:
            return orjson.loads(s)
        except ValueError as error:
            raise opensearchpy.exceptions.SerializationError(s, error) from error


class _OpenSearchConnection(opensearchpy.AIOHttpConnection):  # type: ignore[misc]
    """A connection that follows no redirect."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        host = str(options.get("host", "localhost"))
        self.hostname = f"[{host}]" if ":" in host else host  # the client writes an IPv6 address as if it were a name

    async def _create_aiohttp_session(self) -> None:
        await super()._create_aiohttp_session()
        self.session.trace_configs.append(refusing_redirects(self.host))
