"""Clients that ask rerank servers: without pause, three times as often as can be answered, and for a long time."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from rerank_servers import ROOT, Server, console

from connector.evaluation.statistics.latency import percentile

WORDS = 81  # about 128 tokens with the query
SUSTAINED_PAIRS = 10
BUDGET_S = 10.0
OVERLOAD = 3


@dataclass(frozen=True)
class Load:
    """What the clients ask for: passages of a request, and how many clients ask side by side, in turn."""

    pairs: int
    clients: tuple[int, ...]

    def pace(self, server: Server, clients: int) -> float:
        """Pairs per second that a server reaches."""
        return self.pairs * len(server.done[clients]) / server.seconds[clients]

    def best_pace(self, server: Server) -> float:
        return max(self.pace(server, clients) for clients in self.clients)


class Requests:
    """Bodies whose query is new every time, over the same passages as long as a bench."""

    def __init__(self, seed: int = 5) -> None:
        lines = (ROOT / "examples" / "corpus" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
        words = " ".join(json.loads(line)["text"] for line in lines).split()
        self._passages = [" ".join(words[at : at + WORDS]) for at in range(0, len(words) - WORDS, WORDS)]
        self._seed, self._chance = seed, random.Random(seed)
        self._count = itertools.count()

    def next(self, pairs: int) -> dict[str, Any]:
        return {
            "query": f"what does contract number {self._seed}-{next(self._count)} say of refunds",
            "texts": self._chance.sample(self._passages, pairs),
        }


async def compare(servers: list[Server], load: Load) -> dict[str, float]:
    """The mean share of the first ten that each server has in common with sentence-transformers, over 20 requests."""
    requests = Requests(seed=9)
    (reference,) = (server for server in servers if server.name.startswith("sentence"))
    common: dict[str, list[float]] = {server.name: [] for server in servers}
    first = min(10, load.pairs)
    async with httpx.AsyncClient(timeout=120) as client:
        for _ in range(20):
            body = requests.next(load.pairs)
            tops = {}
            for server in servers:
                tops[server.name] = set((await server.rerank(client, body))[:first])
            for name, top in tops.items():
                common[name].append(len(top & tops[reference.name]) / first)
    return {name: round(float(np.mean(values)), 3) for name, values in common.items()}


async def measure(servers: list[Server], load: Load, seconds: float, rounds: int) -> None:
    requests = Requests()
    for number, clients in itertools.product(range(rounds), load.clients):
        for server in servers:
            console.print(f"round {number + 1} of {rounds}: {clients} clients, {server.name}")
            await ask_without_pause(server, load, requests, clients, seconds)


async def ask_without_pause(server: Server, load: Load, requests: Requests, clients: int, seconds: float) -> None:
    """Clients that ask without pause; a request that has begun is waited for, and its time counts."""
    took = server.done.setdefault(clients, [])
    began = time.monotonic()
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(timeout=300, limits=limits) as client:

        async def ask() -> None:
            while time.monotonic() - began < seconds:
                started = time.monotonic()
                await server.rerank(client, requests.next(load.pairs))
                took.append(time.monotonic() - started)

        await asyncio.gather(*(ask() for _ in range(clients)))
    server.seconds[clients] = server.seconds.get(clients, 0.0) + time.monotonic() - began


async def overwhelm(server: Server, load: Load, seconds: float) -> dict[str, Any]:
    """An open loop of requests at three times the pace that the server reaches, each with a budget."""
    reached = load.pace(server, max(load.clients))
    pace = OVERLOAD * reached / load.pairs
    console.print(f"offering {pace:.1f} requests per second to {server.name}")
    requests, replies = Requests(seed=7), []
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:

        async def ask() -> None:
            started = time.monotonic()
            reply = await client.post(
                f"{server.url}/rerank",
                json=requests.next(load.pairs),
                headers={"x-budget-ms": f"{BUDGET_S * 1000:.0f}"},
            )
            replies.append(
                (reply.status_code, time.monotonic() - started, len(reply.json()) if reply.status_code == 200 else 0)
            )

        began, tasks = time.monotonic(), []
        while (now := time.monotonic() - began) < seconds:
            tasks.append(asyncio.create_task(ask()))
            await asyncio.sleep(max(len(tasks) / pace - now, 0))
        await asyncio.gather(*tasks)
        lasted = time.monotonic() - began
    good = sum(scored for status, took, scored in replies if status == 200 and took <= BUDGET_S + 0.5)
    refused = [took for status, took, _ in replies if status == 429]
    return {
        "offered_pairs_per_s": round(pace * load.pairs, 1),
        "offered": len(replies),
        "answered": sum(status == 200 for status, _, _ in replies),
        "refused": len(refused),
        "other": sum(status not in (200, 429) for status, _, _ in replies),
        "goodput_share": round(good / lasted / reached, 3),
        "refused_p99_ms": round(1000 * percentile(refused, 0.99), 1) if refused else None,
        "answered_max_s": round(max((took for status, took, _ in replies if status == 200), default=0.0), 2),
        "budget_s": BUDGET_S,
    }


async def sustain(server: Server, load: Load, seconds: float) -> dict[str, Any]:
    """As many clients as asked side by side, without pause, within a budget: whether pace and memory hold. Where the
    budget is too short for requests as before, for fewer passages each."""
    clients = max(load.clients)
    slow = percentile(server.done[clients], 0.99) >= 0.7 * BUDGET_S
    pairs = min(SUSTAINED_PAIRS, load.pairs) if slow else load.pairs
    requests, seen = Requests(seed=11), Sustained()
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=clients)) as client:

        async def ask() -> None:
            while time.monotonic() - began < seconds:
                await seen.ask(client, server, requests.next(pairs))

        async def watch() -> None:
            while time.monotonic() - began < seconds:
                seen.memory_mb.append(server.memory_mb())
                await asyncio.sleep(min(10.0, seconds / 10))

        await asyncio.gather(watch(), *(ask() for _ in range(clients)))
    lasted = time.monotonic() - began
    return {
        "seconds": round(lasted),
        "passages": pairs,
        "pairs_per_s": round(seen.scored / lasted, 1),
        "share_of_peak": round(seen.scored / lasted / load.best_pace(server), 3),
        "requests": len(seen.took_s),
        "cut_by_their_budget": seen.cut,
        "refused": seen.refused,
        "p50_s": round(percentile(seen.took_s, 0.5), 2),
        "p99_s": round(percentile(seen.took_s, 0.99), 2),
        "budget_s": BUDGET_S,
        "memory_mb": {
            "first": round(seen.memory_mb[0]),
            "last": round(seen.memory_mb[-1]),
            "most": round(max(seen.memory_mb)),
        },
    }


@dataclass
class Sustained:
    """What requests with a budget came to."""

    took_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    cut: int = 0
    refused: int = 0
    scored: int = 0

    async def ask(self, client: httpx.AsyncClient, server: Server, body: dict[str, Any]) -> None:
        """One request; after a refusal, the pause that it asks for."""
        started = time.monotonic()
        budget = {"x-budget-ms": f"{BUDGET_S * 1000:.0f}"}
        reply = await client.post(f"{server.url}/rerank", json=body, headers=budget)
        if reply.status_code == 429:
            self.refused += 1
            await asyncio.sleep(float(reply.headers["retry-after"]))
            return
        reply.raise_for_status()
        self.took_s.append(time.monotonic() - started)
        self.cut += "x-unscored" in reply.headers
        self.scored += len(reply.json())
