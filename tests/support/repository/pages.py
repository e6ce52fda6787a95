"""The pages that people read, and what stands in them: prose, commands, code, settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]))
SEPARATORS = ("|", "||", "&&", "&", ";", ";;")
REDIRECTIONS = ("<", ">", ">>", "<<", ">&", "<<<")
ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page; `kind` is prose, table, code (indented or fenced) or the language of a fence."""

    page: Path
    number: int
    text: str
    kind: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.number}"


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of one kind that follow each other."""

    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line.text}\n" for line in self.lines)

    def __str__(self) -> str:
        return str(self.lines[0])


def lines_of(page: Path) -> Iterator[Line]:
    """Every line but the fences. Indented lines are code unless they go on with a paragraph or an item of a list."""
    fence, going_on = "", False
    for number, text in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if text.lstrip().startswith("```"):
            fence = "" if fence else text.strip().removeprefix("```") or "code"
            continue
        if fence:
            kind = fence
        elif text.startswith("    ") and not going_on:
            kind = "code"
        else:
            kind = "table" if text.lstrip().startswith("|") else "prose"
            going_on = bool(text.strip()) and kind == "prose"
        yield Line(page, number, text, kind)


def blocks(kind: str) -> list[Block]:
    """All blocks of a kind, of all pages."""
    found: list[list[Line]] = []
    for page in PAGES:
        last = None
        for line in lines_of(page):
            if line.kind == kind:
                if last is None or last.kind != kind or line.number != last.number + 1:
                    found.append([])
                found[-1].append(line)
            last = line
    return [Block(tuple(lines)) for lines in found]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Where it stands, and its words: every simple command of the blocks that show a shell, and of CI's `- run:`."""
    for block in (*blocks("code"), *blocks("bash"), *blocks("console"), *blocks("sh")):
        for place, text in _whole_lines(block):
            yield from ((place, words) for words in split_commands(text))
    for block in blocks("yaml"):
        for line in block.lines:
            if match := re.match(r"\s*- run: (.*)", line.text):
                yield from ((str(line), words) for words in split_commands(match[1]))


def inline_code(*, tables: bool = True) -> Iterator[tuple[Line, str]]:
    """What stands between backticks in prose and tables. A paragraph's lines are one text, since code may go over their
    ends."""
    for block in (*blocks("prose"), *(blocks("table") if tables else ())):
        for match in re.finditer(r"`([^`]+)`", block.text):
            line = block.lines[block.text[: match.start()].count("\n")]
            yield line, " ".join(match[1].split())


def split_commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a shell line, without assignments; nothing for what is no shell."""
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return
    command: list[str] = []
    is_file = False
    for word in [*words, ";"]:
        if is_file:
            is_file = False
        elif word in SEPARATORS:
            if command:
                yield command
            command = []
        elif word in REDIRECTIONS:
            is_file = True
        elif command or not ASSIGNMENT.fullmatch(word):
            command.append(word)


def _whole_lines(block: Block) -> Iterator[tuple[str, str]]:
    """The lines of a block, those that end in a backslash joined with the next."""
    text, place = "", ""
    for line in block.lines:
        place = place if text else str(line)
        text += line.text.strip().removeprefix("$ ")
        if text.endswith("\\"):
            text = text[:-1]
            continue
        yield place, text
        text = ""
