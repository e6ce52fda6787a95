"""A worker that is told to stop: in this process, where a gate holds its model."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvicorn
from support.parts import Gate, OverlapScorer, wait_until
from support.worker.worker_app import COHERE, TEI, message, post, rerank, wait_ready

from connector.listening import bind
from connector.readiness import ReadyFile, read_state
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app
from connector.worker.drain import Drain
from connector.worker.serve import DrainingServer


class Stopping:
    """A worker whose model waits at a gate, and which can be told to stop."""

    def __init__(self, url: str, drain: Drain, server: DrainingServer, thread: threading.Thread) -> None:
        self.url = url
        self.drain = drain
        self.server = server
        self.thread = thread

    def stop(self) -> None:
        """What a signal does."""
        self.drain.begin("SIGTERM")
        self.server.should_exit = True

    def wait(self) -> None:
        self.thread.join(120)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def running(gate: Gate, folder: Path, *, drain_s: float) -> Iterator[Stopping]:
    listener, drain = bind("127.0.0.1", 0, choose="worker.port"), Drain()
    port = listener.getsockname()[1]
    ready_file = ReadyFile(str(folder / "ready.json"), scheme="http", host="127.0.0.1", port=port)
    settings = WorkerSettings(drain_s=drain_s)
    app = create_app(lambda: OverlapScorer(gate), settings, drain=drain, announce=ready_file.note)
    server = DrainingServer(uvicorn.Config(app, log_level="critical"), drain, ready_file, drain_s)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started)
        wait_ready(ready_file.url)
        gate.open.clear()
        gate.entered.clear()
        yield Stopping(ready_file.url, drain, server, thread)
    finally:
        gate.open.set()
        server.should_exit = True
        thread.join(120)
        listener.close()


def test_what_was_accepted_is_answered_and_what_is_new_is_refused(
    gate: Gate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "connector.worker.drain")
    with running(gate, tmp_path, drain_s=300) as worker, ThreadPoolExecutor() as pool:
        accepted = [pool.submit(rerank, worker.url, path) for path in (TEI, COHERE)]
        wait_until(lambda: gate.entered.is_set() and len(worker.drain._tasks) == 2)
        worker.stop()
        wait_until(lambda: "stopping on SIGTERM" in caplog.text)
        new = [rerank(worker.url, TEI), httpx.get(f"{worker.url}/ready"), rerank(worker.url, COHERE)]
        alive = httpx.get(f"{worker.url}/health").status_code
        state = read_state(tmp_path / "ready.json")
        gate.open.set()
        replies = [reply.result() for reply in accepted]
        worker.wait()

    assert [reply.status_code for reply in replies] == [200, 200]
    assert [reply.status_code for reply in new] == [503] * 3
    assert all(reply.headers["retry-after"] == "1" and "is stopping" in message(reply) for reply in new)
    assert all(reply.headers["connection"] == "close" for reply in (*replies, *new))
    assert alive == 200
    assert state
    assert state.state == "stopping"
    assert "2 requests under way, up to 300 s" in caplog.text
    assert "2 answered, 0 told to come again, 3 new ones refused" in caplog.text


@pytest.mark.parametrize("path", [TEI, COHERE, "/score"])
def test_what_cannot_be_answered_in_time_is_told_to_come_again(
    gate: Gate, tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.INFO)
    with running(gate, tmp_path, drain_s=0.2) as worker, ThreadPoolExecutor() as pool:
        body = {"query": "red", "texts": ["red"], "documents": ["red"], "text_1": ["red", "blue"], "text_2": ["a", "b"]}
        accepted = [pool.submit(post, worker.url, path, body) for _ in range(3)]
        wait_until(lambda: gate.entered.is_set() and len(worker.drain._tasks) == 3)
        worker.stop()
        replies = [reply.result() for reply in accepted]
        gate.open.set()
        worker.wait()

    assert [reply.status_code for reply in replies] == [503] * 3
    assert all(reply.headers["retry-after"] == "1" and "is stopping" in message(reply) for reply in replies)
    assert "0 answered, 3 told to come again" in caplog.text
    ours = [record for record in caplog.records if record.name.startswith(("connector", "uvicorn", "asyncio"))]
    assert all(record.levelno < logging.WARNING and not record.exc_info for record in ours)


def test_a_second_signal_waits_no_longer(gate: Gate, tmp_path: Path) -> None:
    with running(gate, tmp_path, drain_s=600) as worker, ThreadPoolExecutor() as pool:
        accepted = pool.submit(rerank, worker.url, TEI)
        wait_until(gate.entered.is_set)
        worker.stop()
        worker.stop()
        reply = accepted.result()
        gate.open.set()
        worker.wait()

    assert reply.status_code == 503


def test_a_body_that_never_ends_is_refused_when_the_time_is_up(gate: Gate, tmp_path: Path) -> None:
    never = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b'{"query": '
        never.wait(120)
        yield b'"red"}'

    with running(gate, tmp_path, drain_s=0.2) as worker, ThreadPoolExecutor() as pool:
        accepted = pool.submit(httpx.post, worker.url + TEI, content=pieces())
        wait_until(lambda: len(worker.drain._tasks) == 1)
        worker.stop()
        wait_until(lambda: not worker.drain._tasks)
        never.set()
        with contextlib.suppress(httpx.HTTPError):  # the connection may be closed before the rest is sent
            assert accepted.result().status_code == 503
        worker.wait()


def test_a_worker_with_nothing_to_do_stops_at_once(gate: Gate, tmp_path: Path) -> None:
    with running(gate, tmp_path, drain_s=600) as worker:
        worker.stop()
        worker.wait()
