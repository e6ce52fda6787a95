"""What a back-fill hears of an engine's load, and what it makes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from connector.backfill.pace.throttle import WritePace
from connector.backfill.pace.watch import (
    LoadBounds,
    LoadWatch,
    NodeLoad,
    SearchCount,
    read_capacity,
    read_nodes,
    read_searches,
)
from connector.errors import AccessDenied, ClusterUnavailable

CALM = NodeLoad(0, 0, 10)


def replying(*replies: Any) -> Callable[[], Awaitable[Any]]:
    """What an engine says, one after the other; the last for ever."""
    left = list(replies)

    async def answer() -> Any:
        reply = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    return answer


def watch(nodes: Any, searches: Any = (SearchCount(0, 0),), **bounds: float) -> LoadWatch:
    return LoadWatch(replying(*nodes), replying(*searches), WritePace(), LoadBounds(**bounds))


async def heard(watched: LoadWatch, looks: int = 1) -> dict[str, int]:
    for _ in range(looks):
        await watched.look()
    return dict(watched.pace.report.heard)


async def test_a_calm_engine_changes_nothing() -> None:
    calm = watch([CALM])

    assert await heard(calm, 3) == {}
    assert calm.pace.pause_s == 0


async def test_a_full_queue_and_memory_slow_the_writes() -> None:
    busy = watch([NodeLoad(0.2, 0.6, 10)])

    assert await heard(busy) == {"write queue": 1, "memory of requests under way": 1}
    assert (busy.pace.documents, busy.pace.pause_s) == (25, 1.0)


async def test_near_a_bound_it_goes_no_faster_until_there_is_relief() -> None:
    near = watch([NodeLoad(0, 0.45, 10), CALM])
    assert await heard(near) == {"memory of requests under way": 1}
    near.pace.saw(1, 100)
    assert near.pace.documents == 100

    await near.look()
    near.pace.saw(1, 100)

    assert near.pace.documents == 125


async def test_processors_are_bounded_only_where_a_user_says_so() -> None:
    """The encoder may be on the same machine, and takes what it gets."""
    assert await heard(watch([NodeLoad(0, 0, 99)])) == {}
    assert await heard(watch([NodeLoad(0, 0, 99)], cpu_percent=80)) == {"processors": 1}


async def test_the_latency_of_searches_has_a_bound_in_milliseconds() -> None:
    counts = [SearchCount(1000, 5_000), SearchCount(1100, 5_500), SearchCount(1200, 15_500)]
    slow = watch([CALM], counts, search_ms=50)

    assert await heard(slow, 2) == {}  # 5 ms
    assert await heard(slow) == {"latency of searches": 1}  # 100 ms


async def test_or_one_by_what_it_was() -> None:
    counts = [SearchCount(1000, 5_000), SearchCount(1100, 5_900), SearchCount(1200, 7_000)]
    slow = watch([CALM], counts, search_ratio=2)

    assert await heard(slow, 2) == {"latency of searches": 1}  # 9 ms is near 10 ms
    assert slow.pace.pause_s == 0
    await slow.look()  # 11 ms
    assert slow.pace.pause_s == 0.5


async def test_few_searches_say_nothing_until_they_are_enough() -> None:
    counts = [SearchCount(1000, 5_000), SearchCount(1005, 9_000), SearchCount(1010, 13_000)]
    rare = watch([CALM], counts, search_ms=50)

    assert await heard(rare, 2) == {}
    assert await heard(rare) == {"latency of searches": 1}


async def test_what_may_not_be_read_is_said_once_and_not_asked_again() -> None:
    denied = watch([AccessDenied("no cluster privilege monitor")])

    assert await heard(denied, 3) == {}
    assert denied.notes == ["nodes are not watched: no cluster privilege monitor"]
    await denied.run()  # ends, as there is nothing left to watch


async def test_an_engine_that_does_not_answer_is_busy() -> None:
    late = watch([ClusterUnavailable("late"), CALM])

    assert await heard(late) == {"the engine does not say how its nodes are": 1}
    assert late.pace.pause_s == 0.5


def test_the_fullest_node_counts() -> None:
    def node(queue: int, bytes_: int, cpu: int) -> dict[str, Any]:
        memory = {"current": {"all_in_bytes": bytes_}, "limit_in_bytes": 100}
        return {
            "thread_pool": {"write": {"queue": queue}},
            "indexing_pressure": {"memory": memory},
            "os": {"cpu": {"percent": cpu}},
        }

    reply = {"nodes": {"a": node(10, 0, 90), "b": node(0, 30, 5), "c": {}}}

    assert read_nodes(reply, 200) == NodeLoad(0.05, 0.3, 90)
    sizes = {"nodes": {"a": {"thread_pool": {"write": {"queue_size": 200}}}, "b": {"thread_pool": {"write": {}}}}}
    assert read_capacity(sizes) == 200


def test_our_own_searches_are_not_others() -> None:
    ours = {"connector-backfill": {"query_total": 40, "query_time_in_millis": 900}}
    found = {"query_total": 100, "query_time_in_millis": 1_200, "groups": ours}

    assert read_searches({"_all": {"total": {"search": found}}}) == SearchCount(60, 300)
