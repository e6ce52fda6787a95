"""POST /v1/events: what comes is kept under UBI's names, and read by what learns from clicks; else it is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.gateway.gateway_api import api_settings, fill, running_api
from support.gateway.gateways import ByteEngine
from support.parts import until, wait_until

from connector.errors import ClusterUnavailable, SettingsError
from connector.gateway.api.app import create_api
from connector.gateway.api.keeping import FileSink, IndexSink, Keeper, UbiLine, WrittenLines, read_written
from connector.gateway.api.metrics import ApiMetrics
from connector.gateway.api.searching import NOT_KEPT
from connector.judging.formats.ubi import read_ubi
from connector.settings.sections import Settings

Json = dict[str, Any]


def click(query_id: str, doc_id: str, rank: int) -> Json:
    attributes = {"object": {"object_id": doc_id}, "position": {"ordinal": rank}, "dwell_time": 12.5}
    return {"action_name": "click", "query_id": query_id, "client_id": "c1", "event_attributes": attributes}


def kept(file: Path, count: int) -> list[Json]:
    wait_until(lambda: file.exists() and len(file.read_bytes().splitlines()) >= count)
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_clicks_on_an_answer_come_back_as_clicks_on_its_query(tmp_path: Path) -> None:
    fill(tmp_path / "store")
    file = tmp_path / "ubi.jsonl"
    with running_api(api_settings(f"embedded:{tmp_path / 'store'}", gateway={"events_file": str(file)})) as api:
        answer = api.post("/v1/search", json={"query": "red fish", "k": 2}).json()
        first, second = (hit["doc_id"] for hit in answer["hits"])
        reply = api.post("/v1/events", json=[click(answer["query_id"], second, 2)])
        own = {"application": "shop", "timestamp": "2026-01-31T12:00:00Z"}
        dwelt = api.post("/v1/events", json={"action_name": "dwell", "query_id": answer["query_id"], **own})
        query, event, dwell = kept(file, 3)
        wait_until(lambda: 'connector_gateway_events_total{outcome="kept"} 3.0' in api.get("/metrics").text)
    counts, notes = read_ubi([file])

    assert (reply.status_code, reply.json(), dwelt.status_code) == (202, {"accepted": 1}, 202)
    assert (query["user_query"], query["query_response_hit_ids"]) == ("red fish", [first, second])
    assert event["event_attributes"]["dwell_time"] == 12.5
    assert event["timestamp"]
    assert (query["application"], event["application"]) == ("docs", "docs")
    assert {name: dwell[name] for name in own} == own
    assert {(count.text, count.doc_id, count.rank, count.clicks) for count in counts} == {
        ("red fish", first, 1, 0),
        ("red fish", second, 2, 1),
    }
    assert notes == ("1 events are neither a click nor an impression",)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"action_name": "click"}, 422),
        ({"action_name": "click", "query_id": "q", "who": "me"}, 422),
        ({"action_name": "click", "query_id": "q", "timestamp": "yesterday"}, 422),
        ({"action_name": "click", "query_id": "q", "event_attributes": {"object": {"object_id": 3}}}, 422),
        ([{"action_name": "click", "query_id": "q"}] * 1_001, 413),
    ],
)
def test_what_is_no_event_is_refused(tmp_path: Path, event: Any, status: int) -> None:
    with running_api(api_settings("http://127.0.0.1:9", gateway={"events_file": str(tmp_path / "ubi")})) as api:
        reply = api.post("/v1/events", json=event)

    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")


def test_without_a_place_events_are_refused_and_two_places_are_one_too_many() -> None:
    with running_api(api_settings("http://127.0.0.1:9")) as api:
        reply = api.post("/v1/events", json=click("q", "a", 1))

    assert (reply.status_code, "gateway.events_file" in reply.json()["detail"]) == (404, True)
    with pytest.raises(SettingsError, match="leave one out"):
        create_api(Settings.model_validate({"gateway": {"events_file": "a", "events_index": "b"}}))


def test_as_many_events_as_are_allowed_are_taken_and_written_at_the_end_at_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is there only when the server has been told to end."""
    monkeypatch.setattr("connector.gateway.api.keeping.CLOSING_S", 120.0)
    fill(tmp_path / "store")
    file = tmp_path / "later" / "ubi.jsonl"
    gateway = {"events_file": str(file), "max_waiting_events": 1_000}
    with running_api(api_settings(f"embedded:{tmp_path / 'store'}", gateway=gateway)) as api:
        reply = api.post("/v1/events", json=[click("q", "a", 1)] * 1_000)
        wait_until(lambda: 'outcome="tried again"' in api.get("/metrics").text)
        answer = api.post("/v1/search", json={"query": "red"})
        file.parent.mkdir()

    assert (reply.status_code, answer.status_code) == (202, 200)
    assert NOT_KEPT in answer.json()["notes"]
    assert len(file.read_bytes().splitlines()) == 1_000


