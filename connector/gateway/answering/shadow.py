"""Shadow mode: callers get the engine's own reply; ours is computed beside it, and how the two differ is logged.

Nothing waits for it, and only so many are under way at once: what comes on top is not computed, and counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import msgspec
import orjson

from connector.errors import ConnectorError
from connector.gateway.answering.answer import answer_search
from connector.gateway.exchange import BufferedReply
from connector.gateway.ordering.order import Degraded, RecognisedSearch, Refused
from connector.gateway.ordering.remembered import RememberedOrders
from connector.gateway.ordering.sender import Sender
from connector.gateway.reading.media import read_body
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.raw_json import RAW_OBJECTS, Raw, members

log = logging.getLogger(__name__)
STATUS_OK = 200
MAX_BYTES = 64_000_000  # of an engine's reply that is looked at


@dataclass(frozen=True, slots=True)
class PageDifference:
    """How two pages differ: how many hits they share, of `k`, and Kendall's tau over those, 1 where they are in the
    same order, None for fewer than two."""

    k: int
    overlap: int
    tau: float | None


def compare(theirs: Sequence[str], ours: Sequence[str]) -> PageDifference:
    """Pure: two pages of ids, best first."""
    shared = [doc_id for doc_id in theirs if doc_id in set(ours)]
    place = {doc_id: at for at, doc_id in enumerate(ours)}
    pairs = len(shared) * (len(shared) - 1) // 2
    alike = sum(place[first] < place[second] for at, first in enumerate(shared) for second in shared[at + 1 :])
    tau = (2 * alike - pairs) / pairs if pairs else None
    return PageDifference(max(len(theirs), len(ours)), len(shared), tau)


class Shadows:
    """Those that are under way."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._tasks: set[asyncio.Task[None]] = set()
        self.skipped = 0  # that were not computed, since so many were under way

    def begin(
        self, search: RecognisedSearch, sender: Sender, remembered: RememberedOrders, reply: BufferedReply
    ) -> None:
        """Compute ours beside the engine's reply."""
        if reply.status != STATUS_OK:
            return
        if len(self._tasks) >= self._at_once:
            self.skipped += 1
            return
        task = asyncio.create_task(self._compare(search, sender, remembered, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _compare(
        self, search: RecognisedSearch, sender: Sender, remembered: RememberedOrders, reply: BufferedReply
    ) -> None:
        began, name = time.monotonic(), search.site.name
        try:
            theirs = page_ids(read_body(reply.headers, reply.body, limit=MAX_BYTES))
            if theirs is None:
                log.info("shadow of %s: not compared: the engine's reply does not name its documents", name)
                return
            answer = await answer_search(search, sender, remembered)
        except (Degraded, Refused, NotRecognised, ConnectorError) as error:
            log.info("shadow of %s: no answer of ours: %s", name, getattr(error, "reason", error))
            return
        except Exception:  # any: the caller has the engine's answer already, and nobody waits for this one
            log.exception("shadow of %s: a fault", name)
            return
        found = compare(theirs, [_address(hit) for hit in answer.reply["hits"]["hits"]])
        took_ms = (time.monotonic() - began) * 1000
        skipped, self.skipped = self.skipped, 0
        log.info(
            "shadow of %s: %d of %d hits are the same, Kendall's tau %s, ours took %.0f ms, %d searches not compared",
            *(name, found.overlap, found.k, "-" if found.tau is None else f"{found.tau:.2f}", took_ms, skipped),
            extra=asdict(found)
            | {"index": name, "took_ms": round(took_ms, 1), "start": search.body.start, "not_compared": skipped},
        )


def page_ids(reply: bytes) -> list[str] | None:
    """The documents of a reply of the engine's, in its order; None where it does not name them, as after a
    `filter_path`."""
    try:
        found = members(members(reply).get("hits", Raw(b"{}")))
        hits = RAW_OBJECTS.decode(found.get("hits", Raw(b"null")))
    except msgspec.DecodeError:
        return None
    return [_address(hit) for hit in hits] if all({"_index", "_id"} <= hit.keys() for hit in hits) else None


def _address(hit: dict[str, Raw]) -> str:
    index, doc_id = (orjson.loads(bytes(hit[name])) for name in ("_index", "_id"))
    return f"{index}/{doc_id}"
