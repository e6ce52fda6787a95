"""The official clients behind one call: send a request, get JSON, or one of our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import elasticsearch
import opensearchpy
import orjson
from elastic_transport import TlsError as ElasticTlsError
from elastic_transport import TransportError as ElasticTransportError

from connector.clusters.dialect import explain_error
from connector.config import ClusterSettings
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable

# of one client: a search holds two, and those that a slow leg waits on must leave some for the other leg
MAX_CONNECTIONS = 100  # Elasticsearch's client has no more
UNAVAILABLE = frozenset({429, 502, 503, 504})


class Client(Protocol):
    """An official client. Both methods raise ClusterError; status 404 is raised like any other."""

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        """Send one request; its reply as JSON ({} for an empty one)."""
        ...

    async def bulk(self, lines: Sequence[bytes], *, timeout_s: float) -> dict[str, Any]:
        """Send one _bulk request of NDJSON lines; the engine's reply."""
        ...

    async def close(self) -> None: ...


class ElasticsearchClient:
    """`elasticsearch.AsyncElasticsearch`. It retries nothing by itself: a request has one deadline."""

    def __init__(self, settings: ClusterSettings) -> None:
        auth: dict[str, Any] = {}
        if settings.api_key:
            auth["api_key"] = settings.api_key.get_secret_value()
        elif settings.bearer_token:
            auth["bearer_auth"] = settings.bearer_token.get_secret_value()
        elif settings.username:
            auth["basic_auth"] = (settings.username, settings.password.get_secret_value() if settings.password else "")
        if settings.url.startswith("https"):
            auth |= {"ca_certs": settings.ca_cert, "verify_certs": settings.verify_tls, "ssl_show_warn": False}
        self._url = settings.url
        self._client = elasticsearch.AsyncElasticsearch(
            settings.url,
            connections_per_node=MAX_CONNECTIONS,
            request_timeout=None,  # set for each request below: client.options() costs 0.4 ms
            max_retries=0,
            retry_on_timeout=False,
            http_compress=settings.compress,
            serializers={"application/json": elasticsearch.OrjsonSerializer()},
            **auth,
        )

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        headers = {"accept": "application/json"} | ({"content-type": "application/json"} if body is not None else {})
        call = self._client.perform_request(method, path, params=params, headers=headers, body=body)
        return await self._reply(call, timeout_s)

    async def bulk(self, lines: Sequence[bytes], *, timeout_s: float) -> dict[str, Any]:
        operations: list[Any] = [line for piece in lines for line in piece.splitlines()]  # bytes are sent as they are
        return await self._reply(self._client.bulk(operations=operations), timeout_s)

    async def close(self) -> None:
        await self._client.close()

    async def _reply(self, call: Any, timeout_s: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout_s):
                reply = await call
        except elasticsearch.ApiError as error:
            raise _refusal(self._url, error.status_code, error.body) from error
        except TimeoutError as error:
            raise _late(self._url) from error
        except ElasticTlsError as error:
            raise _untrusted(self._url, error) from error
        except ElasticTransportError as error:
            raise _unreachable(self._url, error) from error
        body = reply.body
        return body if isinstance(body, dict) else {}


class _OrjsonSerializer(opensearchpy.JSONSerializer):  # type: ignore[misc]
    """Reads replies with orjson, three times as fast; writes as the client does."""

    def loads(self, s: str | bytes) -> Any:
        return orjson.loads(s)


class OpenSearchClient:
    """`opensearchpy.AsyncOpenSearch`. It retries nothing by itself: a request has one deadline."""

    def __init__(self, settings: ClusterSettings) -> None:
        auth: dict[str, Any] = {}
        if settings.bearer_token:
            auth["headers"] = {"authorization": f"Bearer {settings.bearer_token.get_secret_value()}"}
        elif settings.username:
            auth["http_auth"] = (settings.username, settings.password.get_secret_value() if settings.password else "")
        if settings.url.startswith("https"):
            auth |= {"ca_certs": settings.ca_cert, "verify_certs": settings.verify_tls, "ssl_show_warn": False}
        self._url = settings.url
        self._client = opensearchpy.AsyncOpenSearch(
            [settings.url],
            maxsize=MAX_CONNECTIONS,
            max_retries=0,
            retry_on_timeout=False,
            http_compress=settings.compress,
            serializer=_OrjsonSerializer(),
            **auth,
        )

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        timed = {**(params or {}), "request_timeout": timeout_s}
        return await self._reply(self._client.transport.perform_request(method, path, params=timed, body=body))

    async def bulk(self, lines: Sequence[bytes], *, timeout_s: float) -> dict[str, Any]:
        return await self._reply(self._client.bulk(body=b"".join(lines), params={"request_timeout": timeout_s}))

    async def close(self) -> None:
        await self._client.close()

    async def _reply(self, call: Any) -> dict[str, Any]:
        try:
            reply = await call
        except opensearchpy.exceptions.ConnectionTimeout as error:
            raise _late(self._url) from error
        except opensearchpy.exceptions.SSLError as error:
            raise _untrusted(self._url, error) from error
        except opensearchpy.exceptions.ConnectionError as error:
            raise _unreachable(self._url, error) from error
        except opensearchpy.exceptions.TransportError as error:
            raise _refusal(self._url, int(error.status_code), error.info or error.error) from error
        return reply if isinstance(reply, dict) else {}


def _refusal(url: str, status: int, body: Any) -> ClusterError:
    reason = explain_error(body, status)
    if status == 401:
        return AccessDenied(
            f"{url} refused the credentials: {reason}; check cluster.username, password or api_key", status=401
        )
    if status == 403:
        return AccessDenied(f"{url}: these credentials lack a privilege: {reason}", status=403)
    if status in UNAVAILABLE:
        return ClusterUnavailable(f"{url} is overloaded or not ready: {reason}", status=status)
    return ClusterError(f"{url} refused the request: {reason}", status=status)


def _late(url: str) -> ClusterError:
    return ClusterUnavailable(f"{url} did not answer in time")


def _unreachable(url: str, error: Exception) -> ClusterError:
    return ClusterUnavailable(
        f"cannot reach {url} ({_words(error)}); is the cluster running, and is cluster.url right?"
    )


def _untrusted(url: str, error: Exception) -> ClusterError:
    return ClusterError(
        f"{url} has a certificate that is not trusted ({_words(error)}); name its CA in cluster.ca_cert"
    )


def _words(error: Exception) -> str:
    """The first line of the innermost message; a client's own text may hold a whole traceback."""
    inner = getattr(error, "errors", None) or getattr(error, "info", None) or getattr(error, "message", None) or error
    if isinstance(inner, list | tuple):
        inner = inner[0]
    return (str(inner).strip().splitlines() or [type(error).__name__])[0][:200]
