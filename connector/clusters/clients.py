"""The official clients behind one call: send a request, get JSON, or one of our errors."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import aiohttp
import elastic_transport
import elasticsearch
import opensearchpy
import orjson

from connector.clusters.failures import broken, garbled, late, redirected, refusal
from connector.clusters.tls import tls_context
from connector.credentials import Credentials
from connector.errors import ClusterError
from connector.retries import read_retry_after
from connector.settings.sections import ClusterSettings

# of one client: a search holds two, and those that a slow leg waits on must leave some for the other leg
MAX_CONNECTIONS = 100  # Elasticsearch's client has no more


MIN_TIMEOUT_S = 0.001  # to aiohttp, 0 and less mean for ever


class Client(Protocol):
    """An official client, and as whom it asks. Requests raise ClusterError; status 404 is raised like any other."""

    @property
    def has_credentials(self) -> bool:
        """Whether requests are sent with credentials, so that the cluster may hide documents."""
        ...

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        """Send one request; its reply as JSON ({} for an empty one)."""
        ...

    async def bulk(self, index: str, lines: Sequence[bytes], *, timeout_s: float) -> dict[str, Any]:
        """Send one _bulk request of NDJSON lines for an index; the engine's reply."""
        ...

    def as_caller(self, credentials: Credentials) -> Client:
        """The same connections, with the caller's credentials in place of the configured ones on every request."""
        ...

    async def close(self) -> None: ...


