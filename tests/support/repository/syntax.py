"""The code's files and their syntax trees, for tests that look at all of it."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from support.repository.pages import ROOT

CODE = sorted((ROOT / "connector").rglob("*.py"))
PROGRAMS = sorted(file for folder in ("bench", "docs", "examples") for file in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def nodes(file: Path) -> tuple[ast.AST, ...]:
    """Every node of a file's tree, the module first. The trees of tests are read each time: few look at them, and they
    are many."""
    return _parse(file) if file.is_relative_to(ROOT / "tests") else _parse_once(file)


def _parse(file: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


_parse_once = functools.cache(_parse)  # in a process
