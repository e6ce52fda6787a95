"""Where queries and events are kept: JSON Lines in a file, or two indexes of the cluster.

Nothing is lost in silence."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from connector.clusters.protocol import Cluster
from connector.clusters.rest import RestCluster
from connector.clusters.writing.bulk import RETRYABLE_STATUS
from connector.errors import ClusterError, ConnectorError, DiskError, SettingsError
from connector.gateway.api.metrics import ApiMetrics
from connector.settings.sections import Settings
from connector.wiring import open_cluster

UbiKind = Literal["queries", "events"]
UbiLine = tuple[UbiKind, bytes]  # an object as JSON, with the end of its line
BATCH, BATCH_BYTES = 500, 4_000_000
MAX_WAITING_BYTES = 64_000_000
PAUSE_S, MAX_PAUSE_S = 0.5, 30.0
CLOSING_S = 5.0  # for what waits when the server ends
TIMEOUT_S = 30.0
EXISTS = "already_exists"
KEYWORD, TEXT = {"type": "keyword", "ignore_above": 8_191}, {"type": "text"}
# the fields that events are read by; what else an event holds is kept, and not indexed
MAPPINGS: dict[UbiKind, dict[str, Any]] = {
    "queries": {
        "application": KEYWORD, "query_id": KEYWORD, "client_id": KEYWORD, "timestamp": {"type": "date"},
        "user_query": {"type": "text", "fields": {"keyword": KEYWORD}}, "query_response_hit_ids": KEYWORD,
    },
    "events": {
        "application": KEYWORD, "action_name": KEYWORD, "query_id": KEYWORD, "session_id": KEYWORD,
        "client_id": KEYWORD, "timestamp": {"type": "date"}, "message_type": KEYWORD, "message": TEXT,
        "event_attributes": {
            "dynamic": False,
            "properties": {
                "object": {"dynamic": False, "properties": {"object_id": KEYWORD, "object_id_field": KEYWORD}},
                "position": {"dynamic": False, "properties": {"ordinal": {"type": "integer"}}},
            },
        },
    },
}  # fmt: skip
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WrittenLines:
    """What became of lines that are not kept: how many were refused for good, and which are to be written again, since
    they were refused for the `reason` of a moment."""

    refused: int = 0
    again: tuple[UbiLine, ...] = ()
    reason: str = ""


class Sink(Protocol):
    """Something that keeps lines."""

    async def write(self, lines: Sequence[UbiLine]) -> WrittenLines:
        """Keep them; which are not kept. Raises ConnectorError where none could be kept now."""
        ...

    async def close(self) -> None: ...


class FileSink:
    """A file of JSON Lines, which several processes may add to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def write(self, lines: Sequence[UbiLine]) -> WrittenLines:
        await asyncio.to_thread(self._append, b"".join(line for _, line in lines))
        return WrittenLines()

    def _append(self, data: bytes) -> None:
        """In one step, so that lines of two processes do not mix."""
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                while data:
                    data = data[os.write(file, data) :]
            finally:
                os.close(file)
        except OSError as error:
            raise DiskError(f"cannot write events to {self._path}: {error.strerror}; free or choose a place") from error

    async def close(self) -> None:
        """Nothing is open."""


