"""Two processes that write to one index: both writes are whole, or the second is told which process is in its way."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from support.parts import wait_until
from support.programs.command import Launcher

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.write_lock import WriteLock
from connector.errors import ClusterUnavailable

WRITER = """
import asyncio, sys, time
from pathlib import Path
from support.parts import HashEncoder, schema_of
from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.errors import IndexExists
from connector.types import Document, IndexedDocument, Passage

ENCODER = HashEncoder(dims=4)

def document(number):
    passage = Passage(f"d{number}", 0, f"text {number}")
    document = Document(f"d{number}", {"text": passage.text})
    return IndexedDocument(document, "hash", (passage,), ENCODER.encode([passage.text]))

async def main():
    ready, go, store = map(Path, sys.argv[1:])
    cluster = await EmbeddedCluster.open(store)
    ready.touch()
    while not go.exists():
        time.sleep(0.01)
    try:
        index = await cluster.create_index("docs", schema_of(ENCODER, text={"text": 1.0}))
    except IndexExists:
        index = await cluster.open_index("docs")
    for at in range(0, 60, 6):
        await index.write([document(number) for number in range(at, at + 6)])
    await index.finish()
    await cluster.close()

asyncio.run(main())
"""


def test_two_processes_that_write_the_same_documents_leave_each_once(launcher: Launcher, tmp_path: Path) -> None:
    program, go, store = (tmp_path / name for name in ("writer.py", "go", "store"))
    program.write_text(WRITER)
    ready = [tmp_path / f"ready{number}" for number in range(2)]
    writers = [launcher.start(str(file), str(go), str(store), cwd=tmp_path, program=program) for file in ready]
    wait_until(lambda: all(file.exists() or writer.ended.done() for file, writer in zip(ready, writers, strict=True)))
    go.touch()
    done = [writer.wait() for writer in writers]

    async def count() -> int:
        return await (await EmbeddedCluster.open(store)).count("docs")

    assert [writer.code for writer in done] == [0, 0], [writer.stderr for writer in done]
    assert asyncio.run(count()) == 60


async def test_who_waits_too_long_is_told_which_process_writes(tmp_path: Path) -> None:
    async with WriteLock(tmp_path, "docs", wait_s=5).held():
        with pytest.raises(
            ClusterUnavailable, match=f"'docs' .* is being written by process {os.getpid()}; run it again"
        ):
            async with WriteLock(tmp_path, "docs", wait_s=0.05).held():
                pass
        async with WriteLock(tmp_path, "other", wait_s=0.05).held():
            pass

    async with WriteLock(tmp_path, "docs", wait_s=0.05).held():
        pass


async def test_two_tasks_of_one_process_take_turns(tmp_path: Path) -> None:
    lock, has_it = WriteLock(tmp_path, "docs", wait_s=60), asyncio.Event()

    async def write() -> None:
        async with lock.held():
            has_it.set()

    async with lock.held():
        other = asyncio.create_task(write())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(has_it.wait(), 0.3)
    await other

    assert has_it.is_set()
