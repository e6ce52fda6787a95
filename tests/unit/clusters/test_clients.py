"""The official clients on real sockets: what they send, to whom, and what they say of a connection that cannot be
trusted."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_security import make_certificates

from connector.clusters.clients import Client, with_port
from connector.clusters.connect import connect
from connector.clusters.elasticsearch_client import ElasticsearchClient
from connector.clusters.opensearch_client import OpenSearchClient
from connector.credentials import Credentials
from connector.errors import AccessDenied, ClusterError, CredentialsError, TlsError
from connector.rerankers.worker import WorkerClient
from connector.settings.sections import ClusterSettings

CLIENTS = {"elasticsearch": ElasticsearchClient, "opensearch": OpenSearchClient}
ROOTS = {
    "elasticsearch": {"version": {"number": "9.3.2"}},
    "opensearch": {"version": {"number": "2.19.1", "distribution": "opensearch"}},
}


class Server:
    """Answers everything with the same, and remembers what it was asked."""

    def __init__(self, status: int = 200, body: Any = None, **headers: str) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self._reply = (status, body if body is not None else {}, {"X-Elastic-Product": "Elasticsearch"} | headers)

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((request.method, request.raw_path, headers, await request.read()))
        status, body, headers = self._reply
        return web.json_response(body, status=status, headers=headers)

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@pytest.fixture(params=list(CLIENTS))
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@asynccontextmanager
async def client_of(kind: str, **settings: Any) -> AsyncIterator[Client]:
    client: Client = CLIENTS[kind](ClusterSettings(**settings))
    try:
        yield client
    finally:
        await client.close()


async def test_each_request_carries_the_credentials_of_its_asker_and_no_others(kind: str) -> None:
    server = Server()
    ann = Credentials.bearer("anns-token")
    async with server.listening() as url, client_of(kind, url=url, username="service", password="pw") as client:
        caller = client.as_caller(ann)
        await asyncio.gather(
            *(
                asker.request("POST", f"/kb/_search?as={name}", body={}, timeout_s=60)
                for _ in range(20)
                for name, asker in (("service", client), ("ann", caller))
            )
        )
        await caller.bulk("kb", [b'{"delete":{}}\n'], timeout_s=60)
    sent = {(path.rpartition("as=")[2], headers["authorization"]) for _, path, headers, _ in server.asked}

    assert sent == {
        ("service", Credentials.basic("service", "pw").header["authorization"]),
        ("ann", "Bearer anns-token"),
        ("/kb/_bulk", "Bearer anns-token"),
    }
    assert len(server.asked) == 41


async def test_without_credentials_none_are_sent(kind: str) -> None:
    server = Server()
    async with server.listening() as url, client_of(kind, url=url) as client:
        await client.request("GET", "/kb", timeout_s=60)

    assert "authorization" not in server.asked[0][2]
    assert not client.has_credentials


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(kind: str, status: int) -> None:
    """It would carry queries and documents to another server, and aiohttp makes a search without its body of a POST."""
    elsewhere = Server()
    async with elsewhere.listening() as other:
        redirecting = Server(status, Location=f"{other}/login?token=secret-words")
        async with redirecting.listening() as url, client_of(kind, url=url, api_key="aWQ6a2V5") as client:
            for call in (
                client.request("POST", "/kb/_search", body={"query": "secret"}, timeout_s=60),
                client.bulk("kb", [b"{}\n"], timeout_s=60),
                connect(ClusterSettings(url=url, api_key="aWQ6a2V5")),
            ):
                with pytest.raises(
                    ClusterError, match=f"{url} redirects to {other}/login, which is not followed; put the"
                ) as caught:
                    await call

                assert "secret" not in str(caught.value)

    assert elsewhere.asked == []


async def test_proxies_that_the_environment_names_are_sent_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, cluster = Server(), Server(200, ROOTS[kind])
    worker = Server(200, [{"index": 0, "score": 1.0}])
    async with proxy.listening() as proxy_url, cluster.listening() as url, worker.listening() as worker_url:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy_url)
            monkeypatch.setenv(name.lower(), proxy_url)
        connected = await connect(ClusterSettings(url=url, api_key="aWQ6a2V5"))
        with pytest.raises(KeyError):
            await connected.count("kb")  # an answer without a count, but an answer of the cluster
        await connected.close()
        client = WorkerClient(worker_url)
        await client.score("q", ["text"], timeout_s=60)
        await client.close()

    assert proxy.asked == []
    assert len(cluster.asked) == 2
    assert len(worker.asked) == 1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A CA (ca.crt), a certificate for localhost (node), one without a host name (admin), one whose time is over (old),
    and one that no server may have (client)."""
    folder = make_certificates(tmp_path_factory.mktemp("tls") / "certs").parent
    for name, days, usage in (("old", "-1", "serverAuth"), ("client", "30", "clientAuth")):
        (folder / "ext").write_text(f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n")
        command = "openssl x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile ext -days"
        subprocess.run([*command.split(), days, "-out", f"{name}.crt"], cwd=folder, check=True, capture_output=True)
        shutil.copy(folder / "node.key", folder / f"{name}.key")
    return folder


def server_context(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return context


async def test_a_certificate_of_the_given_ca_is_trusted(kind: str, certificates: Path) -> None:
    server = Server(200, ROOTS[kind])
    async with server.listening(server_context(certificates, "node")) as url:
        connected = await connect(ClusterSettings(url=url, ca_cert=str(certificates / "ca.crt"), api_key="aWQ6a2V5"))
        await connected.close()

    assert connected.engine.kind == kind


@pytest.mark.parametrize(
    ("certificate", "ca", "words"),
    [
        ("node", None, "signed by a CA that is not trusted here .*; name that CA's PEM file in cluster.ca_cert"),
        ("admin", "ca.crt", "made out to other names .*; put a name that it has into cluster.url"),
        ("old", "ca.crt", r"is not valid today \(certificate has expired\); renew it, or set this clock right"),
        ("client", "ca.crt", "is not accepted .*purpose"),
        (None, "ca.crt", "speaks no TLS; put http:// into cluster.url"),
    ],
)
async def test_a_client_sends_nothing_where_it_cannot_trust(
    kind: str, certificates: Path, certificate: str | None, ca: str | None, words: str
) -> None:
    """Also where the host is an IP address, for which Elasticsearch's client by itself would not check the name."""
    server = Server(200, ROOTS[kind])
    tls = server_context(certificates, certificate) if certificate else None
    async with server.listening(tls) as url:
        settings = {
            "url": url.replace("http:", "https:"),
            "ca_cert": ca and str(certificates / ca),
            "api_key": "aWQ6a2V5",
        }
        async with client_of(kind, **settings) as client:
            with pytest.raises(TlsError, match=words):
                await client.request("GET", "/kb", timeout_s=60)
        with pytest.raises(TlsError, match=words):
            await connect(ClusterSettings(**settings))

    assert server.asked == []


async def test_a_refusal_names_whose_credentials_it_is_about(kind: str) -> None:
    server = Server(401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}})
    async with server.listening() as url, client_of(kind, url=url, api_key="aWQ6a2V5") as client:
        with pytest.raises(AccessDenied, match=r"the configured API key \(cluster.api_key\): unable to"):
            await client.request("GET", "/kb", timeout_s=60)
        with pytest.raises(AccessDenied, match=r"the caller's user name and password: unable to .*; check both"):
            await client.as_caller(Credentials.basic("ann", "pw")).request("GET", "/kb", timeout_s=60)


def test_a_user_name_that_cannot_be_sent_is_told_of(kind: str) -> None:
    with pytest.raises(CredentialsError):
        CLIENTS[kind](ClusterSettings(url="http://127.0.0.1:1", username="with:colon", password="pw"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://search.example", "https://search.example:443"),
        ("http://search.example", "http://search.example:80"),
        ("https://search.example/es/", "https://search.example:443/es/"),
        ("https://search.example:", "https://search.example:443"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://localhost:9200", "http://localhost:9200"),
    ],
)
def test_a_url_without_a_port_means_that_of_its_scheme(url: str, expected: str) -> None:
    assert with_port(url) == expected


def test_who_has_a_server_does_not_wait_for_the_embedded_store_to_load() -> None:
    loaded = (
        "import sys, connector.wiring; print(sorted({'lancedb', 'torch', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
