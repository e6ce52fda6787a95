"""PDF files: the text of their pages, words put together that a line's end had split."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from itertools import pairwise

import pypdf.errors
from pypdf import PdfReader

from connector.ingest.sources.text import FileText

log = logging.getLogger(__name__)
_SPLIT_WORD = re.compile(r"(\w*[^\W\d_])([-\u2010\u00ad])[ \t]*\n[ \t]*([^\W\d_]\w*)(\S*)[ \t]*\n?")
_COMPOUND = re.compile(r"\w+(?:[-\u2010]\w+)+")
MAX_JOINS = 5  # a word over more lines than that is none
_LINE_ENDS = str.maketrans({"\r": "\n", "\x0c": "\n"})


def read_pdf(data: bytes) -> FileText:
    """The pages, split by blank lines. Raises ValueError that says why there is no text."""
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # its warnings are about repairs that worked
    try:
        reader = PdfReader(io.BytesIO(data))
        _unlock(reader)
        pages = [page.extract_text().translate(_LINE_ENDS).strip() for page in reader.pages]
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except PasswordNeeded:
        raise
    except pypdf.errors.DependencyError as error:
        raise ValueError(f"it is encrypted in a way that cannot be read here ({error})") from error
    except Exception as error:  # a broken file makes pypdf raise anything
        log.debug("pypdf cannot read the file", exc_info=True)
        raise ValueError(f"it is no readable PDF ({error or type(error).__name__})") from error
    if not any(pages):
        raise ValueError("the PDF holds no text (a scan?); run text recognition on it first")
    empty = pages.count("")
    notes = Counter({"pages of PDF files without text (scans?) are left out": empty} if empty else {})
    return FileText(title.strip(), join_split_words("\n\n".join(filter(None, pages))), notes=notes)


class PasswordNeeded(ValueError):
    """A PDF that cannot be opened without a password."""


def join_split_words(text: str) -> str:
    """The text with words put together that a hyphen split at a line's end.

    The hyphen stays where the same word has it elsewhere in the text, and before a capital or another script."""

    compounds = {
        pair
        for compound in _COMPOUND.findall(text.lower())
        for pair in pairwise(compound.replace("\u2010", "-").split("-"))
    }

    def joined(found: re.Match[str]) -> str:
        left, hyphen, right, rest = found.groups()
        stays = hyphen != "\u00ad" and (not right[0].islower() or (left.lower(), right.lower()) in compounds)
        return f"{left}{hyphen if stays else ''}{right}{rest}\n"

    for _ in range(MAX_JOINS):
        before, text = text, _SPLIT_WORD.sub(joined, text)
        if text == before:
            break
    return text


def _unlock(reader: PdfReader) -> None:
    """Open a PDF that is encrypted without a password for reading; raises PasswordNeeded for others."""
    if reader.is_encrypted and not reader.decrypt(""):
        raise PasswordNeeded("it is locked by a password; unlock it first, e.g. qpdf --decrypt --password=… OLD NEW")
