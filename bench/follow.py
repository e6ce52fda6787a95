"""How soon a change of a followed source is found by a search, and how long a burst of changes takes.

    make bench-follow CLUSTER=http://localhost:9200
    make bench-follow ARGS="--sources folder,slot --changes 50 --burst 1000"

Each source is followed in this process, with the default encoder and settings, while changes are made to it one after
the other: a file is written, a row is committed, a message is acknowledged by the broker. The time runs from then until
a search for a word that only the change has finds its document. The burst is that many changes at once; its time runs
until searches see all of them. PostgreSQL (Debian: apt-get install postgresql) and Kafka (from Maven Central)
are started for it."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from machine import print_result
from rich.console import Console
from rich.table import Table

from connector.clusters.protocol import Cluster
from connector.errors import ClusterUnavailable, IndexMissing
from connector.ingest.following.job import follow_source
from connector.lexical import LexicalQuery
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.wiring import open_cluster

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]
from support.servers.kafka import running_kafka  # noqa: E402
from support.servers.postgres import new_database, running_postgres  # noqa: E402

LIMIT_S = 300
LOOK_S = 0.01
console = Console(stderr=True, highlight=False, markup=False)


@dataclass(frozen=True, slots=True)
class Followed:
    """A source: where it is, what is set for it, and how documents are written to it, given as id -> text."""

    location: str
    write: Callable[[Mapping[str, str]], None]
    settings: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def a_folder() -> Iterator[Followed]:
    with tempfile.TemporaryDirectory(prefix="bench-follow-") as folder:

        def write(documents: Mapping[str, str]) -> None:
            for name, text in documents.items():
                Path(folder, f"{name}.txt").write_text(text)

        write({"first": "the first document"})
        yield Followed(folder, write)


@contextmanager
def a_table(by: Mapping[str, Any]) -> Iterator[Followed]:
    with running_postgres() as server, new_database(server) as database:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE TABLE docs (id text PRIMARY KEY, text text, changed timestamptz DEFAULT now())")
            connection.execute("CREATE INDEX ON docs (changed)")

            def write(documents: Mapping[str, str]) -> None:
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.executemany("INSERT INTO docs VALUES (%s, %s)", list(documents.items()))

            write({"first": "the first document"})
            yield Followed(database, write, {"postgres.table": "docs", **by})


@contextmanager
def a_topic() -> Iterator[Followed]:
    with running_kafka() as brokers:
        admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
        admin.create_topics([NewTopic("docs", 1, 1)])["docs"].result(30)
        producer = Producer({"bootstrap.servers": brokers, "log_level": 0, "linger.ms": 0})

        def write(documents: Mapping[str, str]) -> None:
            for name, text in documents.items():
                producer.produce("docs", key=name, value=json.dumps({"text": text}))
            producer.flush(60)

        write({"first": "the first document"})
        yield Followed(f"kafka://{brokers}/docs", write)


SOURCES: dict[str, Callable[[], Any]] = {
    "folder": a_folder,
    "updated-at": lambda: a_table({"postgres.updated_at": "changed"}),
    "slot": lambda: a_table({"postgres.slot": f"bench_{secrets.token_hex(4)}"}),
    "kafka": a_topic,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", help="an engine's URL; an embedded store when not given")
    parser.add_argument("--sources", default=",".join(SOURCES), help=f"some of these: {', '.join(SOURCES)}")
    parser.add_argument("--changes", type=int, default=20, help="single changes")
    parser.add_argument("--burst", type=int, default=500, help="changes at once")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    found = {}
    with tempfile.TemporaryDirectory(prefix="bench-follow-") as scratch:
        url = options.cluster or f"embedded:{scratch}/store"
        for name in options.sources.split(","):
            console.print(f"following: {name}")
            with SOURCES[name]() as followed:
                found[name] = asyncio.run(measure(followed, url, options.changes, options.burst))
    show(found)
    print_result({"bench": "follow", "cluster": url.partition(":")[0], "burst": options.burst, "sources": found})


async def measure(followed: Followed, url: str, changes: int, burst: int) -> dict[str, float]:
    """Seconds of single changes and of a burst."""
    index = f"bench-follow-{secrets.token_hex(6)}"
    overrides = {"cluster.url": url, "index.name": index, "fields.text": {"text": 1.0}, **followed.settings}
    settings = load_settings(environ={}, overrides=overrides)
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with AsyncExitStack() as leaving:
        rejects = Path(leaving.enter_context(tempfile.TemporaryDirectory()), "rejects.jsonl")
        following = asyncio.create_task(
            follow_source(followed.location, settings, stop=stop, rejects=rejects, agree=lambda made: True)
        )
        cluster = await open_cluster(settings)
        leaving.push_async_callback(cluster.close)
        search = Search(cluster, settings, following)
        await search.until_found("first")
        singles = []
        for number in range(changes):
            word = f"single{secrets.token_hex(6)}"
            await asyncio.to_thread(followed.write, {f"change-{number}": f"A change that has the word {word}."})
            began = time.perf_counter()
            await search.until_found(word)
            singles.append(time.perf_counter() - began)
        documents = {f"burst-{number}": f"One of many changes, number {number}." for number in range(burst)}
        began = time.perf_counter()
        await asyncio.to_thread(followed.write, documents)
        await search.until_there_are(1 + changes + burst)
        took_s = time.perf_counter() - began
        stop.set_result("the bench ended")
        await following
        await cluster.drop_index(index)
    return figures(singles, took_s)


@dataclass(slots=True)
class Search:
    """Looks for words in the index that is written to."""

    cluster: Cluster
    settings: Settings
    following: asyncio.Task[Any]

    async def until_found(self, word: str) -> None:
        await self._until(lambda: self._is_found(word))

    async def until_there_are(self, documents: int) -> None:
        await self._until(lambda: self._are_there(documents))

    async def _until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        end = time.monotonic() + LIMIT_S
        while not await is_so():
            if self.following.done():
                self.following.result()
                sys.exit("the source is not followed any more")
            if time.monotonic() > end:
                sys.exit(f"a change was not found within {LIMIT_S} s")
            await asyncio.sleep(LOOK_S)

    async def _are_there(self, documents: int) -> bool:
        return await self.cluster.count(self.settings.index.name) >= documents

    async def _is_found(self, word: str) -> bool:
        try:
            index = await self.cluster.open_index(self.settings.index.name)
            answer = await index.lexical(LexicalQuery(word), depth=1, filter=None, timeout_s=30)
        except (IndexMissing, ClusterUnavailable):  # it is being made
            return False
        return bool(answer.ranking)


def figures(singles: Sequence[float], burst_s: float) -> dict[str, float]:
    found = {"median_s": statistics.median(singles), "most_s": max(singles), "burst_s": burst_s}
    return {name: round(value, 3) for name, value in found.items()}


def show(found: Mapping[str, Mapping[str, float]]) -> None:
    table = Table("source", "median", "most", "burst", title="seconds from a change until a search finds it")
    for name, took in found.items():
        table.add_row(name, *(f"{took[column]:.2f}" for column in ("median_s", "most_s", "burst_s")))
    Console().print(table)


if __name__ == "__main__":
    main()
