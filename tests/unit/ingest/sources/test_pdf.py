"""The text of a PDF: pages, passwords, damage, and words that a line end splits."""

from __future__ import annotations

import contextlib
import io

import pytest

from connector.ingest.sources.pdf import join_split_words, read_pdf
from connector.ingest.sources.text import FileText


def build_pdf(*pages: str, title: str = "") -> bytes:
    """A PDF by hand: one line of Helvetica on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        drawing = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream")
    objects.append(f"<< /Title ({title}) >>")
    out, offsets = b"%PDF-1.4\n", []
    for number, written in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{written}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    info = f"/Info {len(objects)} 0 R" if title else ""
    size = len(objects) + 1
    tail = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R {info} >>\n"
    return out + f"{tail}startxref\n{len(out)}\n%%EOF\n".encode()


def test_a_pdf_has_its_pages_and_its_title() -> None:
    found = read_pdf(build_pdf("Hello page one", "And page two", title="The title"))

    assert found == FileText("The title", "Hello page one\n\nAnd page two")


def test_a_pdf_without_text_is_told() -> None:
    with pytest.raises(ValueError, match="text recognition"):
        read_pdf(build_pdf(""))


@pytest.mark.parametrize("position", range(0, 600, 12))
def test_a_spoilt_pdf_is_read_or_told(position: int) -> None:
    data = bytearray(build_pdf("Hello page"))
    data[position % len(data)] ^= 0x3F

    with contextlib.suppress(ValueError):
        found = read_pdf(bytes(data))

        assert found.text.strip()


def locked(password: str, algorithm: str) -> bytes:
    from pypdf import PdfWriter

    writer, out = PdfWriter(clone_from=io.BytesIO(build_pdf("secret"))), io.BytesIO()
    writer.encrypt(password, "of the owner", algorithm=algorithm)
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_pdf_with_a_password_is_told(algorithm: str) -> None:
    with pytest.raises(ValueError, match="locked by a password; unlock it first"):
        read_pdf(locked("of the reader", algorithm))


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_pdf_that_is_encrypted_without_a_password_for_reading_is_read(algorithm: str) -> None:
    assert read_pdf(locked("", algorithm)).text == "secret"


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4 broken", b"no pdf at all", b"%PDF-1.7\n%%EOF"])
def test_what_is_no_pdf_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="it is no readable PDF"):
        read_pdf(data)


def test_a_pdf_whose_table_of_objects_is_wrong_is_repaired() -> None:
    data = build_pdf("Hello page").replace(b"startxref\n", b"startxref\n9")

    assert read_pdf(data).text == "Hello page"


def test_pages_without_text_are_counted() -> None:
    found = read_pdf(build_pdf("Hello", "", ""))

    assert found.text == "Hello"
    assert dict(found.notes) == {"pages of PDF files without text (scans?) are left out": 2}


def test_a_word_that_a_line_end_splits_is_put_together() -> None:
    assert read_pdf(build_pdf("a long exam-) Tj 0 -30 Td (ple of text")).text == "a long example\nof text"


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("exam-\nple text", "example\ntext"),
        ("exam- \n  ple, and", "example,\nand"),
        ("exam\u2010\nple", "example\n"),
        ("exam\u00ad\nple", "example\n"),
        ("inter-\nna-\ntional law", "international\nlaw"),
        ("a well-known thing, well-\nknown too", "a well-known thing, well-known\ntoo"),
        ("state-of-the-art, the state-of-\nthe-art", "state-of-the-art, the state-of-the-art\n"),
        ("Jean-\nPaul came", "Jean-Paul\ncame"),
        ("1990-\n1995", "1990-\n1995"),
        ("a list:\n- one\n- two", "a list:\n- one\n- two"),
        ("he said -\nwell", "he said -\nwell"),
        ("no hyphen\nhere", "no hyphen\nhere"),
        ("Über-\nraschung", "Überraschung\n"),
        ("exam-\n\nple", "exam-\n\nple"),
    ],
)
def test_hyphens_at_line_ends_go_and_those_of_compounds_stay(text: str, joined: str) -> None:
    assert join_split_words(text) == joined
