"""HTML files: the text as a person would read it, with a boundary wherever the page shows one."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from connector.ingest.sources.streams import BYTE_ORDER_MARKS
from connector.ingest.sources.text import FileText

UNSEEN = frozenset((
    "script", "style", "template", "noscript", "nav", "head", "title", "meta", "link", "iframe", "object",
    "embed", "audio", "video", "canvas", "datalist", "rp",
))  # fmt: skip
PARAGRAPHS = frozenset((
    "address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "dir", "dl", "fieldset",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "main", "menu", "ol",
    "p", "pre", "search", "section", "select", "table", "textarea", "ul",
))  # fmt: skip
LINES = frozenset((
    "br", "caption", "dd", "div", "dt", "figcaption", "legend", "li", "optgroup", "option", "summary", "tbody",
    "tfoot", "thead", "tr",
))  # fmt: skip
SPACED = frozenset((
    "td", "th", "button", "img", "input", "label", "meter", "output", "progress", "rt", "svg", "math", "marquee",
    "text", "tspan", "desc", "foreignobject",  # of drawings
))  # fmt: skip
SPACED_ROLES = frozenset(
    ("cell", "columnheader", "gridcell", "listitem", "menuitem", "option", "row", "rowheader", "tab")
)
MAX_DEPTH = 5_000
_BLOCK_TAG = re.compile(rf"<(/?)(?:div|{'|'.join(sorted(PARAGRAPHS - {'p', 'hr', 'body'}))})\b", re.IGNORECASE)
KEEPS_SPACES = frozenset(["pre", "textarea", "listing", "xmp"])
_NOT_SHOWN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_SET_APART = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*(?:inline-)?(?:block|flex|grid|table|list-item|flow-root)|float\s*:\s*(?:left|right)"
    r"|position\s*:\s*(?:absolute|fixed))",
    re.IGNORECASE,
)
_DECLARED = re.compile(
    rb"""<(?:meta|\?xml)\b[^>]*?\b(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE
)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
DECLARED_WITHIN_BYTES = 4096
_SPACES = re.compile(r"[ \t\n\r\f]+")
BREAKS_AND_SPACES = _PARAGRAPH, _LINE, _SPACE = ("\x1d", "\x1e", "\x1f")  # boundaries; no text holds these
_BOUNDARIES = re.compile(r"[ \t\n\x1f]*[\x1d\x1e][ \t\n\x1d-\x1f]*")
_NO_BOUNDARIES = str.maketrans(dict.fromkeys((_PARAGRAPH, _LINE, _SPACE), " "))


def read_html(data: bytes) -> FileText:
    """The page's title, or its first heading, and its text; cells stand apart, blocks on lines of their own.

    What a browser does not show is left out, as are menus (`nav`). Raises ValueError that says why it is no page."""
    source = _decode(data)
    _check_depth(source)
    tree = LexborHTMLParser(source)
    heading = tree.css_first("head > title") or tree.css_first("h1")
    title = _SPACES.sub(" ", heading.text(deep=True)).strip() if heading else ""
    return FileText(title, _laid_out("".join(_pieces(tree.body)) if tree.body else ""))


def _check_depth(source: str) -> None:
    """Raise ValueError for a page whose blocks nest so deep that the parser, quadratic in depth, would take minutes."""
    depth = 0
    for found in _BLOCK_TAG.finditer(source):
        depth += -1 if found[1] else 1
        if depth > MAX_DEPTH:
            raise ValueError(f"its elements nest deeper than {MAX_DEPTH:,} levels")


def _pieces(root: LexborNode) -> Iterator[str]:
    """Text and boundaries in reading order; without recursion, for pages nest deep."""
    stack: list[tuple[LexborNode | None, str, bool]] = [(root, "", False)]
    while stack:
        node, closing, verbatim = stack.pop()
        if node is None:
            yield closing
            continue
        if node.next is not None and node is not root:
            stack.append((node.next, "", verbatim))
        tag = node.tag or ""
        if tag == "-text":
            text = (node.text_content or "").translate(_NO_BOUNDARIES)
            yield text if verbatim else _SPACES.sub(" ", text)
        elif not tag.startswith(("-", "!")) and tag not in UNSEEN and _is_shown(node):
            boundary = _boundary(node, tag)
            yield boundary
            stack.append((None, boundary, False))
            if node.first_child is not None:
                stack.append((node.first_child, "", verbatim or tag in KEEPS_SPACES))
        elif tag in ("iframe", "object", "embed", "audio", "video", "canvas"):
            yield _SPACE


def _is_shown(node: LexborNode) -> bool:
    attributes = node.attributes
    if not attributes:
        return True
    return "hidden" not in attributes and not _NOT_SHOWN.search(attributes.get("style") or "")


def _boundary(node: LexborNode, tag: str) -> str:
    """What stands before and behind an element, by its name, its role and its style."""
    if tag in PARAGRAPHS:
        return _PARAGRAPH
    if tag in LINES:
        return _LINE
    if tag in SPACED:
        return _SPACE
    if tag == "sup":  # the number of a footnote is no part of the word before it
        return _SPACE if node.css_first("a") else ""
    attributes = node.attributes
    if not attributes:
        return ""
    return _SPACE if attributes.get("role") in SPACED_ROLES or _SET_APART.search(attributes.get("style") or "") else ""


def _laid_out(text: str) -> str:
    """The text with its boundaries as line ends and spaces; those that meet are one, and the stronger counts."""
    text = _BOUNDARIES.sub(lambda found: "\n\n" if _PARAGRAPH in found[0] else "\n", text)
    lines = (re.sub(r"[ \t\x1f]+", " ", line).strip(" ") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _decode(data: bytes) -> str:
    """By byte-order mark, declaration, or as browsers do where there is none: UTF-8, else Windows-1252."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    declared = _DECLARED.search(_COMMENT.sub(b"", data[:DECLARED_WITHIN_BYTES]))
    if declared is None:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("cp1252", "replace")
    name = declared[1].decode("ascii").lower()
    try:
        found = codecs.lookup(name).name
        if found.startswith("utf-16"):
            found = "utf-8"  # a declaration that can be read as ASCII is not true, says the standard
        return data.decode(
            "cp1252" if found in ("iso8859-1", "ascii") else found, "strict" if found == "utf-8" else "replace"
        )
    except UnicodeDecodeError as error:
        raise ValueError(
            f"it says that it is {name}, which it is not (byte {error.start}); correct or convert it"
        ) from None
    except (LookupError, UnicodeError) as error:
        raise ValueError(f"it says that its encoding is {name!r}, which is not known; convert it to UTF-8") from error
