"""A file's hash is remembered as long as the file stays as it is, and no longer."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from connector.models import hashes
from connector.models.hashes import REMEMBERED_BYTES, file_sha256

pytestmark = pytest.mark.usefixtures("own_cache")


def as_in_another_process() -> None:
    hashes._sha256_of.cache_clear()


def test_a_long_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"x" * REMEMBERED_BYTES)
    first = file_sha256(file)
    read = hashes._read
    monkeypatch.setattr("connector.models.hashes._read", lambda file: pytest.fail("read again"))
    as_in_another_process()

    assert file_sha256(file) == first == hashlib.sha256(b"x" * REMEMBERED_BYTES).hexdigest()

    before = file.stat()
    file.write_bytes(b"y" * REMEMBERED_BYTES)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as long as before and, it says, as old
    monkeypatch.setattr("connector.models.hashes._read", read)
    as_in_another_process()

    assert file_sha256(file) == hashlib.sha256(b"y" * REMEMBERED_BYTES).hexdigest()


def test_a_short_file_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")

    assert file_sha256(tmp_path / "short") == hashlib.sha256(b"x").hexdigest()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["no json", "{}", '{"state": 1, "sha256": "2"}'])
def test_what_was_remembered_and_cannot_be_read_is_made_again(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"x" * REMEMBERED_BYTES)
    first = file_sha256(file)
    (memory,) = (tmp_path / "cache").rglob("*.json")
    memory.write_text(damage)
    as_in_another_process()

    assert file_sha256(file) == first
    assert damage not in memory.read_text()


def test_a_hash_that_cannot_be_remembered_is_made_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder can be made here")
    (tmp_path / "weights").write_bytes(b"x" * REMEMBERED_BYTES)

    assert file_sha256(tmp_path / "weights") == hashlib.sha256(b"x" * REMEMBERED_BYTES).hexdigest()
