"""The log of requests: what a line says, whose id it has, and what never stands in it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import httpx
import pytest
from support.parts import OverlapScorer, serving, wait_until
from support.worker.worker_app import COHERE, PASSAGES, TEI, message, rerank, wait_ready

from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app
from connector.worker.request_log import AccessLog

START = "the-start"
LOGGER = "connector.worker.request_log"
SECRET = "a word that no log may hold"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, LOGGER)
    return caplog


def records(lines: pytest.LogCaptureFixture, count: int = 0) -> list[logging.LogRecord]:
    """The lines of requests since the start, once there are so many: a line may come after its reply."""

    def found() -> list[logging.LogRecord]:
        logged = [record for record in lines.records if record.name == LOGGER]
        start = [at for at, record in enumerate(logged) if getattr(record, "request_id", "") == START]
        return logged[start[0] + 1 :] if start else logged  # which was while the test was set up

    wait_until(lambda: len(found()) >= count)
    return found()


def facts(lines: pytest.LogCaptureFixture, count: int = 0) -> list[dict[str, object]]:
    """What was logged of each request."""
    names = ["request_id", "method", "route", "status", "total_ms", "model", "pairs", "queue_ms", "model_ms"]
    return [
        {name: getattr(record, name) for name in names if hasattr(record, name)} for record in records(lines, count)
    ]


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """It remembers no score: what another test has asked is computed again."""
    with serving(create_app(OverlapScorer, WorkerSettings(score_cache_bytes=0))) as url:
        yield wait_ready(url)


@pytest.fixture
def worker(served: str, lines: pytest.LogCaptureFixture) -> str:
    """A worker whose lines from here on are the test's."""
    return start(served)


def start(url: str) -> str:
    wait_ready(url)
    httpx.get(f"{url}/nowhere", headers={"x-request-id": START})  # its line is the last one of the start
    return url


def test_a_request_is_a_line_with_what_it_took(worker: str, lines: pytest.LogCaptureFixture) -> None:
    rerank(worker, TEI, passages=PASSAGES)

    (line,) = facts(lines, 1)
    assert (line["method"], line["route"], line["status"]) == ("POST", TEI, 200)
    assert (line["model"], line["pairs"]) == ("overlap", 3)
    assert 0 <= line["queue_ms"] <= line["total_ms"]  # type: ignore[operator]
    assert 0 <= line["model_ms"] <= line["total_ms"]  # type: ignore[operator]
    assert f"status=200 total_ms={line['total_ms']} model=overlap pairs=3 queue_ms=" in lines.messages[-1]


def test_texts_and_queries_are_in_no_line(worker: str, lines: pytest.LogCaptureFixture) -> None:
    rerank(worker, TEI, query=SECRET, passages=[SECRET])
    rerank(worker, COHERE, query=SECRET, passages=[{"no": SECRET}])
    httpx.get(f"{worker}/rerank/{SECRET}", params={"query": SECRET})
    httpx.get(f"{worker}/info", params={"model": SECRET}, headers={"x-request-id": SECRET})

    assert [line["route"] for line in facts(lines, 4)] == [TEI, COHERE, "other", "/info"]
    assert SECRET not in lines.text
    assert SECRET.replace(" ", "%20") not in lines.text


@pytest.mark.parametrize(
    ("level", "statuses"),
    [("all", [200, 200, 200, 404]), ("requests", [200, 404]), ("errors", [404]), ("off", [])],
)
def test_the_settings_say_which_requests_are_logged(
    lines: pytest.LogCaptureFixture, level: AccessLog, statuses: list[int]
) -> None:
    with serving(create_app(OverlapScorer, WorkerSettings(access_log=level))) as url:
        start(url)
        httpx.head(f"{url}/info")
        for path in ("/health", "/v1/models", "/nowhere"):
            httpx.get(url + path)

    assert [line["status"] for line in facts(lines)] == statuses


@pytest.mark.parametrize("given", ["abc-123", "4bf92f35:77b34/da_6.a3@x=1+2", "x" * 128])
def test_the_callers_id_goes_into_the_log_and_back(worker: str, lines: pytest.LogCaptureFixture, given: str) -> None:
    reply = httpx.post(worker + TEI, json={"query": "red", "texts": PASSAGES}, headers={"x-request-id": given})

    assert reply.headers["x-request-id"] == given
    assert facts(lines, 1)[-1]["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", 'a"b', "a,b", "ünïcode".encode()])
def test_an_id_that_is_none_is_replaced_by_a_new_one(worker: str, given: str | bytes | None) -> None:
    headers = {} if given is None else {"x-request-id": given}

    ids = [httpx.get(f"{worker}/health", headers=headers).headers["x-request-id"] for _ in range(2)]

    assert all(re.fullmatch("[0-9a-f]{32}", found) for found in ids)
    assert ids[0] != ids[1]


def test_every_refusal_has_an_id(lines: pytest.LogCaptureFixture) -> None:
    settings = WorkerSettings(api_keys="a-key-that-is-long-enough", max_body_bytes=1_000)
    key = {"authorization": "Bearer a-key-that-is-long-enough", "x-request-id": "mine"}
    with serving(create_app(OverlapScorer, settings)) as url:
        start(url)
        replies = [
            httpx.post(url + TEI, headers={"x-request-id": "mine"}),
            httpx.post(url + TEI, headers=key, content=b"{"),
            httpx.post(url + TEI, headers=key, content=b"x" * 2_000),
            httpx.post(url + TEI, headers=key | {"content-encoding": "br"}, content=b"x"),
            httpx.post(url + TEI, headers=key, json={}),
            httpx.get(url + TEI, headers=key),
            httpx.get(f"{url}/nowhere", headers=key),
        ]

    assert [reply.status_code for reply in replies] == [401, 400, 413, 415, 422, 405, 404]
    assert [reply.headers["x-request-id"] for reply in replies] == ["mine"] * 7
    assert [line["status"] for line in facts(lines)] == [401, 400, 413, 415, 422, 405, 404]


class FaultyScorer(OverlapScorer):
    """One whose plan has a programming error, which the warm-up does not meet."""

    def plan(self, query: str, passages: object, **options: object) -> object:  # type: ignore[override]
        if "fish" in query:
            raise RuntimeError(f"dictionary changed size during iteration over {query}")
        return super().plan(query, passages, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [TEI, "/v1/rerank", COHERE])
def test_a_fault_of_ours_is_a_500_whose_traceback_is_in_the_log_alone(
    lines: pytest.LogCaptureFixture, path: str
) -> None:
    scorer = FaultyScorer()
    with serving(create_app(lambda: scorer, WorkerSettings())) as url:
        start(url)
        reply, fine = rerank(url, path), rerank(url, path, query="fine")
        counted = httpx.get(f"{url}/metrics").text

    assert (reply.status_code, fine.status_code) == (500, 200)
    assert "x-request-id" in message(reply)
    assert "dictionary" not in reply.text
    (record,) = [record for record in lines.records if record.levelno == logging.ERROR]
    assert reply.headers["x-request-id"] in record.getMessage()
    assert record.exc_info
    assert isinstance(record.exc_info[1], RuntimeError)
    assert f'path="{path}",status="500"' in counted


def test_the_line_is_a_json_object_where_the_log_is_json(worker: str, lines: pytest.LogCaptureFixture) -> None:
    from pythonjsonlogger.json import JsonFormatter

    rerank(worker, TEI)

    record = records(lines, 1)[0]
    found = json.loads(JsonFormatter("%(message)s").format(record))
    assert (found["route"], found["status"], found["pairs"]) == (TEI, 200, 3)
