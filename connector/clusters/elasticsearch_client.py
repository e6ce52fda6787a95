"""Elasticsearch's official client, of either version: 8.19 and 9 both speak to Elasticsearch 8.19 and 9."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import elastic_transport
import elasticsearch
from elastic_transport import HttpHeaders
from elastic_transport.client_utils import DEFAULT, DefaultType

from connector.clusters.clients import (
    MAX_CONNECTIONS,
    Asking,
    refusing_redirects,
    require_object,
    tls_options,
    with_port,
)
from connector.clusters.failures import broken, garbled, late
from connector.retries import read_retry_after
from connector.settings.sections import ClusterSettings

# what client 8 says of itself, and both servers take; Elasticsearch 8 refuses what client 9 says
COMPATIBLE = "compatible-with=8"
_CLIENT_VERSION = re.compile(r"compatible-with=\d+")


class ElasticsearchClient(Asking):
    """`elasticsearch.AsyncElasticsearch`. It retries nothing by itself: a request has one deadline."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__(settings)
        self._client = elasticsearch.AsyncElasticsearch(
            with_port(settings.url),
            node_class=_ElasticsearchNode,
            connections_per_node=MAX_CONNECTIONS,
            request_timeout=None,  # set for each request below: client.options() costs 0.4 ms
            max_retries=0,
            retry_on_timeout=False,
            http_compress=settings.compress,
            serializers={"application/json": elasticsearch.OrjsonSerializer()},
            **tls_options(settings),
        )

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        return await self._send(method, path, "application/json", body, params, timeout_s)

    async def bulk(
        self, index: str, lines: Sequence[bytes], *, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        operations = [line for piece in lines for line in piece.splitlines()]  # bytes are sent as they are
        return await self._send(
            "POST", f"/{quote(index, safe='')}/_bulk", "application/x-ndjson", operations, params, timeout_s
        )

    async def close(self) -> None:
        await self._client.close()

    async def _send(
        self,
        method: str,
        path: str,
        content_type: str,
        body: Any,
        params: Mapping[str, str] | None,
        timeout_s: float,
    ) -> dict[str, Any]:
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = content_type
        call = self._client.perform_request(method, path, params=params, headers=headers | self.header(), body=body)
        try:
            async with asyncio.timeout(timeout_s):
                reply = await call
        except elasticsearch.ApiError as error:
            retry_after_s = read_retry_after(error.meta.headers.get("retry-after"))
            raise self.refusal(error.status_code, error.body, path, retry_after_s) from error
        except TimeoutError as error:
            raise late(self._settings) from error
        except elastic_transport.SerializationError as error:
            raise garbled(self._settings) from error
        except (elastic_transport.TransportError, aiohttp.ClientError) as error:
            raise broken(self._settings, error) from error
        return require_object(self._settings, reply.body)


class _ElasticsearchNode(elastic_transport.AiohttpHttpNode):
    """A connection that follows no redirect, and that asks for the replies of Elasticsearch 8, whichever client it
    belongs to.

    The client writes the version into its headers after all that its options say, so it is changed here."""

    async def perform_request(  # type: ignore[override]  # as the class above has it
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> Any:
        for name in ("accept", "content-type"):
            if headers and name in headers:
                headers[name] = _CLIENT_VERSION.sub(COMPATIBLE, headers[name])
        return await super().perform_request(method, target, body, headers, request_timeout)

    def _create_aiohttp_session(self) -> None:
        super()._create_aiohttp_session()
        assert self.session
        self.session.trace_configs.append(refusing_redirects(self.base_url))