class _Asking:
    """As whom a client asks. The official client itself holds no credentials: each request is sent with its asker's."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._credentials = service_credentials(settings)
        self._asker = service_name(settings)

    @property
    def has_credentials(self) -> bool:
        return self._credentials is not None

    def as_caller(self, credentials: Credentials) -> Self:
        caller = copy.copy(self)
        caller._credentials = credentials
        caller._asker = f"the caller's {credentials.words}"
        return caller

    def _header(self) -> dict[str, str]:
        return self._credentials.header if self._credentials else {}

    def _refusal(self, status: int, body: Any, path: str, retry_after_s: float | None = None) -> ClusterError:
        index = unquote(path.split("/")[1])
        name = "" if index.startswith("_") else index
        return refusal(self._settings, status, body, asker=self._asker, index=name, retry_after_s=retry_after_s)


class ElasticsearchClient(_Asking):
    """`elasticsearch.AsyncElasticsearch`. It retries nothing by itself: a request has one deadline."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__(settings)
        self._client = elasticsearch.AsyncElasticsearch(
            _with_port(settings.url),
            node_class=_ElasticsearchNode,
            connections_per_node=MAX_CONNECTIONS,
            request_timeout=None,  # set for each request below: client.options() costs 0.4 ms
            max_retries=0,
            retry_on_timeout=False,
            http_compress=settings.compress,
            serializers={"application/json": elasticsearch.OrjsonSerializer()},
            **_tls(settings),
        )

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        return await self._send(method, path, "application/json", body, params, timeout_s)

    async def bulk(self, index: str, lines: Sequence[bytes], *, timeout_s: float) -> dict[str, Any]:
        operations = [line for piece in lines for line in piece.splitlines()]  # bytes are sent as they are
        return await self._send(
            "POST", f"/{quote(index, safe='')}/_bulk", "application/x-ndjson", operations, None, timeout_s
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
        call = self._client.perform_request(method, path, params=params, headers=headers | self._header(), body=body)
        try:
            async with asyncio.timeout(timeout_s):
                reply = await call
        except elasticsearch.ApiError as error:
            retry_after_s = read_retry_after(error.meta.headers.get("retry-after"))
            raise self._refusal(error.status_code, error.body, path, retry_after_s) from error
        except TimeoutError as error:
            raise late(self._settings) from error
        except elastic_transport.SerializationError as error:
            raise garbled(self._settings) from error
        except (elastic_transport.TransportError, aiohttp.ClientError) as error:
            raise broken(self._settings, error) from error
        return _object(self._settings, reply.body)


class OpenSearchClient(_Asking):
    """`opensearchpy.AsyncOpenSearch`. It retries nothing by itself: a request has one deadline."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__(settings)
        self._client = opensearchpy.AsyncOpenSearch(
            [_with_port(settings.url)],
            connection_class=_OpenSearchConnection,
            maxsize=MAX_CONNECTIONS,
            max_retries=0,
            retry_on_timeout=False,
            http_compress=settings.compress,
            serializer=_OrjsonSerializer(),
            **_tls(settings),
        )

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        timed = {**(params or {}), "request_timeout": max(timeout_s, MIN_TIMEOUT_S)}
        call = self._client.transport.perform_request(method, path, params=timed, body=body, headers=self._header())
        return await self._reply(call, path)

    async def bulk(self, index: str, lines: Sequence[bytes], *, timeout_s: float) -> dict[str, Any]:
        timed = {"request_timeout": max(timeout_s, MIN_TIMEOUT_S)}
        call = self._client.bulk(body=b"".join(lines), index=index, params=timed, headers=self._header())
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
            raise self._refusal(int(error.status_code), error.info or error.error, path) from error
        except opensearchpy.exceptions.OpenSearchException as error:  # SerializationError
            raise garbled(self._settings) from error
        return _object(self._settings, reply)


class _OrjsonSerializer(opensearchpy.JSONSerializer):  # type: ignore[misc]
    """Reads replies with orjson, three times as fast; writes as the client does."""

    def loads(self, s: str | bytes) -> Any:
        try:
            return orjson.loads(s)
        except ValueError as error:
            raise opensearchpy.exceptions.SerializationError(s, error) from error


class _ElasticsearchNode(elastic_transport.AiohttpHttpNode):
    """A connection that follows no redirect."""

    def _create_aiohttp_session(self) -> None:
        super()._create_aiohttp_session()
        assert self.session
        self.session.trace_configs.append(_refusing_redirects(self.base_url))


class _OpenSearchConnection(opensearchpy.AIOHttpConnection):  # type: ignore[misc]
    """A connection that follows no redirect."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        host = str(options.get("host", "localhost"))
        self.hostname = f"[{host}]" if ":" in host else host  # the client writes an IPv6 address as if it were a name

    async def _create_aiohttp_session(self) -> None:
        await super()._create_aiohttp_session()
        self.session.trace_configs.append(_refusing_redirects(self.host))


def service_credentials(settings: ClusterSettings) -> Credentials | None:
    """The configured credentials, None where there are none. Raises CredentialsError."""
    if settings.api_key:
        return Credentials.api_key(settings.api_key.get_secret_value())
    if settings.bearer_token:
        return Credentials.bearer(settings.bearer_token.get_secret_value())
    if settings.username:
        return Credentials.basic(settings.username, settings.password.get_secret_value() if settings.password else "")
    return None


def service_name(settings: ClusterSettings) -> str:
    """The configured credentials in words; "" where there are none."""
    if settings.api_key:
        return "the configured API key (cluster.api_key)"
    if settings.bearer_token:
        return "the configured bearer token (cluster.bearer_token)"
    return "the configured user name and password (cluster.username, cluster.password)" if settings.username else ""


def _tls(settings: ClusterSettings) -> dict[str, Any]:
    return {"ssl_context": tls_context(settings)} if settings.url.startswith("https") else {}


def _with_port(url: str) -> str:
    """The URL with the port that its scheme means; Elasticsearch's client takes none without, OpenSearch's means
    9200."""
    parts = urlsplit(url)
    if parts.port is not None:
        return url
    return urlunsplit(
        parts._replace(netloc=f"{parts.netloc.removesuffix(':')}:{443 if parts.scheme == 'https' else 80}")
    )


def _refusing_redirects(url: str) -> aiohttp.TraceConfig:
    """aiohttp would follow them, and make a search without its body of a POST."""

    async def refuse(session: aiohttp.ClientSession, context: Any, seen: aiohttp.TraceRequestRedirectParams) -> None:
        seen.response.close()
        raise redirected(url, seen.response.headers.get("location", "another address"))

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    config.freeze()
    return config


def _object(settings: ClusterSettings, reply: Any) -> dict[str, Any]:
    if not isinstance(reply, dict):
        raise garbled(settings)
    return reply