class IndexSink:
    """The indexes NAME_queries and NAME_events, made with a mapping where they are not there."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self._name = settings, name
        self._cluster: Cluster | None = None
        self._made: set[UbiKind] = set()

    async def write(self, lines: Sequence[UbiLine]) -> WrittenLines:
        cluster = self._cluster = self._cluster or await open_cluster(self._settings)
        if not isinstance(cluster, RestCluster):
            raise SettingsError("events_index is an index of a cluster; set gateway.events_file for the embedded store")
        written: list[WrittenLines] = []
        kinds: tuple[UbiKind, ...] = ("queries", "events")
        for kind in kinds:
            if found := [line for line in lines if line[0] == kind]:
                written.append(await self._write(cluster, kind, found))
        return WrittenLines(
            sum(outcome.refused for outcome in written),
            tuple(line for outcome in written for line in outcome.again),
            next((outcome.reason for outcome in written if outcome.reason), ""),
        )

    async def _write(self, cluster: RestCluster, kind: UbiKind, lines: Sequence[UbiLine]) -> WrittenLines:
        """Where a second request fails as a whole, those that the first one kept are not written again."""
        try:
            await self._make(cluster, kind)
            body = [part for _, line in lines for part in (b'{"create":{}}\n', line)]
            reply = await cluster.client.bulk(f"{self._name}_{kind}", body, timeout_s=TIMEOUT_S)
        except ConnectorError as error:
            return WrittenLines(again=tuple(lines), reason=str(error))
        return read_written(reply, lines)

    async def _make(self, cluster: RestCluster, kind: UbiKind) -> None:
        if kind in self._made:
            return
        body = {"mappings": {"dynamic": False, "properties": MAPPINGS[kind]}}
        try:
            await cluster.client.request("PUT", f"/{self._name}_{kind}", body=body, timeout_s=TIMEOUT_S)
        except ClusterError as error:
            if EXISTS not in str(error):
                raise
        self._made.add(kind)

    async def close(self) -> None:
        if self._cluster:
            await self._cluster.close()


def read_written(reply: Mapping[str, Any], lines: Sequence[UbiLine]) -> WrittenLines:
    """What a bulk reply says of the lines. The first one that is refused for good is logged."""
    items = [item.get("create", {}) for item in reply.get("items", [])]
    if len(items) != len(lines):
        return WrittenLines(again=tuple(lines), reason="the reply to a bulk request does not fit what was sent")
    errors = [(line, item.get("status"), item["error"]) for line, item in zip(lines, items, strict=True)
              if item.get("error")]  # fmt: skip
    again = [(line, error) for line, status, error in errors if status in RETRYABLE_STATUS]
    refused = [error for _, status, error in errors if status not in RETRYABLE_STATUS]
    if refused:
        log.error("the engine refused %d of the %s: %s", len(refused), lines[0][0], _words(refused[0]))
    return WrittenLines(len(refused), tuple(line for line, _ in again), _words(again[0][1]) if again else "")


def _words(error: Any) -> str:
    return str(error.get("reason", error)) if isinstance(error, Mapping) else str(error)


class Keeper:
    """Takes lines at once, as long as there is room, and writes them by and by, in batches, until they are kept."""

    def __init__(self, sink: Sink, metrics: ApiMetrics, room: int) -> None:
        self._sink, self._metrics, self._room = sink, metrics, room
        self._waiting: list[UbiLine] = []
        self._waiting_bytes = 0
        self._has_some = asyncio.Event()
        self._is_closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._writing = asyncio.create_task(self._write_all())

    def put(self, kind: UbiKind, objects: Sequence[Mapping[str, Any]]) -> bool:
        """Take all of them, or none where there is no room."""
        lines = [(kind, orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)) for entry in objects]
        size = sum(len(line) for _, line in lines)
        has_room = len(self._waiting) + len(lines) <= self._room and self._waiting_bytes + size <= MAX_WAITING_BYTES
        self._metrics.count_events("accepted" if has_room else "turned away", len(lines))
        if has_room:
            self._waiting += lines
            self._waiting_bytes += size
            self._has_some.set()
        return has_room

    async def close(self) -> None:
        """Write what waits, for a few seconds; what is left is counted and said."""
        self._is_closing.set()
        self._has_some.set()
        if self._writing:
            _, late = await asyncio.wait([self._writing], timeout=CLOSING_S)
            for task in late:
                task.cancel()
                await asyncio.wait([task])
        if self._waiting:
            self._metrics.count_events("lost", len(self._waiting))
            log.error("%d queries and events could not be kept before the end", len(self._waiting))
        await self._sink.close()

    def _batch(self) -> list[UbiLine]:
        """The first of what waits: so many lines, or so many bytes, and at least one line."""
        sizes = accumulate(len(line) for _, line in self._waiting[:BATCH])
        return self._waiting[: max(sum(size <= BATCH_BYTES for size in sizes), 1)]

    async def _write_all(self) -> None:
        pause_s = PAUSE_S
        while self._waiting or not self._is_closing.is_set():
            await self._has_some.wait()
            batch = self._batch()
            if not batch:
                self._has_some.clear()
                if self._is_closing.is_set():
                    return
                continue
            try:
                written = await self._sink.write(batch)
            except ConnectorError as error:
                written = WrittenLines(again=tuple(batch), reason=str(error))
            self._settle(batch, written)
            if not written.again:
                pause_s = PAUSE_S
                continue
            log.warning("%d events wait, since they cannot be kept now: %s", len(written.again), written.reason)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, MAX_PAUSE_S)

    def _settle(self, batch: Sequence[UbiLine], written: WrittenLines) -> None:
        """What is to be written again stands before all that waits."""
        again = list(written.again)
        self._waiting[: len(batch)] = again
        self._waiting_bytes -= sum(len(line) for _, line in batch) - sum(len(line) for _, line in again)
        self._metrics.count_events("kept", len(batch) - len(again) - written.refused)
        for outcome, count in (("tried again", len(again)), ("refused by the engine", written.refused)):
            if count:
                self._metrics.count_events(outcome, count)


def open_keeper(settings: Settings, metrics: ApiMetrics) -> Keeper | None:
    """What keeps queries and events; None where the settings name no place. Raises SettingsError for two of them."""
    gateway = settings.gateway
    if gateway.events_file and gateway.events_index:
        raise SettingsError("gateway.events_file and gateway.events_index are two places for the same; leave one out")
    if gateway.events_file:
        return Keeper(FileSink(Path(gateway.events_file).expanduser()), metrics, gateway.max_waiting_events)
    if gateway.events_index:
        return Keeper(IndexSink(settings, gateway.events_index), metrics, gateway.max_waiting_events)
    return None
