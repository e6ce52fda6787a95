"""A worker as the command starts it: https with a certificate of a private CA, keys, and how it ends."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from engines import make_certificates
from support.command import Launcher

from connector.errors import WorkerError
from connector.remote.process import running_worker
from connector.rerankers.worker import WorkerClient
from connector.settings.sections import Settings
from connector.wiring import open_worker

KEY = "key-of-the-search-service"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture(scope="module")
def url(launcher: Launcher, ca: Path) -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    sets = {"worker.tls_cert": ca.with_name("node.crt"), "worker.tls_key": ca.with_name("node.key")}
    arguments = [part for path, value in sets.items() for part in ("--set", f"{path}={value}")]
    running = launcher.start(
        "worker",
        "--port",
        str(port),
        *arguments,
        cwd=ca.parent,
        variables={"CONNECTOR_WORKER_API_KEYS": f"another-key {KEY}"},
    )
    with httpx.Client(verify=ssl.create_default_context(cafile=ca), base_url=f"https://localhost:{port}") as client:
        while not is_ready(client):
            assert not running.ended.done(), running.wait().stderr
        yield str(client.base_url)
    running.kill()


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.HTTPError:
        return False


async def test_the_query_layer_reaches_it_with_its_ca_and_a_key(url: str, ca: Path) -> None:
    client = open_worker(Settings.model_validate({"rerank": {"url": url, "ca_cert": str(ca), "api_key": KEY}}))
    assert client
    scores = await client.score("how do I get a refund", ["Refunds take ten days.", "The cat sat."], timeout_s=20)
    await client.close()

    assert scores.values[0] > scores.values[1]


async def test_without_the_ca_or_the_key_it_is_told_what_is_missing(url: str, ca: Path) -> None:
    strangers = {"is its CA the one in rerank.ca_cert": WorkerClient(url, api_key=KEY)}
    strangers |= {"HTTP 401.*bring one of the worker's API keys": WorkerClient(url, ca_cert=str(ca))}
    for words, client in strangers.items():
        with pytest.raises(WorkerError, match=words):
            await client.score("q", ["p"], timeout_s=10)
        await client.close()


def test_plain_http_gets_no_answer(url: str) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.post(url.replace("https", "http") + "/rerank", json={"query": "q", "texts": ["p"]})


def test_what_was_asked_before_the_end_is_answered() -> None:
    texts = [
        f"Clause {at} of the contract. " + "The partner keeps a registered deal for ninety days. " * 8
        for at in range(60)
    ]
    body = {"query": "how long is a deal registered", "texts": texts}
    with running_worker() as worker, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{worker.url}/rerank", json=body, timeout=60)
        while "connector_worker_waiting 1.0" not in httpx.get(f"{worker.url}/metrics").text:
            assert not asked.done()
        worker.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        refused = pytest.raises(httpx.HTTPError)
        with refused:
            httpx.get(f"{worker.url}/health", timeout=2)
        reply = asked.result()
        code = worker.process.wait(20)

    assert reply.status_code == 200
    assert len(reply.json()) == 60
    assert code == 128 + signal.SIGTERM
