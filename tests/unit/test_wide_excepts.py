"""A handler that takes any exception hides faults of our own: each says why it must, and keeps what it took."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import pytest
from support.pages import ROOT
from support.syntax import nodes

WIDE = {"Exception", "BaseException"}


def problems(text: str, module: Iterable[ast.AST]) -> list[str]:
    """What is wrong with the wide handlers of a module, a line each."""
    lines = text.splitlines()
    found = []
    for node in module:
        if isinstance(node, ast.ExceptHandler) and _is_wide(node.type):
            if "  # " not in lines[node.lineno - 1]:
                found.append(f"{node.lineno}: no comment says why it takes any exception")
            if not _keeps_it(node):
                found.append(f"{node.lineno}: the exception is neither raised again, nor logged, nor handed on")
        if isinstance(node, ast.Call) and _name(node.func) == "suppress" and any(map(_is_wide, node.args)):
            found.append(f"{node.lineno}: suppresses any exception")
    return found


def _is_wide(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(map(_is_wide, kind.elts))
    return kind is None or _name(kind) in WIDE


def _keeps_it(handler: ast.ExceptHandler) -> bool:
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call) and _name(node.func) in ("exception", "set_exception"):
            return True
        if isinstance(node, ast.keyword) and node.arg == "exc_info":
            return True
    return False


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


FILES = sorted((ROOT / "connector").rglob("*.py"))


def test_each_wide_handler_says_why_and_keeps_what_it_took() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{problem}" for file in FILES for problem in problems(file.read_text(), nodes(file))
    ]

    assert found == []


@pytest.mark.parametrize(
    ("handler", "count"),
    [
        ("except Exception:\n    pass", 2),
        ("except:\n    pass", 2),
        ("except (ValueError, Exception):  # any\n    pass", 1),
        ("except Exception:  # theirs have no class in common\n    raise", 0),
        ("except Exception as error:\n    raise ValueError from error", 1),
        ("except Exception:  # any\n    log.exception('it failed')", 0),
        ("except Exception:  # any\n    log.warning('it failed')", 1),
        ("except ValueError:\n    pass", 0),
    ],
)
def test_a_handler_that_hides_faults_is_found(handler: str, count: int) -> None:
    assert count_problems(f"try:\n    work()\n{handler}\n") == count


def test_a_suppression_of_everything_is_found() -> None:
    assert count_problems("with contextlib.suppress(Exception):\n    work()\n") == 1


def count_problems(text: str) -> int:
    return len(problems(text, ast.walk(ast.parse(text))))
