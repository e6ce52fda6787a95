"""A worker as the command starts it: https with a certificate of a private CA, keys, and how it ends."""

from __future__ import annotations

import contextlib
import itertools
import re
import signal
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from engine_security import make_certificates
from loopback_ports import free_port
from support.programs.command import Launcher, Running

from connector.errors import ModelError, WorkerError
from connector.headers import FRESH
from connector.readiness import read_state
from connector.remote.process import running_worker
from connector.rerankers.worker import WorkerClient
from connector.settings.sections import Settings
from connector.wiring import open_reranker

KEY = "key-of-the-search-service"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture(scope="module")
def url(launcher: Launcher, ca: Path) -> Iterator[str]:
    port = free_port()
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
            time.sleep(0.02)
        yield str(client.base_url)
    running.kill()


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.HTTPError:
        return False


async def test_the_query_layer_reaches_it_with_its_ca_and_a_key(url: str, ca: Path) -> None:
    client = open_reranker(
        Settings.model_validate({"rerankers": {"local": {"url": url, "ca_cert": str(ca), "api_key": KEY}}}), "local"
    )
    assert client
    scores = await client.score("how do I get a refund", ["Refunds take ten days.", "The cat sat."], timeout_s=120)
    await client.close()

    assert scores.values[0] > scores.values[1]


async def test_without_the_ca_or_the_key_it_is_told_what_is_missing(url: str, ca: Path) -> None:
    strangers = {"is its CA the one in rerankers.local.ca_cert": WorkerClient(url, api_key=KEY)}
    strangers |= {"HTTP 401.*bring one of the worker's API keys": WorkerClient(url, ca_cert=str(ca))}
    for words, client in strangers.items():
        with pytest.raises(WorkerError, match=words):
            await client.score("q", ["p"], timeout_s=120)
        await client.close()


def test_plain_http_gets_no_answer(url: str) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.post(url.replace("https", "http") + "/rerank", json={"query": "q", "texts": ["p"]})


TEXTS = [
    f"Clause {at} of the contract. " + "The partner keeps a registered deal for ninety days. " * 8 for at in range(60)
]
QUESTION = "how long is a deal registered"


class Load:
    """Clients that ask one thing after the other until they are told to come again, or nobody listens any more; and
    what they were told."""

    def __init__(self, url: str, *, clients: int, texts: int) -> None:
        self.replies: list[httpx.Response] = []
        self.broken: list[httpx.HTTPError] = []
        self._url = url
        self._texts = TEXTS[:texts]
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(200)
            assert not thread.is_alive()

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._url) as client:
            for turn in itertools.count():
                texts = [f"{number} {turn} {text}" for text in self._texts]  # which no cache holds
                try:
                    reply = client.post("/rerank", json={"query": QUESTION, "texts": texts})
                except httpx.ConnectError:
                    return  # it comes late, on a busy machine: what it would have sent was never accepted
                except httpx.HTTPError as error:
                    self.broken.append(error)
                    return
                self.replies.append(reply)
                if reply.status_code == 503:
                    return


