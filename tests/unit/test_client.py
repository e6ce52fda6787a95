"""The library's front door, over the real embedded store: closing, threads, running loops, interrupts, forks."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.parts import HashEncoder, schema_of, wait_until
from support.runs.patience import PATIENCE_S

from connector import (
    Connector,
    ConnectorClosed,
    IndexMissing,
    QueryError,
    Settings,
    SettingsError,
    SyncConnector,
    UsageError,
)
from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.event_loop import LoopThread
from connector.search.searcher import Searcher
from connector.types import Document, IndexedDocument, Passage

ENCODER = HashEncoder(dims=16)
TEXTS = {"a": "red fish", "b": "blue bird"}


class Interrupted:
    """The index whose lexical leg interrupts the process, and never answers.

    The signal goes to the leg's own thread. So it does not wake the main one, as a Ctrl-C does not that comes just
    when that falls asleep."""

    def __init__(self, index: EmbeddedIndex) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def lexical(self, *args: Any, **options: Any) -> Any:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        await asyncio.Event().wait()


async def open_connector(folder: Path, *, is_interrupted: bool = False) -> Connector:
    cluster = await EmbeddedCluster.open(folder)
    index = await cluster.create_index("docs", schema_of(ENCODER, text={"text": 1.0}, metadata={}))
    await index.write(
        [
            IndexedDocument(Document(doc_id, {"text": text}), "h", (Passage(doc_id, 0, text),), ENCODER.encode([text]))
            for doc_id, text in TEXTS.items()
        ]
    )
    await index.finish()
    searched: Any = Interrupted(index) if is_interrupted else index
    settings = Settings.model_validate({"search": {"deadline_s": PATIENCE_S}})
    return Connector(Searcher(searched, ENCODER, {}, settings), cluster)


def open_sync(folder: Path, *, is_interrupted: bool = False) -> SyncConnector:
    loop = LoopThread()
    return SyncConnector(loop, loop.run(partial(open_connector, folder, is_interrupted=is_interrupted)))


def threads() -> set[threading.Thread]:
    """Those of connectors. An earlier test's may end at any moment: a test compares sets of them, not numbers."""
    return {thread for thread in threading.enumerate() if thread.name.startswith(("connector", "encode"))}


@pytest.fixture
def connector(tmp_path: Path) -> Iterator[SyncConnector]:
    with open_sync(tmp_path) as opened:
        yield opened


async def test_a_closed_connector_says_so_and_can_be_closed_again(tmp_path: Path) -> None:
    connector = await open_connector(tmp_path)
    await connector.close()
    await connector.close()

    with pytest.raises(ConnectorClosed, match=r"closed; open another one: await Connector\.open\(\)"):
        await connector.search("fish")


async def test_a_search_under_way_ends_before_the_connector_closes(tmp_path: Path) -> None:
    connector = await open_connector(tmp_path)
    searches = [asyncio.create_task(connector.search("red fish")) for _ in range(4)]
    await asyncio.sleep(0)
    await asyncio.gather(connector.close(), connector.close())

    assert all(search.done() for search in searches)
    assert [[hit.doc_id for hit in search.result().hits] for search in searches] == [["a", "b"]] * 4


def test_a_connector_of_another_event_loop_says_so(tmp_path: Path) -> None:
    connector = asyncio.run(open_connector(tmp_path))

    with pytest.raises(UsageError, match="opened in another event loop"):
        asyncio.run(connector.search("fish"))


def test_a_closed_sync_connector_says_so_and_leaves_no_thread(tmp_path: Path) -> None:
    before = threads()
    connector = open_sync(tmp_path)
    assert connector.search("red fish").hits
    connector.close()
    connector.close()

    with pytest.raises(ConnectorClosed, match=r"closed; open another one: SyncConnector\.open\(\)"):
        connector.search("fish")
    wait_until(lambda: threads() <= before)


def test_threads_share_a_sync_connector(connector: SyncConnector) -> None:
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda number: connector.search("red fish", k=1), range(64)))

    assert [[hit.doc_id for hit in response.hits] for response in responses] == [["a"]] * 64
    assert all(response.degraded == () for response in responses)


def test_threads_that_search_while_another_closes_get_hits_or_one_error(tmp_path: Path) -> None:
    connector = open_sync(tmp_path)
    searching = threading.Barrier(9)

    def search(number: int) -> str:
        searching.wait()
        try:
            while True:
                connector.search("red fish")
        except Exception as error:
            return type(error).__name__

    with ThreadPoolExecutor(8) as pool:
        outcomes = pool.map(search, range(8))
        searching.wait()
        connector.close()

        assert set(outcomes) == {"ConnectorClosed"}


async def test_a_sync_connector_works_where_a_loop_runs(tmp_path: Path) -> None:
    with open_sync(tmp_path) as connector:
        response = connector.search("red fish")

    assert [hit.doc_id for hit in response.hits] == ["a", "b"]


def test_an_interrupt_ends_a_search_and_the_connector_can_be_closed(tmp_path: Path) -> None:
    before = threads()
    connector = open_sync(tmp_path, is_interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        connector.search("fish", deadline_s=600)
    connector.close()

    wait_until(lambda: threads() <= before)


def test_a_sync_connector_that_nobody_holds_any_longer_is_closed(tmp_path: Path) -> None:
    before = threads()
    connector = open_sync(tmp_path)
    del connector
    gc.collect()

    wait_until(lambda: threads() <= before)


def test_a_forked_process_is_told_to_open_one_of_its_own(connector: SyncConnector) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            connector.search("fish")
        except UsageError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert b"open one in each process" in os.read(read, 1_000)


def test_what_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    before = threads()
    settings = Settings.model_validate({"cluster": {"url": f"embedded:{tmp_path}"}, "index": {"name": "absent"}})
    with pytest.raises(IndexMissing):
        SyncConnector.open(settings)
    with pytest.raises(SettingsError, match="takes Settings, not str"):
        SyncConnector.open("connector.yaml")  # type: ignore[arg-type]

    assert threads() <= before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kk": 3}, "no option 'kk'; did you mean 'k'"),
        ({"deadline": 3}, "no option 'deadline'; did you mean 'deadline_s'"),
        ({"zebra": 1}, "there are: filter, lexical, k,"),
        ({"k": "three"}, "k must be a whole number"),
    ],
)
def test_an_option_that_there_is_not_is_an_error_of_ours(
    connector: SyncConnector, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(QueryError, match=words):
        connector.search("fish", **options)
