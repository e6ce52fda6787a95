"""A folder of documents, one to a file."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from connector.errors import SourceError
from connector.extras import needs
from connector.ingest.sources.row import Row
from connector.ingest.sources.streams import is_special
from connector.ingest.sources.text import FileText, read_markdown, read_text

MAX_FILE_BYTES = 256 * 1024 * 1024
Reader = Callable[[bytes], FileText]
FileKind = Literal["text", "Markdown", "HTML", "PDF"]
KINDS: dict[str, FileKind] = {
    ".txt": "text",
    ".text": "text",
    ".md": "Markdown",
    ".markdown": "Markdown",
    ".html": "HTML",
    ".htm": "HTML",
    ".xhtml": "HTML",
    ".pdf": "PDF",
}


def load_reader(kind: FileKind) -> Reader:
    """What reads files of a kind. Raises MissingExtra."""
    if kind == "HTML":
        with needs("files", "reading HTML"):
            from connector.ingest.sources.html import read_html
        return read_html
    if kind == "PDF":
        with needs("files", "reading PDF"):
            from connector.ingest.sources.pdf import read_pdf
        return read_pdf
    return read_markdown if kind == "Markdown" else read_text


def read_document_file(file: Path, read: Reader) -> FileText:
    """The text of a file; raises ValueError or OSError where it cannot be read or is empty. It never waits."""
    document = read(_read_regular(file))
    if not document.text.strip():
        raise ValueError("it holds no text")
    return document


class FolderSource:
    """A folder of text, Markdown, HTML and PDF files: the id is the path, title and text come from the content.

    Links to files are followed, links to folders are not. Files of no known kind are counted in the notes. `part`
    (2, 5) reads the third fifth of the files; the first one has also what is to be said of the folder."""

    id_field: str | None = "path"
    typed = True
    alike = True

    def __init__(
        self, folder: Path, files: Sequence[Path] | None = None, *, part: tuple[int, int] | None = None
    ) -> None:
        self._folder = folder
        self._part = part
        self._files = files
        self.progress = 0.0
        self.notes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        self.progress = 0.0
        self.notes = Counter()
        unlisted: list[Row] = []
        files = self._files or sorted(self._find(self._folder, unlisted))
        if not files and not unlisted:
            found = f"; {'; '.join(self.notes)}" if self.notes else ", or none at all"
            raise SourceError(f"{self._folder} holds no file of a known kind ({', '.join(sorted(KINDS))}){found}")
        if self._part is not None:
            place, parts = self._part
            files = files[len(files) * place // parts : len(files) * (place + 1) // parts]
            if place > 0:
                self.notes.clear()
                unlisted.clear()
        readers = {kind: load_reader(kind) for kind in {_kind(file) for file in files}}
        self.alike = "Markdown" not in readers  # front matter
        yield from unlisted
        for number, file in enumerate(files, start=1):
            row = self._row(file, readers[_kind(file)])
            self.progress = number / len(files)
            yield row
        self.progress = 1.0

    def _find(self, folder: Path, unlisted: list[Row]) -> Iterator[Path]:
        def keep(error: OSError) -> None:
            name = file_id(Path(error.filename or folder), self._folder)
            unlisted.append(Row({}, name, f"cannot list the folder: {error.strerror}"))

        for parent, folders, names in os.walk(folder, onerror=keep):
            for name in folders:
                if os.path.islink(os.path.join(parent, name)):
                    self.notes["links to folders are not followed"] += 1
            for name in names:
                file = Path(parent, name)
                if file.suffix.lower() in KINDS:
                    yield file
                else:
                    suffix = _printable(file.suffix.lower()) or "no suffix"
                    self.notes[f"files of no known kind ({suffix}) are not read"] += 1

    def _row(self, file: Path, read: Reader) -> Row:
        name = file_id(file, self._folder)
        if name != file.relative_to(self._folder).as_posix():
            return Row({"path": name}, name, "the file's name is not UTF-8; rename it")
        try:
            document = read_document_file(file, read)
        except OSError as error:
            return Row({"path": name}, name, f"cannot read the file: {error.strerror or error}")
        except ValueError as error:
            return Row({"path": name}, name, f"cannot read the file: {error}")
        self.notes.update(document.notes)
        title = document.title or file.stem
        return Row({"path": name, "title": title, "text": document.text, **document.fields}, name)


def _kind(file: Path) -> FileKind:
    return KINDS[file.suffix.lower()]


def _read_regular(file: Path) -> bytes:
    """The bytes of a regular file. Raises ValueError for anything else, without waiting for what it may give."""
    _check_regular(file.stat().st_mode)  # before it is opened, as that can have effects on a device
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        _check_regular(os.fstat(opened.fileno()).st_mode)
        data = opened.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_FILE_BYTES >> 20} MiB; split it")
    return data


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ValueError(f"it is no regular file but {is_special(mode) or 'a folder'}")


def file_id(file: Path, folder: Path) -> str:
    """The id of the document in a file: its path within the folder."""
    return _printable(file.relative_to(folder).as_posix())


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
