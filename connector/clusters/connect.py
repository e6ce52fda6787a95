"""From a URL to a cluster: which engine answers there, and the official client for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.clusters.clients import Client, service_credentials, service_name
from connector.clusters.failures import (
    ELASTICSEARCH_DENIAL,
    OPENSEARCH_DENIAL,
    broken,
    explain_error,
    late,
    redirected,
    refusal,
)
from connector.clusters.protocol import Cluster, Engine
from connector.clusters.tls import speaks_tls, tls_context
from connector.errors import ClusterError, ClusterUnavailable, SettingsError, TlsError
from connector.extras import needs
from connector.plugins import find_plugin, scheme_of
from connector.settings.plugins import PluginSettings
from connector.settings.sections import ClusterSettings

if TYPE_CHECKING:
    import httpx

    from connector.clusters.dialect import Dialect
    from connector.clusters.rest import RestCluster

EMBEDDED_PREFIX = "embedded:"
DETECT_TIMEOUT_S = 10.0
MEMBERS = ("engine", "create_index", "open_index", "drop_index", "count", "close")  # of a plug-in's cluster


async def connect(settings: ClusterSettings, plugins: Mapping[str, PluginSettings] | None = None) -> Cluster:
    """The cluster at `settings.url`; that of a plug-in gets what `plugins` has of its name.

    Raises ClusterUnavailable, AccessDenied, TlsError, CredentialsError, SettingsError or PluginError."""
    if settings.url.startswith(EMBEDDED_PREFIX):
        with needs("embedded", "the embedded store (cluster.url is embedded:FOLDER)"):
            from connector.clusters.embedded.cluster import EmbeddedCluster
        return await EmbeddedCluster.open(embedded_folder(settings.url))
    if not settings.url.startswith(("http://", "https://")):
        return await _open_plugged(settings, plugins or {})
    return _open_rest(settings, await detect_engine(settings))


async def _open_plugged(settings: ClusterSettings, plugins: Mapping[str, PluginSettings]) -> Cluster:
    wanted_by = f"cluster.url is {settings.url!r}"
    scheme = scheme_of(settings.url)
    if scheme is None:
        raise SettingsError(f"{wanted_by}; give http(s)://HOST:PORT or embedded:FOLDER")
    plugin = find_plugin("cluster", scheme, wanted_by=f"{wanted_by}, neither http(s)://HOST:PORT nor embedded:FOLDER")
    opener, given = plugin.load(), plugins.get(scheme)
    with plugin.blamed():
        cluster: Cluster = await opener(settings, given.plain if given else {})
    plugin.check(cluster, *MEMBERS)
    return cluster


def _open_rest(settings: ClusterSettings, engine: Engine) -> RestCluster:
    from connector.clusters.rest import RestCluster

    client: Client
    dialect: Dialect
    if engine.kind == "elasticsearch":
        from connector.clusters.elasticsearch import ElasticsearchDialect
        from connector.clusters.elasticsearch_client import ElasticsearchClient

        client, dialect = ElasticsearchClient(settings), ElasticsearchDialect()
    else:
        from connector.clusters.opensearch import OpenSearchDialect
        from connector.clusters.opensearch_client import OpenSearchClient

        client, dialect = OpenSearchClient(settings), OpenSearchDialect()
    return RestCluster(
        client,
        dialect,
        engine,
        url=settings.url,
        max_chunk_bytes=settings.max_chunk_bytes,
        timeout_s=settings.timeout_s,
        knn_library=settings.knn_library,
    )


def embedded_folder(url: str) -> Path:
    """The folder of the embedded store at `embedded:FOLDER`."""
    return Path(url.removeprefix(EMBEDDED_PREFIX) or "connector-store").expanduser()


async def detect_engine(settings: ClusterSettings) -> Engine:
    """Which engine answers at the URL: from `GET /`, or from the words in which it forbids that.

    OpenSearch names itself in `GET /`. Elasticsearch marks its replies with X-Elastic-Product, but not a 401 or 403."""
    reply = await _fetch_root(settings)
    body = _json(reply)
    if reply.status_code == 401:
        raise refusal(settings, 401, body or reply.text[:200], asker=service_name(settings))
    if reply.is_redirect:
        raise redirected(settings.url, reply.headers.get("location", "another address"))
    if reply.status_code >= 429 and reply.status_code != 500:
        raise ClusterUnavailable(f"{settings.url} is not ready (HTTP {reply.status_code})", status=reply.status_code)
    version = body.get("version")
    version = version if isinstance(version, dict) else {}
    kind: str = settings.engine
    if kind == "auto":
        kind = _kind(reply, version, explain_error(body, reply.status_code))
    return Engine(kind, version.get("number", ""))


def _kind(reply: httpx.Response, version: dict[str, str], reason: str) -> str:
    if version.get("distribution") == "opensearch" or (reply.status_code == 403 and OPENSEARCH_DENIAL.search(reason)):
        return "opensearch"
    marked = reply.headers.get("x-elastic-product") == "Elasticsearch"
    if marked or (reply.status_code == 403 and ELASTICSEARCH_DENIAL.search(reason)):
        return "elasticsearch"
    raise ClusterError(
        f"{reply.request.url} does not say which engine it is (HTTP {reply.status_code}); "
        "set cluster.engine to elasticsearch or opensearch",
        status=reply.status_code,
    )


async def _fetch_root(settings: ClusterSettings) -> httpx.Response:
    import httpx  # a tenth of a second, which the embedded store need not wait

    credentials = service_credentials(settings)
    headers = credentials.header if credentials else {}
    try:
        # without trust_env: credentials go to the cluster, not to a proxy that the environment names
        async with httpx.AsyncClient(verify=tls_context(settings), timeout=DETECT_TIMEOUT_S, trust_env=False) as client:
            return await client.get(settings.url, headers=headers)
    except httpx.TimeoutException as error:
        raise late(settings) from error
    except httpx.HTTPError as error:
        if settings.url.startswith("http:") and await speaks_tls(settings.url):
            raise TlsError(f"{settings.url} speaks TLS; put https:// into cluster.url") from error
        raise broken(settings, error) from error


def _json(reply: httpx.Response) -> dict[str, Any]:
    try:
        body = reply.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
