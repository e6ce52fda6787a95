"""Every text file of the repository is as .editorconfig says: width, indents, ends of lines."""

from __future__ import annotations

import re
import subprocess
from configparser import ConfigParser
from fnmatch import fnmatch

import pytest
from support.repository.pages import ROOT

EDITORCONFIG = ConfigParser()
EDITORCONFIG.read_string("[about]\n" + (ROOT / ".editorconfig").read_text())
LISTED = subprocess.run(
    ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
)
FILES = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in LISTED.stdout.split("\0") if (ROOT / name).is_file()
}
# files with wider lines, and why nobody wraps them
WIDER = {
    "*.jsonl": "a record is a line",
    "*.csv": "a record is a line",
    "*.svg": "a drawing's path is one value",
    "connector/models/sample.json": "a text of the example corpus is one value",
}
LINK = re.compile(r"\]\([^)]*\)")
PRINTED = re.compile("[│┃━]")  # the borders of a table that a command printed
FREE = ("*.py", "*.md", "LICENSE")  # indented by ruff, by what a list or a paragraph needs, and by lawyers


def settings_of(name: str) -> dict[str, str]:
    """What the sections that fit a file's name say of it; the last word counts."""
    found: dict[str, str] = {}
    for section in EDITORCONFIG.sections()[1:]:
        before, _, rest = section.partition("{")
        choices, _, after = rest.partition("}")
        if any(fnmatch(name.rpartition("/")[2], before + choice + after) for choice in choices.split(",")):
            found |= EDITORCONFIG[section]
    return found


def wide_lines(name: str) -> list[int]:
    """The numbers of the lines that could be wrapped and are not: a row of Markdown's tables, a link's address and a
    single word cannot be."""
    most, found = int(settings_of(name)["max_line_length"]), []
    for number, line in enumerate(FILES[name].split("\n"), 1):
        if name.endswith(".md"):
            line = "" if line.lstrip().startswith("|") or PRINTED.search(line) else LINK.sub("]", line)
        if len(line) > most and " " in line.strip():
            found.append(number)
    return found


def test_no_line_is_wider_than_is_said() -> None:
    wide = {name: numbers for name in FILES if (numbers := wide_lines(name))}

    assert len(FILES) > 1000
    assert {name: at for name, at in wide.items() if not any(fnmatch(name, pattern) for pattern in WIDER)} == {}
    assert [pattern for pattern in WIDER if not any(fnmatch(name, pattern) for name in wide)] == []


def test_lines_are_indented_as_is_said() -> None:
    wrong = {}
    for name, text in FILES.items():
        settings, starts = settings_of(name), set(re.findall(r"^[ \t]+(?=[^\s*])", text, re.MULTILINE))
        other, unit = (" ", "\t") if settings["indent_style"] == "tab" else ("\t", " " * int(settings["indent_size"]))
        if any(start.startswith(other) for start in starts):
            wrong[name] = f"indented by {other!r}"
        elif starts and min(starts, key=len) != unit and not any(fnmatch(name, pattern) for pattern in (*FREE, *WIDER)):
            wrong[name] = f"indented by {min(starts, key=len)!r}"

    assert wrong == {}


@pytest.mark.parametrize(
    ("setting", "pattern"),
    [("trim_trailing_whitespace", r"[ \t]$"), ("insert_final_newline", r"[^\n]\Z"), ("end_of_line", r"\r")],
)
def test_lines_end_as_is_said(setting: str, pattern: str) -> None:
    assert settings_of("README.md")[setting] in ("true", "lf")
    assert [name for name, text in FILES.items() if re.search(pattern, text, re.MULTILINE)] == []
