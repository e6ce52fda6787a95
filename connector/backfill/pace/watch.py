"""What else can be heard of an engine's load where the privileges allow it: its write queues, the memory of requests
under way, its processors, and how long the searches of others take.

The latency of searches is that of the index in `_stats`: milliseconds of a shard's query phase, without the searches of
the back-fill itself, which carry a group of their own. It is compared with a bound of the user's, or with what it was
over the life of the node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from connector.backfill.pace.throttle import WritePace
from connector.backfill.scan import STATS_GROUP
from connector.clusters.clients import Client
from connector.clusters.paths import index_path
from connector.errors import AccessDenied, ClusterError

JSON = dict[str, Any]
INTERVAL_S = 5.0
TIMEOUT_S = 10.0
MOST_QUEUE = 0.05  # of the write queue's capacity
MOST_PRESSURE = 0.5  # of the memory for requests under way, above which writes are soon rejected
NEAR = 0.75  # of a bound: from there on it goes no faster
FEWEST_SEARCHES = 10  # between two readings, below which their mean says nothing
USUAL_QUEUE = 10_000  # of both engines
NODES = "/_nodes/stats/thread_pool,indexing_pressure,os"
FILTER = "nodes.*.thread_pool.write,nodes.*.indexing_pressure.memory,nodes.*.os.cpu.percent"


@dataclass(frozen=True, slots=True)
class LoadBounds:
    """What a user bounds: the mean latency of searches in milliseconds, or as a multiple of what it was before, and the
    processors of the busiest node in percent. None: no bound."""

    search_ms: float | None = None
    search_ratio: float | None = None
    cpu_percent: float | None = None

    @property
    def watches_searches(self) -> bool:
        return self.search_ms is not None or self.search_ratio is not None


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """The fullest of all nodes: share of the write queue, share of the memory for requests, processors in percent."""

    queue: float
    pressure: float
    cpu_percent: float


@dataclass(frozen=True, slots=True)
class SearchCount:
    """Searches of others since the node started, on each shard, and the milliseconds that they took."""

    searches: int
    total_ms: float

    def since(self, before: SearchCount) -> SearchCount:
        return SearchCount(self.searches - before.searches, self.total_ms - before.total_ms)

    @property
    def mean_ms(self) -> float:
        return self.total_ms / self.searches if self.searches > 0 else 0.0


@dataclass(frozen=True, slots=True)
class LoadReading:
    """A figure beside its bound, and what it is called."""

    name: str
    figure: float
    bound: float

    @property
    def worse(self) -> bool:
        return self.figure > self.bound

    @property
    def near(self) -> bool:
        return self.figure > NEAR * self.bound


def read_nodes(reply: JSON, capacity: int = 0) -> NodeLoad:
    """The load in a reply of `_nodes/stats`; `capacity` of a write queue, where it is known."""
    nodes = reply.get("nodes", {}).values()
    queues = (node.get("thread_pool", {}).get("write", {}).get("queue", 0) for node in nodes)
    memory = [node.get("indexing_pressure", {}).get("memory", {}) for node in nodes]
    shares = (
        pressure["current"]["all_in_bytes"] / pressure["limit_in_bytes"]
        for pressure in memory
        if pressure.get("limit_in_bytes")
    )
    processors = (node.get("os", {}).get("cpu", {}).get("percent", 0) for node in nodes)
    return NodeLoad(
        queue=max(queues, default=0) / (capacity or USUAL_QUEUE),
        pressure=max(shares, default=0.0),
        cpu_percent=max(processors, default=0),
    )


def read_capacity(reply: JSON) -> int:
    """The smallest write queue of all nodes; 0 where it is not bounded, or not said."""
    sizes = (int(node["thread_pool"]["write"].get("queue_size", 0)) for node in reply.get("nodes", {}).values())
    return min((size for size in sizes if size > 0), default=0)


def read_searches(reply: JSON) -> SearchCount:
    """The searches of others in a reply of `_stats/search`."""
    found = reply["_all"]["total"]["search"]
    ours = found.get("groups", {}).get(STATS_GROUP, {})
    searches, total_ms = (found[name] - ours.get(name, 0) for name in ("query_total", "query_time_in_millis"))
    return SearchCount(searches, total_ms)


@dataclass(slots=True)
class LoadWatch:
    """Reads the load every few seconds while it runs, and lets the pace hear of it."""

    ask_nodes: Callable[[], Awaitable[NodeLoad]]
    ask_searches: Callable[[], Awaitable[SearchCount]]
    pace: WritePace
    bounds: LoadBounds
    notes: list[str] = field(default_factory=list)  # what cannot be watched, and why
    _last: SearchCount | None = None
    _usual_ms: float = 0.0
    _can: set[str] = field(default_factory=lambda: {"nodes", "searches"})

    async def run(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Until it is cancelled."""
        while self._can:
            await self.look()
            await sleep(INTERVAL_S)

    async def look(self) -> None:
        """Read once, and tell."""
        readings = [
            *await self._read("nodes", self._look_at_nodes),
            *await self._read("searches", self._look_at_searches),
        ]
        worse = [reading for reading in readings if reading.worse]
        near = [reading for reading in readings if reading.near]
        for reading in worse or near:
            self.pace.heard(reading.name, worse=reading.worse)
        if not near:
            self.pace.relieved()

    async def _read(self, subject: str, look: Callable[[], Awaitable[Iterable[LoadReading]]]) -> list[LoadReading]:
        if subject not in self._can:
            return []
        try:
            return list(await look())
        except AccessDenied as error:
            self._can.discard(subject)
            self.notes.append(f"{subject} are not watched: {error}")
            return []
        except ClusterError:
            return [LoadReading(f"the engine does not say how its {subject} are", 1, 0)]

    async def _look_at_nodes(self) -> list[LoadReading]:
        load = await self.ask_nodes()
        cpu = self.bounds.cpu_percent
        return [
            LoadReading("write queue", load.queue, MOST_QUEUE),
            LoadReading("memory of requests under way", load.pressure, MOST_PRESSURE),
            *([LoadReading("processors", load.cpu_percent, cpu)] if cpu is not None else []),
        ]

    async def _look_at_searches(self) -> list[LoadReading]:
        if not self.bounds.watches_searches:
            self._can.discard("searches")
            return []
        count = await self.ask_searches()
        before, self._last = self._last, count
        if before is None:
            self._usual_ms = count.mean_ms
            return []
        lately = count.since(before)
        if lately.searches < FEWEST_SEARCHES:
            self._last = before  # until there are enough
            return []
        readings = []
        if self.bounds.search_ms is not None:
            readings.append(LoadReading("latency of searches", lately.mean_ms, self.bounds.search_ms))
        if self.bounds.search_ratio is not None and self._usual_ms:
            bound = self.bounds.search_ratio * self._usual_ms
            readings.append(LoadReading("latency of searches", lately.mean_ms, bound))
        return readings


def watch_load(client: Client, index: str, pace: WritePace, bounds: LoadBounds) -> LoadWatch:
    """A watch over the engine's nodes and the index's searches."""
    capacity = 0

    async def ask_nodes() -> NodeLoad:
        nonlocal capacity
        if not capacity:
            sizes = await client.request("GET", "/_nodes/_all/thread_pool", timeout_s=TIMEOUT_S)
            capacity = read_capacity(sizes) or USUAL_QUEUE
        reply = await client.request("GET", NODES, params={"filter_path": FILTER}, timeout_s=TIMEOUT_S)
        return read_nodes(reply, capacity)

    async def ask_searches() -> SearchCount:
        params = {"groups": STATS_GROUP, "filter_path": "_all.total.search"}
        return read_searches(
            await client.request("GET", index_path(index, "_stats/search"), params=params, timeout_s=TIMEOUT_S)
        )

    return LoadWatch(ask_nodes, ask_searches, pace, bounds)


@asynccontextmanager
async def watching(watch: LoadWatch) -> AsyncIterator[LoadWatch]:
    """The watch at work for as long as the block lasts."""
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
