"""What a byte says depends on its file's encoding: known for sure, or an error that names the line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from connector.errors import SourceError
from connector.evaluation.files.text_file import numbered_lines, read_text

TEXT = "one\ncafé 中文 🦊\n\n  four\u2028still \n"
LINES = [(1, "one"), (2, "café 中文 🦊"), (4, "four\u2028still")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_lines_are_the_same_in_every_encoding(tmp_path: Path, encoding: str, end: str, packed: bool) -> None:
    content = TEXT.replace("\n", end).encode(encoding)
    (tmp_path / "f").write_bytes(gzip.compress(content) if packed else content)

    assert list(numbered_lines(tmp_path / "f")) == LINES


def test_big_endian_marks_are_known(tmp_path: Path) -> None:
    for encoding in ("utf-16-be", "utf-32-be", "utf-16-le", "utf-32-le"):
        (tmp_path / "f").write_bytes(("\ufeff" + TEXT).encode(encoding))

        assert read_text(tmp_path / "f") == TEXT


def test_a_mark_in_the_middle_of_joined_files_is_no_part_of_a_line(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes("one\n".encode("utf-8-sig") + "two".encode("utf-8-sig"))

    assert list(numbered_lines(tmp_path / "f")) == [(1, "one"), (2, "two")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"one\ncaf\xe9\n", r"f:2 is not UTF-8 \(byte 0xe9\).*iconv"),
        (
            "one\ntwo\n".encode("utf-16-le"),
            "f:1 has a NUL character: it is no text, or UTF-16 without a byte-order mark",
        ),
        (b"\xff\xfeo\0\n\0\x00\xd8x\0", "f:2 is not the UTF-16"),
        (gzip.compress(b"one\ncaf\xe9\n", mtime=0), "f:2 is not UTF-8"),
        (b"PK\x03\x04\xff", "f:1 holds a zip archive"),
        (b"BZh91AY&SY\xad", r"f:1 holds bytes that are packed \(.bz2\)"),
    ],
    ids=["Latin-1", "UTF-16 without mark", "half a pair", "packed", "zip", "bzip2"],
)
def test_what_cannot_be_decoded_is_named_with_its_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "f").write_bytes(content)

    with pytest.raises(SourceError, match=says):
        read_text(tmp_path / "f")


def test_a_gzip_file_that_breaks_off_is_named_with_the_line_that_it_got_to(tmp_path: Path) -> None:
    lines = "".join(f"line {number} {hash((number, 'x'))}\n" for number in range(5_000))
    packed = gzip.compress(lines.encode())
    for cut in (20, len(packed) // 2, len(packed) - 4):
        (tmp_path / "f.gz").write_bytes(packed[:cut])

        with pytest.raises(SourceError, match=r"f\.gz:\d+ is where the gzip file is damaged or breaks off"):
            read_text(tmp_path / "f.gz")


def test_gzip_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "plain.gz").write_text("one")
    (tmp_path / "packed").write_bytes(gzip.compress(b"one"))

    assert read_text(tmp_path / "plain.gz") == read_text(tmp_path / "packed") == "one"


def test_what_is_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Is a directory"):
        read_text(tmp_path)
    with pytest.raises(SourceError, match="No such file"):
        read_text(tmp_path / "gone")
