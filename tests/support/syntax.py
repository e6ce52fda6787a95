"""The code's syntax trees, for tests that look at all of it: each file is parsed once in a process."""

from __future__ import annotations

import ast
import functools
from pathlib import Path


@functools.cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """Every node of a file's tree, the module first."""
    return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
