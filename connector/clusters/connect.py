"""From a URL to a cluster: which engine answers there, and the official client for it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx

from connector.clusters.clients import Client, ElasticsearchClient, OpenSearchClient
from connector.clusters.dialect import Dialect
from connector.clusters.elasticsearch import ElasticsearchDialect
from connector.clusters.embedded import EmbeddedCluster
from connector.clusters.opensearch import OpenSearchDialect
from connector.clusters.protocol import Cluster, Engine
from connector.clusters.rest import RestCluster
from connector.config import ClusterSettings
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable, SettingsError

EMBEDDED_PREFIX = "embedded:"
DETECT_TIMEOUT_S = 10.0


async def connect(settings: ClusterSettings) -> Cluster:
    """The cluster at `settings.url`. Raises ClusterUnavailable, AccessDenied or SettingsError."""
    if settings.url.startswith(EMBEDDED_PREFIX):
        return await EmbeddedCluster.open(
            Path(settings.url.removeprefix(EMBEDDED_PREFIX) or "connector-store").expanduser()
        )
    if not settings.url.startswith(("http://", "https://")):
        raise SettingsError(f"cluster.url is {settings.url!r}; give http(s)://HOST:PORT or embedded:FOLDER")
    engine = await detect_engine(settings)
    client: Client
    dialect: Dialect
    if engine.kind == "elasticsearch":
        client, dialect = ElasticsearchClient(settings), ElasticsearchDialect()
    else:
        client, dialect = OpenSearchClient(settings), OpenSearchDialect()
    return RestCluster(
        client,
        dialect,
        engine,
        url=settings.url,
        max_chunk_bytes=settings.max_chunk_bytes,
        timeout_s=settings.timeout_s,
    )


async def detect_engine(settings: ClusterSettings) -> Engine:
    """Which engine answers at the URL, from `GET /`; where that is forbidden, from the reply's headers.

    Elasticsearch marks its replies with X-Elastic-Product (not a 401); OpenSearch names itself in `GET /` only."""
    reply = await _fetch_root(settings)
    if reply.status_code == 401:
        raise AccessDenied(
            f"{settings.url} refused the credentials; check cluster.username and password, api_key or bearer_token",
            status=401,
        )
    if reply.status_code >= 429 and reply.status_code != 500:
        raise ClusterUnavailable(f"{settings.url} is not ready (HTTP {reply.status_code})", status=reply.status_code)
    version = _version(reply)
    if settings.engine != "auto":
        return Engine(settings.engine, version.get("number", ""))
    if version.get("distribution") == "opensearch":
        return Engine("opensearch", version["number"])
    if reply.headers.get("x-elastic-product") == "Elasticsearch":
        return Engine("elasticsearch", version.get("number", ""))
    raise ClusterError(
        f"{settings.url} does not say which engine it is (HTTP {reply.status_code}); "
        "set cluster.engine to elasticsearch or opensearch",
        status=reply.status_code,
    )


async def _fetch_root(settings: ClusterSettings) -> httpx.Response:
    headers: dict[str, str] = {}
    auth: Any = None
    if settings.api_key:
        headers["authorization"] = f"ApiKey {settings.api_key.get_secret_value()}"
    elif settings.bearer_token:
        headers["authorization"] = f"Bearer {settings.bearer_token.get_secret_value()}"
    elif settings.username:
        auth = (settings.username, settings.password.get_secret_value() if settings.password else "")
    try:
        verify: Any = ssl.create_default_context(cafile=settings.ca_cert) if settings.verify_tls else False
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"cluster.ca_cert {settings.ca_cert!r} is no readable PEM file: {error}") from error
    try:
        async with httpx.AsyncClient(verify=verify, timeout=DETECT_TIMEOUT_S) as client:
            return await client.get(settings.url, headers=headers, auth=auth)
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise ClusterError(
                f"the certificate of {settings.url} is not trusted; name its CA in cluster.ca_cert"
            ) from error
        raise ClusterUnavailable(
            f"cannot reach {settings.url}; is the cluster running, and is cluster.url right?"
        ) from error
    except httpx.HTTPError as error:
        raise ClusterUnavailable(f"{settings.url} did not answer: {error or type(error).__name__}") from error


def _version(reply: httpx.Response) -> dict[str, str]:
    try:
        body = reply.json()
    except ValueError:
        return {}
    version = body.get("version") if isinstance(body, dict) else None
    return version if isinstance(version, dict) else {}
