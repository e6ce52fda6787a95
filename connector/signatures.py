"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

from collections.abc import Mapping

HEAD_BYTES = 16  # enough to tell all of these
PACKED: Mapping[bytes, str] = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz"}
NO_TEXT: Mapping[bytes, str] = {
    **{head: f"bytes that are packed ({suffix})" for head, suffix in PACKED.items()},
    b"PK\x03\x04": "a zip archive, which Excel and Word files are too",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel or Word file",
    b"\x28\xb5\x2f\xfd": "bytes that are packed (.zst)",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"PAR1": "a Parquet file",
    b"%PDF-": "a PDF",
    b"SQLite format 3\x00": "an SQLite database",
}


def packed_suffix(head: bytes) -> str | None:
    """The usual suffix of files that begin so, where they are packed in a way that can be read."""
    return next((suffix for begins, suffix in PACKED.items() if head.startswith(begins)), None)


def why_no_text(head: bytes) -> str | None:
    """What a file that begins so is, in words, where it is known and no text."""
    return next((words for begins, words in NO_TEXT.items() if head.startswith(begins)), None)
