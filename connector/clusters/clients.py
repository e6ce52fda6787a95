"""The official clients behind one call: send a request, get JSON, or one of our errors.

Each client is in a file of its own, which is imported once its engine has answered."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from connector.clusters.failures import garbled, redirected, refusal
from connector.clusters.tls import tls_context
from connector.credentials import Credentials
from connector.errors import ClusterError
from connector.settings.sections import ClusterSettings
from connector.trace_context import trace_headers

if TYPE_CHECKING:
    import aiohttp

# of one client: a search holds two, and those that a slow leg waits on must leave some for the other leg
MAX_CONNECTIONS = 100  # Elasticsearch's client has no more


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

    async def bulk(
        self, index: str, lines: Sequence[bytes], *, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        """Send one _bulk request of NDJSON lines for an index; the engine's reply."""
        ...

    def as_caller(self, credentials: Credentials) -> Client:
        """The same connections, with the caller's credentials in place of the configured ones on every request."""
        ...

    async def close(self) -> None: ...


class Asking:
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

    def header(self) -> dict[str, str]:
        return trace_headers() | (self._credentials.header if self._credentials else {})

    def refusal(self, status: int, body: Any, path: str, retry_after_s: float | None = None) -> ClusterError:
        index = unquote(path.split("/")[1])
        name = "" if index.startswith("_") else index
        return refusal(self._settings, status, body, asker=self._asker, index=name, retry_after_s=retry_after_s)


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


def tls_options(settings: ClusterSettings) -> dict[str, Any]:
    return {"ssl_context": tls_context(settings)} if settings.url.startswith("https") else {}


def with_port(url: str) -> str:
    """The URL with the port that its scheme means; Elasticsearch's client takes none without, OpenSearch's means
    9200."""
    parts = urlsplit(url)
    if parts.port is not None:
        return url
    return urlunsplit(
        parts._replace(netloc=f"{parts.netloc.removesuffix(':')}:{443 if parts.scheme == 'https' else 80}")
    )


def refusing_redirects(url: str) -> aiohttp.TraceConfig:
    """aiohttp would follow them, and make a search without its body of a POST."""

    import aiohttp

    async def refuse(session: aiohttp.ClientSession, context: Any, seen: aiohttp.TraceRequestRedirectParams) -> None:
        seen.response.close()
        raise redirected(url, seen.response.headers.get("location", "another address"))

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    config.freeze()
    return config


def require_object(settings: ClusterSettings, reply: Any) -> dict[str, Any]:
    if not isinstance(reply, dict):
        raise garbled(settings)
    return reply
