"""Which engine answers at a URL, and what is said where none does."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp import web
from support.servers.proxy import Proxy

from connector.clusters.connect import connect, detect_engine
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable, SettingsError
from connector.settings.sections import ClusterSettings


@pytest.mark.live
@pytest.mark.parametrize(
    ("name", "kind", "version"),
    [
        ("es8", "elasticsearch", "8."),
        ("es9", "elasticsearch", "9."),
        ("os2", "opensearch", "2."),
        ("os3", "opensearch", "3."),
    ],
)
async def test_every_engine_is_recognised(engines: Any, name: str, kind: str, version: str) -> None:
    found = await detect_engine(ClusterSettings(url=engines.url(name)))
    slashed = await connect(ClusterSettings(url=engines.url(name) + "/"))
    await slashed.close()

    assert found.kind == kind
    assert found.version.startswith(version)
    assert slashed.engine == found


async def test_a_port_where_nothing_listens_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        words = rf"cannot reach {url} \(Connection refused\); is the cluster running, and is cluster.url right"
        with pytest.raises(ClusterUnavailable, match=words):
            await connect(ClusterSettings(url=url))


@pytest.mark.live
async def test_https_to_a_plain_port_is_named(elasticsearch: ClusterSettings) -> None:
    url = elasticsearch.url.replace("http:", "https:")

    with pytest.raises(ClusterError, match=url):
        await connect(ClusterSettings(url=url))


@pytest.mark.parametrize("url", ["localhost:9200", "ftp://localhost", "elasticsearch"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"http\(s\)://HOST:PORT"):
        await connect(ClusterSettings(url=url))


@pytest.mark.parametrize("body", ["hello", '{"version": {"number": "1.0"}}', '{"version": "1"}', "[]", ""])
async def test_a_server_that_is_neither_is_told_apart(body: str) -> None:
    async with plain_server(200, body) as url:
        with pytest.raises(ClusterError, match=r"does not say which engine it is .*; set cluster.engine"):
            await connect(ClusterSettings(url=url))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AccessDenied),
        (429, ClusterUnavailable),
        (503, ClusterUnavailable),
        (404, ClusterError),
        (500, ClusterError),
    ],
)
async def test_a_refusal_is_an_error_of_ours(status: int, error: type[ClusterError]) -> None:
    async with plain_server(status, "{}") as url:
        with pytest.raises(error) as caught:
            await connect(ClusterSettings(url=url))

    assert caught.value.status == status
    assert url in str(caught.value)


@pytest.mark.live
async def test_an_engine_that_hides_its_root_is_known_by_its_headers_or_by_the_setting(
    elasticsearch: ClusterSettings, opensearch: ClusterSettings
) -> None:
    async with forbidding_root({"X-Elastic-Product": "Elasticsearch"}) as url:
        found = await detect_engine(ClusterSettings(url=url))
    async with forbidding_root({}) as url:
        given = await detect_engine(ClusterSettings(url=url, engine="opensearch"))

    assert (found.kind, given.kind) == ("elasticsearch", "opensearch")


def plain_server(status: int, body: str, headers: dict[str, str] | None = None) -> Any:
    """A server on loopback that always answers the same."""
    return Always(status, body, headers or {})


def forbidding_root(headers: dict[str, str]) -> Any:
    return plain_server(403, '{"error": "forbidden"}', headers)


class Always(Proxy):
    def __init__(self, status: int, body: str, headers: dict[str, str]) -> None:
        super().__init__("http://nowhere")
        self._reply = (status, body, headers)

    async def __aenter__(self) -> str:
        await super().__aenter__()
        return self.url

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        status, body, headers = self._reply
        return web.Response(status=status, text=body, headers=headers)
