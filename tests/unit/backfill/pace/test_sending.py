"""Replies of full engines, as they were recorded, and what a back-fill makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from connector.backfill.pace.sending import PacedSender
from connector.backfill.pace.throttle import WritePace
from connector.clusters.clients import Client
from connector.clusters.elasticsearch import ElasticsearchDialect
from connector.clusters.failures import refusal
from connector.clusters.protocol import Engine
from connector.clusters.rest import RestCluster
from connector.errors import ClusterError
from connector.settings.sections import ClusterSettings, IngestSettings

CLUSTER = ClusterSettings(url="http://127.0.0.1:9200")
FULL_QUEUES = {
    "elasticsearch": {
        "type": "es_rejected_execution_exception",
        "reason": "rejected execution of TimedRunnable{original=org.elasticsearch.action.support.replication."
        "TransportWriteAction$1/refCounting[org.elasticsearch.action.support.replication.ReplicationOperation$$Lambda/"
        "0x0000000085dadef0@63cc31e6], creationTimeNanos=57283102887595, startTimeNanos=0, finishTimeNanos=-1, "
        "failedOrRejected=false} on TaskExecutionTimeTrackingEsThreadPoolExecutor[name = n1/write, queue capacity = 3, "
        "task execution EWMA = 0s, total task execution time = 0s]",
    },
    "opensearch": {
        "type": "rejected_execution_exception",
        "reason": "rejected execution of org.opensearch.action.support.replication.TransportWriteAction$1@5557b301 on "
        "OpenSearchThreadPoolExecutor[name = n1/write, queue capacity = 3, org.opensearch.common.util.concurrent."
        "OpenSearchThreadPoolExecutor@2a6e7ada[Running, pool size = 1, active threads = 1, queued tasks = 3, completed "
        "tasks = 0]]",
    },
}
# of whole requests
PRESSURE = {
    "elasticsearch": {
        "type": "es_rejected_execution_exception",
        "reason": "rejected execution of coordinating operation [coordinating_and_primary_bytes=300627, "
        "replica_bytes=0, all_bytes=300627, coordinating_operation_bytes=100209, max_coordinating_bytes=307200]",
    },
    "opensearch": {
        "type": "rejected_execution_exception",
        "reason": "rejected execution of coordinating operation [shard_detail=[one][0], shard_total_bytes=260458, "
        "shard_operation_bytes=260458, shard_max_coordinating_and_primary_bytes=306421, shard_max_replica_bytes=460] "
        "OR [node_total_bytes=260458, node_operation_bytes=260458, node_max_coordinating_and_primary_bytes=307200, "
        "node_max_replica_bytes=460800]",
    },
    "a breaker": {
        "type": "circuit_breaking_exception",
        "reason": "[parent] Data too large, data for [<http_request>] would be [91149638/86.9mb], which is larger than "
        "the limit of [1048576/1mb], real usage: [91148288/86.9mb], new bytes reserved: [1350/1.3kb]",
        "bytes_wanted": 91149638,
        "bytes_limit": 1048576,
        "durability": "TRANSIENT",
    },
}
TOO_LARGE = {
    "elasticsearch": {
        "type": "es_rejected_execution_exception",
        "reason": "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, "
        "all_bytes=0, coordinating_operation_bytes=400209, max_coordinating_bytes=307200]",
    },
    "elasticsearch, an item": {
        "type": "es_rejected_execution_exception",
        "reason": "rejected execution of primary operation [coordinating_and_primary_bytes=100209, replica_bytes=0, "
        "all_bytes=100209, primary_operation_bytes=400036, max_primary_bytes=307200]",
    },
    "opensearch": {
        "type": "rejected_execution_exception",
        "reason": "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, "
        "all_bytes=0, coordinating_operation_bytes=400249, max_coordinating_and_primary_bytes=307200]",
    },
}
BLOCK = {
    "type": "cluster_block_exception",
    "reason": "index [shop] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has "
    "read-only-allow-delete block];",
}
CLUSTER_BLOCK = {
    "type": "cluster_block_exception",
    "reason": "blocked by: [FORBIDDEN/13/cluster read-only / allow delete (api)];",
}
Reply = Any  # what the next request gets: an error of each item, one for all, or None where all is taken


@dataclass
class RecordedEngine:
    """A client whose bulk requests get one reply after the other, and are all taken after the last."""

    replies: list[Any]
    most: int = 10_000  # actions of a request, above which it is too large
    too_large: Any = None
    sent: list[int] = field(default_factory=list)

    async def bulk(
        self, index: str, lines: Sequence[bytes], *, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        self.sent.append(len(lines))
        if len(lines) > self.most:
            raise refusal(CLUSTER, 429, {"error": self.too_large, "status": 429}, asker="", index=index)
        reply = self.replies.pop(0) if self.replies else None
        if isinstance(reply, ClusterError):
            raise reply
        errors = reply or [None] * len(lines)
        return {"took": 3, "items": [read_item(error) for error in errors[: len(lines)]]}


def read_item(error: Any) -> dict[str, Any]:
    return {"update": {"_id": "d", "status": 429, "error": error} if error else {"_id": "d", "status": 200}}


@dataclass
class SkippingClock:
    """A clock that only waiting moves."""

    now_s: float = 0.0

    def read(self) -> float:
        return self.now_s

    async def wait(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class Sending:
    """A sender before such an engine."""

    engine: RecordedEngine
    clock: SkippingClock = field(default_factory=SkippingClock)
    retried: int = 0

    def __post_init__(self) -> None:
        self.pace = WritePace(clock=self.clock.read, sleep=self.clock.wait)

    async def send(self, count: int, **settings: Any) -> list[str]:
        """What became of so many actions."""

        def tell(count: int) -> None:
            self.retried += count

        client, engine = cast(Client, self.engine), Engine("elasticsearch", "9.3.2")
        cluster = RestCluster(
            client, ElasticsearchDialect(), engine, url=CLUSTER.url, max_chunk_bytes=1_000_000, timeout_s=1
        )
        options = IngestSettings(max_attempts=2, backoff_s=0.001, **settings)
        sender = PacedSender(cluster, "shop", options, self.pace, on_retry=tell, clock=self.clock.read)
        self.outcomes = await sender.send([b"{}\n"] * count)
        return [outcome.kind for outcome in self.outcomes]


def whole(error: Any, status: int = 429) -> ClusterError:
    return refusal(CLUSTER, status, {"error": error, "status": status}, asker="", index="shop")


@pytest.mark.parametrize("engine", FULL_QUEUES)
async def test_only_what_was_put_off_is_sent_again(engine: str) -> None:
    full = FULL_QUEUES[engine]
    sending = Sending(RecordedEngine([[None, full, full, None], [full, None]]))

    assert await sending.send(4) == ["written"] * 4
    assert sending.engine.sent == [4, 2, 1]
    assert sending.retried == 3
    assert sending.clock.now_s == sending.pace.report.waited_s == 0.5 + 1.0


@pytest.mark.parametrize("engine", FULL_QUEUES)
async def test_a_full_queue_is_named_in_few_words(engine: str) -> None:
    sending = Sending(RecordedEngine([[FULL_QUEUES[engine]]] * 9))
    kinds = await sending.send(1, busy_s=3)

    assert kinds == ["blocked"]
    assert sending.outcomes[0].reason == (
        "the cluster has taken no update for 4 s (ingest.busy_s): the queue n1/write is full: 3 requests wait "
        "(HTTP 429); run this again when it has less to do"
    )


@pytest.mark.parametrize("engine", PRESSURE)
async def test_a_whole_request_that_is_put_off_makes_smaller_ones(engine: str) -> None:
    sending = Sending(RecordedEngine([whole(PRESSURE[engine])] * 5))

    assert await sending.send(100) == ["written"] * 100  # in more tries than a cluster that is away would get
    assert sending.engine.sent[:6] == [100, 50, 25, 12, 10, 10]


@pytest.mark.parametrize("engine", TOO_LARGE)
async def test_what_is_too_large_together_is_cut_at_once(engine: str) -> None:
    sending = Sending(RecordedEngine([], most=3, too_large=TOO_LARGE[engine]))

    assert await sending.send(8) == ["written"] * 8
    assert sending.engine.sent == [8, 4, 2, 2, 4, 2, 2]
    assert sending.clock.now_s == 0


@pytest.mark.parametrize("engine", TOO_LARGE)
async def test_what_is_too_large_alone_is_refused(engine: str) -> None:
    sending = Sending(RecordedEngine([], most=0, too_large=TOO_LARGE[engine]))

    assert await sending.send(2) == ["refused"] * 2
    assert "and a node has room for 307200 (indexing_pressure.memory.limit" in sending.outcomes[0].reason


async def test_the_end_of_patience_counts_from_what_was_taken_last() -> None:
    full = FULL_QUEUES["opensearch"]
    sending = Sending(RecordedEngine([[full, full], [full, full], [full, full], [None, full], [full], [full]]))

    assert await sending.send(2, busy_s=6) == ["written"] * 2
    assert sending.clock.now_s > 2 * 6


@pytest.mark.parametrize("reply", [[BLOCK] * 4, whole(CLUSTER_BLOCK, 403), whole(BLOCK)])
async def test_a_block_ends_it_at_the_first_request(reply: Any) -> None:
    sending = Sending(RecordedEngine([reply]))

    assert await sending.send(4) == ["blocked"] * 4
    assert sending.engine.sent == [4]
    assert sending.retried == 0
    assert "takes no writes" in sending.outcomes[0].reason


async def test_a_name_that_has_block_in_it_is_no_block() -> None:
    words = {"type": "es_rejected_execution_exception", "reason": "rejected execution of a write to [blockbuster]"}
    sending = Sending(RecordedEngine([whole(words)]))

    assert await sending.send(2) == ["written"] * 2
