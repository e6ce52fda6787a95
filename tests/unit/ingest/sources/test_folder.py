"""A folder of documents as a source: which of its files are rows, and what is said of the others."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support.ingest.rows import read, values, write

from connector.errors import SourceError
from connector.ingest.job import make_plan
from connector.ingest.sources import folder as folder_reader
from connector.ingest.sources import open_source
from connector.settings.sections import Settings


def test_a_folder_is_its_files_with_paths_as_ids(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "B.MD", "---\nyear: 2024\n---\n# Heading\n\nBody")
    write(tmp_path / "a.txt", "plain")
    write(tmp_path / ".hidden.txt", "a file like any other")

    source = open_source(str(tmp_path))

    assert source.id_field == "path"
    assert values(list(source)) == [
        {"path": ".hidden.txt", "title": ".hidden", "text": "a file like any other"},
        {"path": "a.txt", "title": "a", "text": "plain"},
        {"path": "sub/B.MD", "title": "Heading", "text": "Body", "year": 2024},
    ]


def test_files_of_no_known_kind_are_counted(tmp_path: Path) -> None:
    for name in ("a.txt", "b.docx", "c.docx", "README"):
        write(tmp_path / name, "x")
    source = open_source(str(tmp_path))

    assert len(list(source)) == len(list(source)) == 1
    assert dict(source.notes) == {
        "files of no known kind (.docx) are not read": 2,
        "files of no known kind (no suffix) are not read": 1,
    }


def test_a_folder_without_documents_says_what_it_has(tmp_path: Path) -> None:
    write(tmp_path / "a.docx", "x")

    with pytest.raises(
        SourceError, match=r"no file of a known kind .*; files of no known kind \(\.docx\) are not read"
    ):
        read(tmp_path)


def test_front_matter_that_only_a_later_file_has_becomes_fields(tmp_path: Path) -> None:
    for name, front in (("a", ""), ("b", "---\nteam: tides\n---\n"), ("c", "---\nyear: 2024\n---\n")):
        write(tmp_path / f"{name}.md", f"{front}# Title\ntext")
    plan = make_plan(Settings(), open_source(str(tmp_path)))

    assert plan.fields.metadata == {"team": "keyword", "year": "integer"}


def test_a_file_that_cannot_be_read_keeps_its_id_and_says_why(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", b"\xff")
    write(tmp_path / "b.txt", " \n")
    write(tmp_path / "b.md", " \n")
    write(tmp_path / "b.html", "<p> </p>")
    write(tmp_path / "c.pdf", b"%PDF-1.4 broken")
    os.mkfifo(tmp_path / "d.txt")
    os.mknod(tmp_path / "e.md", stat.S_IFSOCK | 0o600)
    (tmp_path / "f.txt").symlink_to("/dev/zero")
    (tmp_path / "g.txt").symlink_to("g.txt")
    (tmp_path / "h.txt").symlink_to("nowhere.txt")
    (tmp_path / "i.txt").symlink_to("..")
    write(tmp_path / "z.txt", "good")

    rows = {row.values["path"]: row.error for row in read(tmp_path)}

    reasons = {name: (error or "").removeprefix("cannot read the file: ") for name, error in rows.items()}
    assert reasons.pop("a.txt").startswith("it is not UTF-8 (byte 0); convert it")
    assert reasons.pop("c.pdf").startswith("it is no readable PDF")
    assert reasons == {
        "b.txt": "it holds no text",
        "b.md": "it holds no text",
        "b.html": "it holds no text",
        "d.txt": "it is no regular file but a named pipe",
        "e.md": "it is no regular file but a socket",
        "f.txt": "it is no regular file but a device",
        "g.txt": "Too many levels of symbolic links",
        "h.txt": "No such file or directory",
        "z.txt": "",
    }


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    write(tmp_path / "elsewhere.txt", "linked")
    (tmp_path / "docs" / "a.txt").symlink_to(tmp_path / "elsewhere.txt")
    (tmp_path / "docs" / "loop").symlink_to(tmp_path / "docs")
    source = open_source(str(tmp_path / "docs"))

    assert values(list(source)) == [{"path": "a.txt", "title": "a", "text": "linked"}]
    assert dict(source.notes) == {"links to folders are not followed": 1}


def test_a_folder_may_be_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "d.md").mkdir()
    write(tmp_path / "d.md" / "a.txt", "within")

    assert values(read(tmp_path)) == [{"path": "d.md/a.txt", "title": "a", "text": "within"}]


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"caf\xe9.txt"), "text")

    (row,) = read(tmp_path)

    assert (row.values, row.origin) == ({"path": "caf\\xe9.txt"}, "caf\\xe9.txt")
    assert row.error == "the file's name is not UTF-8; rename it"


def test_a_file_that_vanishes_costs_itself(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        write(tmp_path / name, "text")
    rows = iter(open_source(str(tmp_path)))

    first = next(rows)
    (tmp_path / "b.txt").unlink()
    gone, last = rows

    assert (first.error, gone.error, last.error) == (None, "cannot read the file: No such file or directory", None)


def test_a_file_beyond_any_size_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_reader, "MAX_FILE_BYTES", 1 << 20)
    write(tmp_path / "a.txt", "x" * (1 << 20) + "x")

    (row,) = read(tmp_path)

    assert row.error == "cannot read the file: it is larger than 1 MiB; split it"


def test_one_document_file_is_a_source(tmp_path: Path) -> None:
    assert values(read(write(tmp_path / "a.md", "# T\ntext"))) == [{"path": "a.md", "title": "T", "text": "text"}]


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file of a known kind"):
        read(tmp_path)