async def test_lines_that_one_index_has_kept_are_not_sent_again_when_the_other_is_busy() -> None:
    root = b'{"version": {"number": "9.3.0", "build_flavor": "default"}, "tagline": "You Know, for Search"}'
    busy = [b"429 Too Many Requests", b"200 OK"]

    def reply(request: bytes) -> bytes:
        line = request.partition(b"\r\n")[0]
        status, body = b"200 OK", b"{}"
        if line.startswith(b"GET / "):
            body = root
        elif line.startswith(b"PUT "):
            status, body = (
                b"400 Bad Request",
                b'{"error": {"type": "resource_already_exists_exception"}, "status": 400}',
            )
        elif b"_bulk" in line:
            body = b'{"errors": false, "items": [{"create": {"status": 201}}]}'
            status = busy.pop(0) if b"_events" in line else status
        head = b"content-type: application/json\r\nx-elastic-product: Elasticsearch\r\ncontent-length: %d" % len(body)
        return b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n\r\n" + body

    with ByteEngine(reply).running() as engine:
        sink = IndexSink(api_settings(engine.url), "ubi")
        lines: list[UbiLine] = [("queries", b'{"at":1}\n'), ("events", b'{"at":2}\n')]
        first = await sink.write(lines)
        second = await sink.write(first.again)
        await sink.close()

    assert (first.again, second) == ((lines[1],), WrittenLines())
    assert first.reason
    heads = [request.partition(b" HTTP")[0] for request in engine.seen]
    assert [head for head in heads if b"_bulk" in head] == [
        b"POST /ubi_queries/_bulk", b"POST /ubi_events/_bulk", b"POST /ubi_events/_bulk"
    ]  # fmt: skip
    made = [request for request in engine.seen if request.startswith(b"PUT ")]
    assert [request.count(b'"dynamic":false') for request in made] == [1, 4]


async def test_what_fails_again_and_again_is_tried_in_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    class Away:
        async def write(self, lines: Sequence[UbiLine]) -> WrittenLines:
            if len(pauses) < 8:
                raise ClusterUnavailable("away")
            return WrittenLines()

        async def close(self) -> None: ...

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    monkeypatch.setattr("connector.gateway.api.keeping.asyncio.sleep", sleep)
    keeper = Keeper(Away(), ApiMetrics(), room=9)
    keeper.start()
    keeper.put("events", [{"at": 1}])
    await keeper.close()

    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_where_nothing_can_be_written_callers_are_told_once_the_room_is_full(tmp_path: Path) -> None:
    """The folder is not there until later; then all that was accepted is written."""
    file = tmp_path / "later" / "ubi.jsonl"
    gateway = {"events_file": str(file), "max_waiting_events": 2}
    with running_api(api_settings("http://127.0.0.1:9", gateway=gateway)) as api:
        replies = [api.post("/v1/events", json=click("q", str(at), 1)) for at in range(3)]
        file.parent.mkdir()
        lines = kept(file, 2)
        counted = api.get("/metrics").text

    assert [reply.status_code for reply in replies] == [202, 202, 503]
    assert replies[2].headers["retry-after"] == "5"
    assert [line["event_attributes"]["object"]["object_id"] for line in lines] == ["0", "1"]
    assert 'connector_gateway_events_total{outcome="turned away"} 1.0' in counted


async def test_what_is_left_at_the_end_is_counted_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("connector.gateway.api.keeping.CLOSING_S", 0.05)
    metrics = ApiMetrics()
    keeper = Keeper(FileSink(tmp_path / "nowhere" / "ubi"), metrics, room=9)
    keeper.start()
    assert keeper.put("events", [{"query_id": "q"}])
    await until(lambda: "cannot be kept now" in caplog.text)
    await keeper.close()

    assert metrics.registry.get_sample_value("connector_gateway_events_total", {"outcome": "lost"}) == 1
    assert "1 queries and events could not be kept" in caplog.text
    assert "events wait, since they cannot be kept now: cannot write events to" in caplog.text


