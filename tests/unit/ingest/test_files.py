from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from connector.ingest.sources.folder import read_document_file
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
    for number, one in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    info = f"/Info {len(objects)} 0 R" if title else ""
    size = len(objects) + 1
    tail = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R {info} >>\n"
    return out + f"{tail}startxref\n{len(out)}\n%%EOF\n".encode()


def read(path: Path, data: bytes | str) -> FileText:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_document_file(path)


def test_plain_text_has_no_title(tmp_path: Path) -> None:
    assert read(tmp_path / "a.TXT", b"\xef\xbb\xbfone\r\ntwo") == FileText("", "one\ntwo")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# The title #\n\ntext", FileText("The title", "\ntext")),
        ("before\n# Title\nafter", FileText("Title", "before\nafter")),
        ("## Lesser\ntext", FileText("", "## Lesser\ntext")),
        ("no heading", FileText("", "no heading")),
        ("---\ntitle: x\n---\n# Title\ntext", FileText("x", "# Title\ntext")),
        ("---\nname: x\n---\n# Title\ntext", FileText("Title", "\ntext")),
        ("text\n---\nmore\n---\n", FileText("", "text\n---\nmore\n---\n")),
    ],
)
def test_markdown_has_its_first_heading_as_title(tmp_path: Path, text: str, expected: FileText) -> None:
    found = read(tmp_path / "a.md", text)

    assert (found.title, found.text.strip()) == (expected.title, expected.text.strip())


def test_html_is_read_as_a_person_would(tmp_path: Path) -> None:
    html = """<html><head><title>The &amp; title</title><style>p {color: red}</style></head><body>
    <nav>menu</nav><h1>Heading</h1><p>One <b>bold</b>   word.</p><p>Two<br>lines</p><script>alert(1)</script>
    <ul><li>first</li><li>second</li></ul></body></html>"""

    found = read(tmp_path / "a.html", html)

    assert found.title == "The & title"
    assert [line for line in found.text.splitlines() if line] == [
        "Heading", "One bold word.", "Two", "lines", "first", "second",
    ]  # fmt: skip


def test_html_without_a_title_takes_its_heading_and_keeps_it_in_the_text(tmp_path: Path) -> None:
    found = read(tmp_path / "a.htm", "<h1>Heading</h1><p>text</p>")

    assert found.title == "Heading"
    assert "Heading" in found.text


def test_a_pdf_has_its_pages_and_its_title(tmp_path: Path) -> None:
    found = read(tmp_path / "a.pdf", build_pdf("Hello page one", "And page two", title="The title"))

    assert found == FileText("The title", "Hello page one\n\nAnd page two")


def test_a_pdf_without_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="text recognition"):
        read(tmp_path / "a.pdf", build_pdf(""))


def test_a_pdf_with_a_password_is_told(tmp_path: Path) -> None:
    from pypdf import PdfWriter

    writer = PdfWriter(clone_from=io.BytesIO(build_pdf("secret")))
    writer.encrypt("password", algorithm="RC4-128")
    locked = io.BytesIO()
    writer.write(locked)

    with pytest.raises(ValueError, match="locked by a password; unlock it first"):
        read(tmp_path / "a.pdf", locked.getvalue())


@pytest.mark.parametrize("position", range(0, 600, 12))
def test_a_spoilt_pdf_is_read_or_told(tmp_path: Path, position: int) -> None:
    data = bytearray(build_pdf("Hello page"))
    data[position % len(data)] ^= 0x3F

    with contextlib.suppress(ValueError):
        found = read(tmp_path / "a.pdf", bytes(data))

        assert found.text.strip()


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_a_file_without_text_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="holds no text"):
        read(tmp_path / name, " \n\n ")


def test_a_file_that_is_not_utf8_is_told_where(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not UTF-8 \(byte 3\)"):
        read(tmp_path / "a.txt", "abcé".encode("latin-1"))