def waiting(url: str) -> float:
    """How many requests are under way."""
    found = re.search(r"^connector_worker_waiting (\S+)", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    assert found
    return float(found[1])


@contextlib.contextmanager
def started(launcher: Launcher, folder: Path, *flags: str) -> Iterator[tuple[str, Running]]:
    """A worker that is ready, its URL first; its ready file is in the folder."""
    file = folder / "ready.json"
    running = launcher.start("worker", "--port", "0", "--ready-file", str(file), *flags, cwd=folder)
    while not (found := read_state(file)) or found.state == "loading":
        assert not running.ended.done(), running.wait().stderr
        time.sleep(0.02)
    assert (found.state, found.scheme, found.pid) == ("ready", "http", running.pid)
    try:
        yield found.url, running
    finally:
        running.kill()


@pytest.mark.parametrize(
    ("drain_s", "texts", "outcome"), [(300, 6, "{} answered, 0 told to come again"), (0, 60, "0 answered, {} told")]
)
def test_whatever_a_worker_under_load_accepted_is_answered_or_told_to_come_again(
    launcher: Launcher, drain_s: int, texts: int, outcome: str, tmp_path: Path
) -> None:
    with started(launcher, tmp_path, "--set", f"worker.drain_s={drain_s}") as (url, running):
        with Load(url, clients=8, texts=texts) as load:
            began = time.monotonic()
            # a machine that others keep busy is so slow that the worker takes fewer
            while (count := waiting(url)) < 8 and not (count and time.monotonic() - began > 20):
                assert not running.ended.done()
            running.kill(signal.SIGTERM)
        done = running.wait()
    state = read_state(tmp_path / "ready.json")

    statuses = Counter(reply.status_code for reply in load.replies)
    stopping = re.search(r"stopping on SIGTERM: ([1-8]) requests under way", done.stderr)
    assert stopping, done.stderr
    assert set(statuses) <= {200, 429, 503}
    assert (0 if drain_s else int(stopping[1])) <= statuses[503] <= 8
    assert all(reply.headers["retry-after"] for reply in load.replies if reply.status_code == 503)
    assert load.broken == []
    assert done.code == 128 + signal.SIGTERM
    assert "stopped by SIGTERM: what it had accepted was answered, or told to come again" in done.stderr
    assert outcome.format(stopping[1]) in done.stderr
    assert "Traceback" not in done.stderr
    assert url in done.stderr
    assert state
    assert state.state == "stopping"  # the ready file follows a worker to its end


def test_a_worker_that_stops_says_so_while_it_answers(launcher: Launcher, tmp_path: Path) -> None:
    body = {"query": QUESTION, "texts": TEXTS}
    with (
        started(launcher, tmp_path, "--set", "worker.drain_s=300") as (url, running),
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(httpx.post, f"{url}/rerank", json=body)
        while not waiting(url):
            if asked.done():  # before anybody looked
                asked = pool.submit(httpx.post, f"{url}/rerank", json=body, headers=FRESH)
        running.kill(signal.SIGTERM)
        statuses = []
        while not asked.done():
            with contextlib.suppress(httpx.HTTPError):
                statuses.append(httpx.get(f"{url}/ready").status_code)  # by a new connection, as a balancer asks
            time.sleep(0.02)
        reply = asked.result()
        code = running.wait().code

    assert set(statuses[1:]) <= {503}, statuses  # the first may have been quicker than the signal
    assert reply.status_code == 200
    assert len(reply.json()) == 60
    assert code == 128 + signal.SIGTERM


def test_a_worker_whose_settings_ask_for_tls_is_found(ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_WORKER_TLS_CERT", str(ca.with_name("node.crt")))
    monkeypatch.setenv("CONNECTOR_WORKER_TLS_KEY", str(ca.with_name("node.key")))
    with running_worker(["--host", "localhost"]) as worker:
        reply = httpx.get(f"{worker.url}/ready", verify=ssl.create_default_context(cafile=ca))

    assert worker.url.startswith("https://localhost:")
    assert reply.status_code == 200


def test_a_worker_that_ends_is_told_at_once_with_its_last_words() -> None:
    began = time.monotonic()

    with pytest.raises(
        WorkerError, match=r"ended before it was ready \(exit code 2\); its last words:\n(.|\n)*nonsense"
    ):
        with running_worker(["--set", "worker.nonsense=1"]):
            raise AssertionError("it cannot be running")

    assert time.monotonic() - began < 200  # it may take ten minutes


def test_a_worker_whose_model_cannot_be_loaded_is_told_at_once() -> None:
    with pytest.raises(ModelError, match=r"could not be loaded: (.|\n)*no model folder '\./nowhere'"):
        with running_worker(["--reranker", "./nowhere"]):
            raise AssertionError("it cannot be running")


def test_a_worker_that_does_not_come_up_in_time_is_given_up() -> None:
    with pytest.raises(WorkerError, match=r"is not ready after 0\.01 s: it does not listen yet"):
        with running_worker(timeout_s=0.01):
            raise AssertionError("it cannot be running")
