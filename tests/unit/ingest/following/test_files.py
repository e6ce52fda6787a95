"""A folder and files that are followed: each change becomes a document, and what goes away goes."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.ingest.following import IMPATIENT, QUICK, FailingIndex, Following, following, store_of

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import ClusterUnavailable
from connector.ingest.following.files import FileState, Listing, list_files
from connector.ingest.following.folder import FollowedFolder
from connector.ingest.following.opening import open_followed
from connector.ingest.following.quiet import PATIENCE, ChangedFiles
from connector.settings.load import load_settings

QUIET_S = {"follow.quiet_s": 0.05}


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    async with store_of(tmp_path / "store", text={"title": 1.0, "text": 1.0}, id="path") as index:
        yield index


@pytest.fixture
async def rows_index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    async with store_of(tmp_path / "store", text={"text": 1.0}, id="_id") as index:
        yield index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    (folder / "old").mkdir(parents=True)
    (folder / "a.txt").write_text("first text")
    (folder / "old/b.md").write_text("# Second\nsecond text")
    return folder


def write_rows(path: Path, rows: dict[str, str]) -> None:
    """In one step, as a file that is replaced by another."""
    made = path.with_suffix(".made")
    made.write_text("".join(json.dumps({"_id": doc_id, "text": text}) + "\n" for doc_id, text in rows.items()))
    made.replace(path)


async def test_each_change_in_a_folder_becomes_one_in_the_index(
    folder: Path, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with following(FollowedFolder(folder, QUICK), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: set(texts) == {"a.txt", "old/b.md"})

        (folder / "a.txt").write_text("changed text")
        (folder / "new/deep").mkdir(parents=True)
        (folder / "new/deep/c.html").write_text("<p>third text</p>")
        (folder / "picture.png").write_bytes(b"\x89PNG")
        await running.until(lambda texts: texts.get("a.txt") == "changed text" and "new/deep/c.html" in texts)

        (folder / "old").rename(folder / "archive")
        (folder / "a.txt").rename(folder / "z.txt")
        shutil.rmtree(folder / "new")
        texts = await running.until(lambda texts: set(texts) == {"z.txt", "archive/b.md"})
        report = await running.end()

    assert texts == {"z.txt": "changed text", "archive/b.md": "second text"}
    assert (report.counts.written, report.counts.failed, report.counts.removed) == (6, 0, 3)
    assert report.stopped == "the test ended"


async def test_what_changed_before_and_during_the_first_reading_is_not_missed(
    folder: Path, index: EmbeddedIndex, tmp_path: Path
) -> None:
    followed = FollowedFolder(folder, QUICK)
    whole = followed.source.__iter__

    def change_then_read() -> Any:
        rows = list(whole())
        (folder / "a.txt").write_text("changed while it was read")
        (folder / "old/b.md").unlink()
        yield from rows

    class Source(type(followed.source)):
        __iter__ = staticmethod(change_then_read)

    followed.source.__class__ = Source
    async with following(followed, index, tmp_path / "rejects") as running:
        await running.until(lambda texts: texts == {"a.txt": "changed while it was read"})


async def test_a_deletion_that_nobody_saw_is_found_where_it_was_asked_for(
    folder: Path, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with following(FollowedFolder(folder, QUICK), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: len(texts) == 2)
    (folder / "a.txt").unlink()
    async with following(FollowedFolder(folder, QUICK), index, tmp_path / "rejects") as running:
        (folder / "c.txt").write_text("another text")
        kept = await running.until(lambda texts: "c.txt" in texts)
    async with following(FollowedFolder(folder, QUICK), index, tmp_path / "rejects", delete_missing=True) as running:
        await running.until(lambda texts: set(texts) == {"c.txt", "old/b.md"})

    assert set(kept) == {"a.txt", "c.txt", "old/b.md"}


@pytest.mark.parametrize("change", ["written", "deleted"])
async def test_an_index_that_is_dropped_meanwhile_ends_it(
    folder: Path, index: EmbeddedIndex, tmp_path: Path, change: str
) -> None:
    async with following(FollowedFolder(folder, QUICK), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: len(texts) == 2)
        cluster = await EmbeddedCluster.open(tmp_path / "store")
        await cluster.drop_index("docs")
        await cluster.close()
        if change == "written":
            (folder / "a.txt").write_text("changed text")
        else:
            (folder / "a.txt").unlink()
        report = await running.ended()

    assert str(report.stopped).startswith("index 'docs' was deleted or made anew while it was in use")
    assert not (tmp_path / "store/docs.lance").exists()


async def test_a_folder_that_goes_away_while_it_is_listed_has_lost_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = FollowedFolder(folder, QUICK)
    await followed.begin()

    def go_then_list(path: Path) -> Listing:
        folder.rename(tmp_path / "away")
        return list_files(path)

    monkeypatch.setattr("connector.ingest.following.folder.list_files", go_then_list)
    await followed._look([folder])
    waiting = followed.lag().waiting
    await followed.close()

    assert waiting == 0


async def test_a_folder_that_goes_away_as_a_whole_loses_no_documents(
    folder: Path, index: EmbeddedIndex, tmp_path: Path
) -> None:
    """A drive that is taken off and put back."""
    followed = FollowedFolder(folder, QUICK.model_copy(update={"rescan_s": 0.05}))
    async with following(followed, index, tmp_path / "rejects") as running:
        await running.until(lambda texts: len(texts) == 2)
        folder.rename(tmp_path / "away")
        went_at = time.monotonic()
        await running.until(lambda texts: followed._looked_at > went_at + 0.3)  # several looks
        shutil.copytree(tmp_path / "away", tmp_path / "back")
        (tmp_path / "back/c.txt").write_text("written meanwhile")
        (tmp_path / "back").rename(folder)
        await running.until(lambda texts: set(texts) == {"a.txt", "old/b.md", "c.txt"})
        report = await running.end()

    assert report.counts.removed == 0


async def test_a_file_that_cannot_be_read_is_kept_with_its_reason_and_mended_later(
    folder: Path, index: EmbeddedIndex, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects"
    async with following(FollowedFolder(folder, QUICK), index, rejects) as running:
        await running.until(lambda texts: len(texts) == 2)
        (folder / "c.txt").write_bytes(b"caf\xe9")
        await running.until(lambda texts: rejects.exists() and rejects.read_text())
        (folder / "c.txt").write_text("mended")
        await running.until(lambda texts: texts.get("c.txt") == "mended")
        report = await running.end()

    assert report.counts.failed == 1
    assert json.loads(rejects.read_text())["origin"] == "c.txt"


async def test_while_the_cluster_is_away_the_source_waits(folder: Path, index: EmbeddedIndex, tmp_path: Path) -> None:
    class Away:
        """The index behind a cluster that does not answer for a while."""

        calls = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(index, name)

        async def get(self, *args: Any, **options: Any) -> Any:
            self.calls += 1
            if 5 < self.calls < 12:
                raise ClusterUnavailable("no answer")
            return await index.get(*args, **options)

    away = Away()
    async with following(FollowedFolder(folder, QUICK), away, tmp_path / "rejects") as running:
        running.index = index
        await running.until(lambda texts: len(texts) == 2)
        (folder / "a.txt").unlink()
        (folder / "old/b.md").write_text("changed")
        for number in range(5):
            (folder / f"{number}.txt").write_text("more")
            await running.until(lambda texts, name=f"{number}.txt": name in texts)
        texts = await running.until(lambda texts: "a.txt" not in texts and texts["old/b.md"] == "changed")
        report = await running.end()

    assert away.calls > 12
    assert len(texts) == 6
    assert (report.counts.written, report.counts.removed) == (8, 1)


async def follow_rows(path: Path) -> Any:
    return open_followed(str(path), load_settings(environ={}, overrides=QUIET_S))


async def test_rows_that_change_or_go_in_a_file_do_so_in_the_index(rows_index: EmbeddedIndex, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, {"a": "one", "b": "two", "c": "three"})
    async with following(await follow_rows(path), rows_index, tmp_path / "rejects") as running:
        await running.until(lambda texts: len(texts) == 3)
        write_rows(path, {"a": "one", "b": "changed", "d": "four"})
        await running.until(lambda texts: texts == {"a": "one", "b": "changed", "d": "four"})
        path.unlink()
        write_rows(path, {"d": "four"})
        await running.until(lambda texts: texts == {"d": "four"})
        report = await running.end()

    assert (report.counts.written, report.counts.unchanged, report.counts.removed) == (5, 2, 3)


@pytest.mark.parametrize("broken", ["", '{"_id": "a", "text": "one"}\n{"_id": "c", "te'])
async def test_a_file_that_is_half_written_removes_nothing(
    rows_index: EmbeddedIndex, tmp_path: Path, broken: str
) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, {"a": "one", "b": "two"})
    async with following(await follow_rows(path), rows_index, tmp_path / "rejects") as running:
        await running.until(lambda texts: len(texts) == 2)
        path.write_text(broken)
        kept = await running.until(lambda texts: running_steps(running) >= 2)
        write_rows(path, {"a": "one", "c": "three"})
        await running.until(lambda texts: texts == {"a": "one", "c": "three"})
        report = await running.end()

    assert kept == {"a": "one", "b": "two"}
    assert report.counts.removed == 1


def running_steps(running: Following) -> int:
    return running.follower.account.report().steps


async def test_a_signal_while_a_step_is_written_ends_it_and_the_next_run_goes_on(
    folder: Path, index: EmbeddedIndex, tmp_path: Path
) -> None:
    slow = FailingIndex(index, for_good=False)
    async with following(FollowedFolder(folder, QUICK), slow, tmp_path / "rejects", settings=IMPATIENT) as running:
        await running.until(lambda texts: len(texts) == 2)
        (folder / "c.txt").write_text("third")
        await slow.failed.wait()
        report = await running.end()
    async with following(FollowedFolder(folder, QUICK), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: len(texts) == 3)

    assert report.stopped == "the test ended"
    assert report.counts.read - report.counts.written - report.counts.unchanged in (0, 1)


def test_a_file_is_read_once_it_stands_still_or_has_changed_for_long() -> None:
    now = [0.0]
    changed = ChangedFiles(1.0, lambda: now[0])
    file = Path("a.txt")
    changed.add(file, state(1))
    now[0] = 0.5
    changed.add(file, state(2))
    now[0] = 1.25
    changed.add(file, state(2))

    assert changed.quiet() == {}
    now[0] = 1.5
    assert changed.quiet() == {file: state(2)}
    assert changed.oldest_s() == 1.5
    now[0] = PATIENCE
    changed.add(file, state(3))
    assert changed.quiet() == {file: state(3)}


def state(size: int) -> FileState:
    return FileState(size, 0, 0, 0)


async def test_a_link_that_comes_to_lead_elsewhere_is_followed(rows_index: EmbeddedIndex, tmp_path: Path) -> None:
    write_rows(tmp_path / "first.jsonl", {"a": "one"})
    write_rows(tmp_path / "second.jsonl", {"b": "two"})
    link = tmp_path / "rows.jsonl"
    link.symlink_to("first.jsonl")
    async with following(await follow_rows(link), rows_index, tmp_path / "rejects") as running:
        await running.until(lambda texts: texts == {"a": "one"})
        (tmp_path / "new").symlink_to("second.jsonl")
        (tmp_path / "new").replace(link)
        await running.until(lambda texts: texts == {"b": "two"})


def test_a_stream_is_not_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(Exception, match="is a stream, which has an end"):
        open_followed(str(tmp_path / "pipe.jsonl"), load_settings(environ={}))


async def test_a_file_that_is_cut_off_is_read_again_once_it_has_changed(
    rows_index: EmbeddedIndex, tmp_path: Path
) -> None:
    path = tmp_path / "docs.jsonl.gz"
    rows = "".join(json.dumps({"_id": f"d{at}", "text": f"text {at}"}) + "\n" for at in range(20))

    def put(data: bytes) -> None:
        made = path.with_suffix(".made")
        made.write_bytes(data)
        made.replace(path)

    put(gzip.compress(rows.encode()))
    followed = open_followed(str(path), load_settings(environ={}, overrides=QUIET_S))
    async with following(followed, rows_index, tmp_path / "rejects") as running:
        await running.until(lambda texts: len(texts) == 20)
        put(gzip.compress(rows.replace("text 0", "other").encode())[:-12])
        await running.until(lambda texts: bool(running.follower.account.report().notes))
        put(gzip.compress(rows.replace("text 0", "first").encode()))
        texts = await running.until(lambda texts: texts["d0"] == "first")
        report = await running.end()

    assert len(texts) == 20
    assert [note.startswith("a reading broke off: ") for note in report.notes] == [True]
    assert report.stopped == "the test ended"
