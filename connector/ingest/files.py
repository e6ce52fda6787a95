"""One document from one file: plain text, Markdown, HTML or PDF."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileText:
    """The title (empty where the file names none) and the text of a file."""

    title: str
    text: str


def read_document_file(file: Path) -> FileText:
    """The text of a file; raises ValueError or OSError where it cannot be read or is empty."""
    document = FILE_READERS[file.suffix.lower()](file)
    if not document.text.strip():
        raise ValueError("it holds no text")
    return document


def _read_text(file: Path) -> FileText:
    return FileText("", _decode(file))


def _read_markdown(file: Path) -> FileText:
    text = re.sub(r"\A---\n.*?\n---\n", "", _decode(file), flags=re.DOTALL)  # front matter
    heading = re.search(r"^#\s+(.+?)\s*#*\s*$", text, re.MULTILINE)
    if not heading:
        return FileText("", text)
    return FileText(heading[1], text[: heading.start()] + text[heading.end() :].lstrip("\n"))


def _read_html(file: Path) -> FileText:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(file.read_bytes(), "html.parser")
    heading = soup.title or soup.h1
    title = heading.get_text(" ", strip=True) if heading else ""
    for element in soup(["script", "style", "template", "noscript", "nav", "title"]):
        element.decompose()
    for element in soup(
        ["br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "section", "article"]
    ):
        element.append("\n")
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in soup.get_text().splitlines())
    return FileText(title, re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip())


def _read_pdf(file: Path) -> FileText:
    from pypdf import PdfReader

    try:
        reader = PdfReader(file)
        pages = [page.extract_text() for page in reader.pages]
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except Exception as error:  # a broken file makes pypdf raise anything
        raise ValueError(f"it is no readable PDF ({error})") from error
    text = "\n\n".join(pages)
    if not text.strip():
        raise ValueError("the PDF holds no text (a scan?); run text recognition on it first")
    return FileText(title, text)


def _decode(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start}); convert it") from None


FILE_READERS: dict[str, Callable[[Path], FileText]] = {
    ".txt": _read_text,
    ".text": _read_text,
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".html": _read_html,
    ".htm": _read_html,
    ".pdf": _read_pdf,
}
