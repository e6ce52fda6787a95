"""Applications that write to an index all the time, each to documents of its own, every write numbered; they know what
the index must hold in the end."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import httpx
from support.runs.effort import IS_SOAK

WORDS = ["cold", "room", "sensor", "gateway", "firmware", "refund", "shelf", "partner", "holiday", "notice", "door"]
FILLED_AT_ONCE = 1_000
# between two writes, or searches: many come while a job runs, and an engine is not kept busy by them alone
PAUSE_S = 0.0 if IS_SOAK else 0.02
OPERATIONS = ("insert", "update", "update_price", "replace", "read_modify_write", "delete")


class ShopWriter:
    """One application. `documents` is what it wrote last, by id; a write that was refused counts in `refused`.

    Its documents have the given `texts`, each a title and a body, in turn; or else words at random."""

    def __init__(self, url: str, index: str, name: str, seed: int, texts: Sequence[tuple[str, str]] = ()) -> None:
        self._client = httpx.AsyncClient(base_url=f"{url}/{index}", timeout=60)
        self._name = name
        self._chance = random.Random(seed)
        self._number = 0
        self._texts = texts
        self._inserted = 0
        self.documents: dict[str, dict[str, Any]] = {}
        self.states: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)  # whatever it has tried to write
        self.refused: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()  # of its writes, by operation
        self.waited_for_others = 0  # optimistic writes that had to be tried again, as between any two writers

    @property
    def writes(self) -> int:
        return self.counts.total()

    async def fill(self, count: int) -> None:
        """Documents that are there before all else."""
        for start in range(0, count, FILLED_AT_ONCE):
            lines = []
            for _ in range(min(FILLED_AT_ONCE, count - start)):
                doc_id, source = self._new_id(), self._source()
                lines += [{"index": {"_id": doc_id}}, source]
                self.documents[doc_id] = source
                self.states[doc_id].append(source)
            body = "".join(f"{json.dumps(line)}\n" for line in lines)
            headers = {"content-type": "application/x-ndjson"}
            reply = (await self._client.post("/_bulk?refresh=true", content=body, headers=headers)).json()
            assert not reply["errors"]

    async def replace_all(self) -> None:
        """Every document once more, without anything that others put into it."""
        for doc_id in list(self.documents):
            await self._replace(doc_id)

    async def write_until(self, stop: asyncio.Event, pause_s: float = PAUSE_S, most: int = sys.maxsize) -> None:
        """Writes without a break, `most` times at most."""
        end = self.writes + most
        while not stop.is_set() and self.writes < end:
            await self.write_once()
            await asyncio.sleep(pause_s)

    async def write_once(self) -> None:
        operation = self._chance.choice(OPERATIONS) if self.documents else "insert"
        self.counts[operation] += 1
        doc_id = self._new_id() if operation == "insert" else self._chance.choice(list(self.documents))
        await getattr(self, f"_{operation}")(doc_id)

    async def close(self) -> None:
        await self._client.aclose()

    def _new_id(self) -> str:
        self._number += 1
        return f"{self._name}-{self._number}"

    def _source(self) -> dict[str, Any]:
        self._number += 1
        if self._chance.random() < 0.05:
            return {"n": self._number, "price": 1}
        title, body = self._words(2), self._words(30)
        if self._texts:
            title, body = self._texts[self._inserted % len(self._texts)]
            self._inserted += 1
        return {"n": self._number, "title": title, "body": body, "price": 1}

    def _title(self) -> str:
        return self._chance.choice(self._texts)[0] if self._texts else self._words(3)

    def _body(self) -> str:
        return self._chance.choice(self._texts)[1] if self._texts else self._words(20)

    def _words(self, count: int) -> str:
        return " ".join(self._chance.choices(WORDS, k=count))

    async def _insert(self, doc_id: str) -> None:
        await self._put(doc_id, self._source())

    _replace = _insert

    async def _put(self, doc_id: str, source: dict[str, Any]) -> None:
        self.states[doc_id].append(source)
        if self._took(await self._client.put(f"/_doc/{doc_id}", json=source), "index"):
            self.documents[doc_id] = source

    async def _update(self, doc_id: str) -> None:
        await self._change(doc_id, {"body": self._body()})

    async def _update_price(self, doc_id: str) -> None:
        await self._change(doc_id, {"price": self._chance.randrange(100)})

    async def _change(self, doc_id: str, changed: dict[str, Any]) -> None:
        self._number += 1
        changed |= {"n": self._number}
        self.states[doc_id].append(self.documents[doc_id] | changed)
        path = f"/_update/{doc_id}?retry_on_conflict=5"
        if self._took(await self._client.post(path, json={"doc": changed}), "update"):
            self.documents[doc_id] = self.documents[doc_id] | changed

    async def _read_modify_write(self, doc_id: str) -> None:
        """Reads the whole document, whatever others put into it, and writes it back on the condition that nobody wrote
        since."""
        self._number += 1
        changed = {"title": self._title(), "n": self._number}
        self.states[doc_id].append(self.documents[doc_id] | changed)
        while True:
            read = await self._client.get(f"/_doc/{doc_id}")
            if read.is_error:  # an engine without room refuses that too
                self._took(read, "read")
                return
            found = read.json()
            condition = f"if_seq_no={found['_seq_no']}&if_primary_term={found['_primary_term']}"
            reply = await self._client.put(f"/_doc/{doc_id}?{condition}", json=found["_source"] | changed)
            if reply.status_code != 409:
                break
            self.waited_for_others += 1
        if self._took(reply, "read-modify-write"):
            self.documents[doc_id] = self.documents[doc_id] | changed

    async def _delete(self, doc_id: str) -> None:
        if self._took(await self._client.delete(f"/_doc/{doc_id}"), "delete"):
            del self.documents[doc_id]

    def _took(self, reply: httpx.Response, operation: str) -> bool:
        if reply.is_error:
            self.refused[f"{operation}: {reply.text}"] += 1
        return not reply.is_error
