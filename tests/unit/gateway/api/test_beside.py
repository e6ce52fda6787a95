"""The API beside the gateway, on its own port of the same process, and alone in front of the embedded store."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from support.gateway.gateway_api import api_settings, fill
from support.gateway.gateways import ByteEngine
from support.parts import HashEncoder, OverlapScorer, running_in_thread, serving, wait_until
from support.worker.worker_app import SETTINGS, wait_ready

from connector.client import Connector
from connector.gateway import serve
from connector.gateway.api.app import create_api
from connector.gateway.api.serve import _Beside, build_api_server
from connector.gateway.encoder import SharedEncoder
from connector.gateway.serve import build_server, is_api_alone
from connector.listening import bind
from connector.settings.sections import Settings
from connector.worker.app import create_app


class CountedEncoder(HashEncoder):
    """Says how often it was loaded and closed."""

    loaded, closed = 0, 0

    @classmethod
    def load(cls, settings: Settings) -> CountedEncoder:
        cls.loaded += 1
        return cls()

    def close(self) -> None:
        type(self).closed += 1


def test_both_ports_answer_with_one_encoder_and_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    monkeypatch.setattr("connector.gateway.encoder.load_encoder", CountedEncoder.load)
    monkeypatch.setattr(CountedEncoder, "loaded", 0)
    monkeypatch.setattr(CountedEncoder, "closed", 0)
    listener, api = bind("127.0.0.1", 0, choose="gateway.port"), bind("127.0.0.1", 0, choose="gateway.port")
    urls = [f"http://127.0.0.1:{listening.getsockname()[1]}" for listening in (listener, api)]
    seen = []

    async def opened(settings: Settings, encoder: SharedEncoder) -> None:
        seen.append(await encoder.get())

    with ByteEngine().running() as engine:
        settings = api_settings(f"embedded:{tmp_path}", gateway={"drain_s": 1, "upstream": [engine.url]})
        with running_in_thread(build_server(settings, opened, api=api), listener):
            passed = httpx.get(f"{urls[0]}/v1/health/live")
            found = httpx.post(f"{urls[1]}/v1/search", json={"query": "red fish"})

    assert (passed.text, found.json()["hits"][0]["doc_id"], found.json()["degraded"]) == ("ok", "a", [])
    assert (CountedEncoder.loaded, CountedEncoder.closed, len(seen)) == (1, 1, 1)
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_what_the_api_is_asked_before_the_end_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    monkeypatch.setattr("connector.gateway.encoder.load_encoder", CountedEncoder.load)
    is_asked, may_score = threading.Event(), threading.Event()
    may_score.set()  # for the worker's own warm-up

    def hold() -> None:
        is_asked.set()
        may_score.wait(120)

    async def opened(*_: object) -> None: ...

    listener, api = bind("127.0.0.1", 0, choose="gateway.port"), bind("127.0.0.1", 0, choose="gateway.port")
    url = f"http://127.0.0.1:{api.getsockname()[1]}/v1/search"
    with ByteEngine().running() as engine, serving(create_app(lambda: OverlapScorer(hold), SETTINGS)) as worker:
        gateway = {"drain_s": 120, "upstream": [engine.url]}
        settings = api_settings(f"embedded:{tmp_path}", worker=wait_ready(worker), gateway=gateway)
        is_asked.clear()
        may_score.clear()
        server = build_server(settings, opened, api=api)
        with ThreadPoolExecutor(1) as callers, running_in_thread(server, listener):
            asked = callers.submit(httpx.post, url, json={"query": "red fish"})
            assert is_asked.wait(120)
            server.should_exit = True
            wait_until(lambda: refuses(url))
            may_score.set()
            answer = asked.result()

    assert (answer.status_code, answer.json()["degraded"]) == (200, [])


def test_who_asks_the_api_as_soon_as_the_gateway_listens_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API begins after the gateway, and on a busy machine long after it."""
    goes_on, begin = threading.Event(), _Beside.serve

    async def begin_late(server: _Beside, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(goes_on.wait, 120)
        await begin(server, sockets)

    async def opened(*_: object) -> None: ...

    monkeypatch.setattr(_Beside, "serve", begin_late)
    monkeypatch.setattr("connector.gateway.encoder.load_encoder", CountedEncoder.load)
    listener, api = bind("127.0.0.1", 0, choose="gateway.port"), bind("127.0.0.1", 0, choose="gateway.port")
    address = api.getsockname()
    with ByteEngine().running() as engine:
        settings = api_settings(f"embedded:{tmp_path}", gateway={"drain_s": 1, "upstream": [engine.url]})
        with running_in_thread(build_server(settings, opened, api=api), listener):
            try:
                with socket.create_connection(address):
                    goes_on.set()
                    alive = httpx.get(f"http://127.0.0.1:{address[1]}/v1/health/live")
            finally:
                goes_on.set()

    assert alive.status_code == 200


def refuses(url: str) -> bool:
    """Nothing listens there any more. What is connected at the moment of the end, and not accepted, is reset."""
    try:
        httpx.get(url, timeout=1)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False


def test_the_api_alone_opens_its_index_at_the_start_and_closes_the_encoder_that_it_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path)
    caplog.set_level("INFO", logger="connector")
    monkeypatch.setattr("connector.gateway.encoder.load_encoder", CountedEncoder.load)
    monkeypatch.setattr(CountedEncoder, "closed", 0)
    closed, close = [], Connector.close

    async def counted(connector: Connector) -> None:
        closed.append(connector)
        await close(connector)

    monkeypatch.setattr(Connector, "close", counted)
    settings = api_settings(f"embedded:{tmp_path}", gateway={"pipelines": {"deeper": {"depth": 200}}})
    with serving(create_api(settings)) as url:
        wait_until(lambda: "the API searches docs" in caplog.text)  # nobody has asked anything
        assert httpx.get(f"{url}/ui/?q=red&a=deeper").status_code == 200

    assert (CountedEncoder.closed, len(set(closed))) == (1, 2)


def test_the_embedded_store_has_the_api_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings.model_validate(
        {"cluster": {"url": f"embedded:{tmp_path}"}, "gateway": {"port": 0, "processes": 2}}
    )
    servers, bound = [], []

    def build(settings: Settings) -> object:
        servers.append(serve_api(settings))
        return servers[0]

    serve_api = build_api_server
    monkeypatch.setattr(serve, "build_api_server", build)
    monkeypatch.setattr(serve, "bind", lambda *given, **named: bound.append(bind(*given, **named)) or bound[0])
    thread = threading.Thread(target=serve.serve, args=(settings,), daemon=True)
    thread.start()
    wait_until(lambda: bool(servers) and servers[0].started)
    reply = httpx.post(f"http://127.0.0.1:{bound[0].getsockname()[1]}/docs/_search", json={})
    servers[0].should_exit = True
    thread.join(120)

    assert reply.status_code == 404
    assert "one process serves the embedded store, not the 2" in caplog.text
    assert "_search is served by connector gateway in front of a cluster" in reply.json()["detail"]
    assert not thread.is_alive()
    assert not is_api_alone(Settings.model_validate({"gateway": {"upstream": ["http://127.0.0.1:9200"]}}))