async def test_what_comes_while_a_batch_is_written_is_written_after_it() -> None:
    class Slow:
        def __init__(self) -> None:
            self.batches: list[Sequence[UbiLine]] = []
            self.has_begun, self.goes_on = asyncio.Event(), asyncio.Event()

        async def write(self, lines: Sequence[UbiLine]) -> WrittenLines:
            self.batches.append(lines)
            self.has_begun.set()
            await self.goes_on.wait()
            return WrittenLines()

        async def close(self) -> None: ...

    sink = Slow()
    keeper = Keeper(sink, ApiMetrics(), room=9)
    keeper.start()
    keeper.put("events", [{"at": 1}])
    await sink.has_begun.wait()
    keeper.put("events", [{"at": 2}])
    sink.goes_on.set()
    await keeper.close()

    assert sink.batches == [[("events", b'{"at":1}\n')], [("events", b'{"at":2}\n')]]


async def test_what_is_refused_for_a_moment_is_written_before_what_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.gateway.api.keeping.PAUSE_S", 0.0)

    class Busy:
        """Keeps the first of each batch, refuses the second for good and the others for a moment."""

        def __init__(self) -> None:
            self.batches: list[list[bytes]] = []

        async def write(self, lines: Sequence[UbiLine]) -> WrittenLines:
            self.batches.append([line for _, line in lines])
            return WrittenLines(len(lines[1:2]), tuple(lines[2:]), "queue is full" if lines[2:] else "")

        async def close(self) -> None: ...

    sink, metrics = Busy(), ApiMetrics()
    keeper = Keeper(sink, metrics, room=9)
    keeper.start()
    keeper.put("events", [{"at": at} for at in range(5)])
    await keeper.close()

    lines = [b'{"at":%d}\n' % at for at in range(5)]
    assert sink.batches == [lines, lines[2:], lines[4:]]
    counted = {
        outcome: metrics.registry.get_sample_value("connector_gateway_events_total", {"outcome": outcome})
        for outcome in ("accepted", "kept", "tried again", "refused by the engine", "lost")
    }
    assert list(counted.values()) == [5, 3, 4, 2, None]


def test_each_line_of_a_bulk_reply_is_kept_refused_or_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[UbiLine] = [("events", b'{"at":%d}\n' % at) for at in range(4)]
    busy = {"type": "es_rejected_execution_exception", "reason": "rejected execution of coordinating operation"}
    broken = {"type": "document_parsing_exception", "reason": "failed to parse field [timestamp]"}
    items = [{"status": 201}, {"status": 429, "error": busy}, {"status": 400, "error": broken}, {"status": 201}]
    written = read_written({"errors": True, "items": [{"create": item} for item in items]}, lines)

    assert written == WrittenLines(1, (lines[1],), busy["reason"])
    assert "refused 1 of the events: failed to parse field [timestamp]" in caplog.text
    assert read_written({"items": []}, lines).again == tuple(lines)


async def test_what_waits_is_bounded_in_bytes_and_written_in_batches_of_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.gateway.api.keeping.MAX_WAITING_BYTES", 40)
    monkeypatch.setattr("connector.gateway.api.keeping.BATCH_BYTES", 20)
    keeper = Keeper(FileSink(tmp_path / "ubi"), ApiMetrics(), room=99)

    assert [keeper.put("events", [{"at": at}]) for at in range(1, 6)] == [True, True, True, True, False]
    assert len(keeper._batch()) == 2
    keeper.start()
    await until(lambda: keeper.put("events", [{"at": at} for at in range(5, 9)]))  # there is room again
    await keeper.close()
    assert (tmp_path / "ubi").read_text().splitlines() == [f'{{"at":{at}}}' for at in range(1, 9)]


async def test_the_embedded_store_keeps_no_events(tmp_path: Path) -> None:
    settings = api_settings(f"embedded:{tmp_path}")
    sink = IndexSink(settings, "ubi")
    with pytest.raises(SettingsError, match=r"set gateway\.events_file"):
        await sink.write([("events", b"{}\n")])
    await sink.close()


def test_the_file_of_events_is_the_owners_alone(tmp_path: Path) -> None:
    asyncio.run(FileSink(tmp_path / "ubi").write([("events", b'{"a":1}\n'), ("queries", b'{"b":2}\n')]))

    assert (tmp_path / "ubi").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ubi").read_text() == '{"a":1}\n{"b":2}\n'
