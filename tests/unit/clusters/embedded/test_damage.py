"""An index of the embedded store that was dropped, damaged or left half-made: what is said of it, and what is done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.parts import HashEncoder, ids, schema_of
from support.programs.other_user import as_other_user

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import TERMS_SUFFIX, EmbeddedIndex
from connector.clusters.embedded.reasons import explain_lance
from connector.errors import ClusterError, IndexExists, IndexGone, IndexMissing, SettingsError
from connector.lexical import LexicalQuery
from connector.types import Document, IndexedDocument, Passage

ENCODER = HashEncoder(dims=4)
SCHEMA = schema_of(ENCODER, text={"text": 1.0})
TEXT = "salt in the cellar"

SALT = LexicalQuery("salt")


@pytest.fixture
async def cluster(tmp_path: Path) -> EmbeddedCluster:
    return await EmbeddedCluster.open(tmp_path)


async def fill(cluster: EmbeddedCluster, name: str) -> EmbeddedIndex:
    index = await cluster.create_index(name, SCHEMA)
    await index.write(
        [IndexedDocument(Document("a", {"text": TEXT}), "h", (Passage("a", 0, TEXT),), ENCODER.encode([TEXT]))]
    )
    await index.finish()
    return index


async def test_to_open_an_index_is_to_write_nothing(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    await fill(cluster, "docs")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    index = await (await EmbeddedCluster.open(tmp_path)).open_index("docs")
    found = (await index.lexical(SALT, depth=5, filter=None, timeout_s=60.0)).ranking

    assert ids(found) == ["a"]
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


async def test_an_index_that_is_damaged_is_not_called_missing(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    """Nor is it made anew over what is left of it."""
    await fill(cluster, "docs")
    for manifest in (tmp_path / "docs.lance" / "_versions").iterdir():
        manifest.write_bytes(b"")
    with pytest.raises(ClusterError, match=r"'docs' .* cannot be read: .*connector index drop") as cut:
        await cluster.open_index("docs")
    shutil.rmtree(tmp_path / "docs.lance" / "_versions")
    with pytest.raises(ClusterError, match="cannot be read"):
        await cluster.open_index("docs")
    with pytest.raises(IndexExists):
        await cluster.create_index("docs", SCHEMA)
    await cluster.drop_index("docs")

    assert not isinstance(cut.value, IndexMissing)
    assert ".rs:" not in str(cut.value)
    assert (await cluster.create_index("docs", SCHEMA)).name == "docs"


async def test_what_is_left_of_a_killed_making_is_no_index(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    (tmp_path / "docs.lance" / "_versions").mkdir(parents=True)
    with pytest.raises(IndexMissing):
        await cluster.open_index("docs")

    assert (await cluster.create_index("docs", SCHEMA)).name == "docs"


async def test_an_index_that_is_dropped_while_it_is_open_says_so(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    index = await fill(cluster, "docs")
    shutil.rmtree(tmp_path / "docs.lance")
    with pytest.raises(ClusterError, match="was deleted or made anew while it was in use") as gone:
        await index.lexical(SALT, depth=5, filter=None, timeout_s=60.0)

    assert "/src/" not in str(gone.value)


async def test_a_folder_that_is_deleted_amid_a_write_says_so(
    cluster: EmbeddedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that passes is tried again, by a follower for ever."""
    index = await fill(cluster, "docs")

    async def lose_then_write() -> None:
        shutil.rmtree(tmp_path / "docs.lance")
        await index.table.optimize()

    monkeypatch.setattr(index, "_write_terms", lose_then_write)
    with pytest.raises(IndexGone):
        await index.finish()
    with pytest.raises(IndexGone):
        await index.remove(["d0"])


async def test_words_that_were_not_counted_are_told(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    """The job that writes them at its end was killed; without them a reranker weighs all words alike."""
    index = await fill(cluster, "docs")
    shutil.rmtree(tmp_path / f"docs{TERMS_SUFFIX}.lance")
    with pytest.raises(ClusterError, match=r"have not been counted: .* run it again"):
        await index.term_statistics("salt", timeout_s=60.0)


async def test_a_name_of_the_store_s_own_is_refused(cluster: EmbeddedCluster) -> None:
    with pytest.raises(SettingsError, match="the store's own"):
        await cluster.create_index(f"docs{TERMS_SUFFIX}", SCHEMA)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can go to, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    change_modes(folder, 0o755, 0o644)
    shutil.rmtree(folder)


def change_modes(folder: Path, folders: int, files: int) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(folders if path.is_dir() else files)


async def test_a_folder_that_may_only_be_read_is_searched(open_folder: Path) -> None:
    made = await fill(await EmbeddedCluster.open(open_folder), "docs")
    change_modes(open_folder, 0o555, 0o444)
    with as_other_user():
        index = await (await EmbeddedCluster.open(open_folder)).open_index("docs")
        hits = (await index.lexical(SALT, depth=5, filter=None, timeout_s=60.0)).ranking
        with pytest.raises(ClusterError, match=r"cannot write to the embedded store .Permission denied"):
            await index.remove(["a"])

    assert [hit.doc_id for hit in hits] == ["a"]
    assert await index.table.version() == await made.table.version()


async def test_a_store_that_may_not_be_read_is_told(open_folder: Path) -> None:
    await fill(await EmbeddedCluster.open(open_folder), "docs")
    change_modes(open_folder, 0o000, 0o000)
    with as_other_user(), pytest.raises(ClusterError, match="Permission denied; check the folder's mode"):
        await (await EmbeddedCluster.open(open_folder)).open_index("docs")


def test_a_reason_of_lance_s_is_its_innermost() -> None:
    structure = (
        'Invalid input: IO { source: Error { inner: Io { err: Os { code: 13, message: "Permission denied" } } } }'
    )
    full = "lance error: LanceError(IO): No space left on device (os error 28), /build/lance-file/src/writer.rs:258:9"

    assert explain_lance(ValueError(structure)) == "Permission denied; check the folder's mode and owner"
    assert explain_lance(RuntimeError(full)).startswith("No space left on device (os error 28); the disk is full")
