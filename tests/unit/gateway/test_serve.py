"""The gateway's processes: one or several on a port, in TLS, and how they end."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from support.gateway.gateways import OK, SMALL, WAIT_S, ByteEngine, ask_port, read_reply, running_gateway
from support.parts import wait_until
from support.programs.command import environment

from connector.errors import SettingsError
from connector.gateway.serve import node_urls, serve
from connector.settings.sections import Settings

ENDED = (-signal.SIGTERM, 128 + signal.SIGTERM)  # by the signal, as Python or a shell has it


@contextmanager
def started(*arguments: str, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command `connector gateway` that has said where it listens, and its port."""
    command = [sys.executable, "-m", "connector", "gateway", "--port", "0", *arguments]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stderr=written, env=environment())
    try:
        end = time.monotonic() + WAIT_S
        while not (port := port_in(log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait(WAIT_S)


def port_in(log: str) -> int:
    """Where it says that it listens; 0 before."""
    found = re.search(r"listening on http://[\d.]+:(\d+)", log)
    return int(found[1]) if found else 0


def children(pid: int) -> set[int]:
    """Processes of the gateway; not the tracker of resources that Python starts beside them."""
    found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return {child for child in found if b"spawn_main" in command_of(child)}


def command_of(pid: int) -> bytes:
    """Nothing where the process has ended, also just now."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_several_processes_share_a_port_one_that_dies_is_replaced_and_all_end_together(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with ByteEngine().running() as engine:
        with started("--cluster", engine.url, "--processes", "2", log=log) as (process, port):
            wait_until(lambda: len(children(process.pid)) == 2)  # one of them answers before the other is there
            first = children(process.pid)
            os.kill(min(first), signal.SIGKILL)
            while len(children(process.pid) - {min(first)}) < 2:
                assert ask_again(port) == OK
            replies = [ask_again(port) for _ in range(20)]
            process.send_signal(signal.SIGTERM)
            code = process.wait(WAIT_S)

    assert replies == [OK] * 20
    assert code in ENDED
    assert "another takes its place" in log.read_text()
    assert not any(Path(f"/proc/{pid}").exists() for pid in first)


def ask_again(port: int) -> bytes:
    """What was waiting for a process that was killed is reset; who asks again is served by another."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            if reply := ask_port(port):
                return reply
        except OSError:
            time.sleep(0.02)
    return b""


def test_told_to_stop_it_answers_what_it_has_accepted(tmp_path: Path) -> None:
    asked, may_reply = threading.Event(), threading.Event()

    def late(request: bytes) -> bytes:
        asked.set()
        may_reply.wait(WAIT_S)
        return OK

    with ByteEngine(late).running() as engine:
        with started("--cluster", engine.url, log=tmp_path / "log") as (process, port):
            with socket.create_connection(("127.0.0.1", port), WAIT_S) as caller:
                caller.sendall(SMALL)
                assert asked.wait(WAIT_S)
                process.send_signal(signal.SIGTERM)
                while is_listening(port):
                    time.sleep(0.02)
                may_reply.set()
                reply = read_reply(caller)
            code = process.wait(WAIT_S)
    last_line = (tmp_path / "log").read_text().splitlines()[-1]

    assert last_line == "stopped by SIGTERM: what it had accepted was answered, or told to come again"
    assert reply == OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    assert code in ENDED


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), WAIT_S).close()
        return True
    except ConnectionRefusedError:
        return False


def test_it_serves_tls_and_speaks_it_to_an_engine_whose_authority_it_is_told(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    trust = ssl.create_default_context(cafile=cert)
    files = {"tls_cert": str(cert), "tls_key": str(key)}
    with ByteEngine().running() as engine, running_gateway(engine.url, tls=trust, **files) as inner:
        through = {"cluster": {"ca_cert": str(cert)}}
        with running_gateway(f"https://127.0.0.1:{inner.port}", others=through) as outer:
            trusted = outer.ask(SMALL)
        with running_gateway(f"https://127.0.0.1:{inner.port}") as outer:
            untrusted = outer.ask(SMALL)

    assert trusted == OK, trusted
    assert untrusted.startswith(b"HTTP/1.1 502 ")
    assert "certificate verify failed" in json.loads(untrusted.partition(b"\r\n\r\n")[2])["error"]["reason"]


class Knock(logging.Handler):
    """Connects to each address at the moment at which the log says that it listens."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        if port := port_in(words):
            socket.create_connection(("127.0.0.1", port), WAIT_S).close()
            self.taken.append(words.partition(" ")[0])


@pytest.mark.parametrize("is_alone", [False, True], ids=["gateway", "API-alone"])
def test_what_the_log_says_is_listening_takes_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_alone: bool
) -> None:
    caplog.set_level("INFO", logger="connector")
    servers: list[uvicorn.Server] = []
    run = uvicorn.Server.run

    def kept(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        servers.append(server)
        run(server, sockets)

    monkeypatch.setattr(uvicorn.Server, "run", kept)
    knock = Knock()
    monkeypatch.setattr(logging.getLogger("connector"), "handlers", [knock])
    with ByteEngine().running() as engine:
        upstream = [] if is_alone else [engine.url]
        gateway = {"port": 0, "api_port": 0, "upstream": upstream}
        settings = Settings.model_validate({"cluster": {"url": f"embedded:{tmp_path}"}, "gateway": gateway})
        thread = threading.Thread(target=serve, args=(settings,), daemon=True)
        thread.start()
        wait_until(lambda: (bool(servers) and servers[0].started) or not thread.is_alive())
        servers[0].should_exit = True
        thread.join(WAIT_S)

    assert knock.taken == (["API"] if is_alone else ["gateway", "API"])


def test_what_cannot_be_served_is_told() -> None:
    with pytest.raises(SettingsError, match=r"stands in front of a cluster, and cluster\.url is 'embedded:"):
        node_urls(Settings())
    with pytest.raises(SettingsError, match=r"gateway\.tls_cert and gateway\.tls_key belong together"):
        serve(Settings.model_validate({"gateway": {"tls_cert": "a.pem"}, "cluster": {"url": "http://h:1"}}))
    with pytest.raises(SettingsError, match=r"cluster\.ca_cert 'none\.pem' cannot be read"):
        serve(Settings.model_validate({"cluster": {"url": "https://h:1", "ca_cert": "none.pem"}}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            SettingsError, match=rf"cannot listen on 127\.0\.0\.1:{port} .*choose another gateway\.port"
        ):
            serve(Settings.model_validate({"gateway": {"port": port}, "cluster": {"url": "http://h:1"}}))
