"""A handler that takes any exception, or one of a class that slips raise too, hides faults of our own: it keeps the
traceback, in the log or in the error that it raises. One that takes any says why it must.

A handler of groups (`except*`) raises nothing: Python before 3.11.4, as that of Debian 12, raises it as a group of one,
which nobody takes (CPython's issue 103590)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest
from support.repository.pages import ROOT
from support.repository.syntax import nodes

ANY = frozenset({"Exception", "BaseException"})
# what a slip in our code raises; RecursionError is not among them: it is what json raises of a text that is nested too
# deep
OF_SLIPS = frozenset(
    {
        "ArithmeticError", "AssertionError", "AttributeError", "IndexError", "KeyError", "LookupError", "NameError",
        "NotImplementedError", "RuntimeError", "TypeError", "UnboundLocalError", "ZeroDivisionError",
    }
)  # fmt: skip
HIDING = ANY | OF_SLIPS
# file and function -> why its handler may keep no traceback
EXEMPT = {
    ("connector/ingest/following/postgres_updates.py", "_not_before"): "around one comparison of a database's values",
    (
        "connector/ingest/sources/text.py",
        "_split_front_matter",
    ): "the YAML reader's own slips; they quote the text",
    ("connector/settings/given.py", "read_secret"): "its words may quote a secret",
    ("connector/settings/given.py", "_read_yaml"): "its words may quote a secret",
    ("connector/tuning/rewrite.py", "_known"): "around one look-up, where nothing is an answer",
    ("connector/worker/batcher.py", "finish"): "asyncio's own, of an event loop that has ended",
}
Tuples = Mapping[str, ast.Tuple]  # constant -> the classes in it


def problems(text: str, module: Iterable[ast.AST], tuples: Tuples) -> list[tuple[str, str]]:
    """What is wrong with the handlers of a module: the function that each stands in, and a line."""
    lines = text.splitlines()
    found: list[tuple[str, str]] = []
    module = list(module)
    for node in module:
        if isinstance(node, ast.ExceptHandler):
            kinds = set(_kinds(node.type, tuples))
            if kinds & ANY and "  # " not in lines[node.lineno - 1]:
                found.append((_function(module, node), f"{node.lineno}: no comment says why it takes any exception"))
            if kinds & HIDING and not _keeps_it(node):
                lost = "the traceback is neither raised again, nor logged, nor handed on"
                found.append((_function(module, node), f"{node.lineno}: {lost}"))
        if isinstance(node, ast.Call) and _name(node.func) == "suppress":
            taken = {kind for argument in node.args for kind in _kinds(argument, tuples)}
            if taken & HIDING:
                found.append((_function(module, node), f"{node.lineno}: suppresses what a slip raises"))
    return found


def _kinds(kind: ast.expr | None, tuples: Tuples) -> Iterator[str]:
    """The names of the classes that are taken; a bare `except` takes any."""
    if kind is None:
        yield "BaseException"
    elif isinstance(kind, ast.Tuple):
        for part in kind.elts:
            yield from _kinds(part, tuples)
    elif isinstance(kind, ast.Starred):
        yield from _kinds(kind.value, tuples)
    elif _name(kind) in tuples:
        yield from _kinds(tuples[_name(kind)], tuples)
    else:
        yield _name(kind)


def _keeps_it(handler: ast.ExceptHandler) -> bool:
    """Whether the traceback is logged or handed on, or the handler does nothing but raise."""
    inner = [part for statement in handler.body for part in ast.walk(statement)]
    for node in inner:
        if isinstance(node, ast.Call) and _name(node.func) in ("exception", "set_exception"):
            return True
        if isinstance(node, ast.keyword) and node.arg == "exc_info":
            return True
    raises = [node for node in inner if isinstance(node, ast.Raise)]
    leaves = any(isinstance(node, ast.Return | ast.Continue | ast.Break) for node in inner)
    return isinstance(handler.body[-1], ast.Raise) and not leaves and all(map(_has_cause, raises))


def _has_cause(raised: ast.Raise) -> bool:
    is_none = isinstance(raised.cause, ast.Constant) and raised.cause.value is None
    return raised.exc is None or (raised.cause is not None and not is_none)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _function(module: Sequence[ast.AST], place: ast.ExceptHandler | ast.Call) -> str:
    """The innermost function around a place; empty outside of all."""
    around = [
        node
        for node in module
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= place.lineno <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno).name if around else ""


def _tuples(module: Iterable[ast.AST]) -> Iterator[tuple[str, ast.Tuple]]:
    """The constants that are tuples, as of classes: `READ_ERRORS = (OSError, EOFError)`."""
    for node in module:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


FILES = sorted((ROOT / "connector").rglob("*.py"))


def test_each_handler_that_takes_slips_keeps_the_traceback() -> None:
    tuples = {name: kinds for file in FILES for name, kinds in _tuples(nodes(file))}
    found = [
        ((str(file.relative_to(ROOT)), function), problem)
        for file in FILES
        for function, problem in problems(file.read_text(encoding="utf-8"), nodes(file), tuples)
    ]

    assert [f"{file}:{problem}" for (file, function), problem in found if (file, function) not in EXEMPT] == []
    assert set(EXEMPT) - {place for place, _ in found} == set()


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
        ("except KeyError:\n    return None", 1),
        ("except (ValueError, TypeError) as error:\n    return Failed(str(error))", 1),
        ("except (ValueError, TypeError) as error:\n    raise ModelError(str(error)) from None", 1),
        ("except (ValueError, TypeError) as error:\n    raise ModelError(str(error)) from error", 0),
        ("except RuntimeError as error:\n    if gone():\n        return\n    raise Gone from error", 1),
        ("except RuntimeError as error:\n    if gone():\n        raise Gone from None\n    raise", 1),
        ("except RuntimeError:\n    if gone():\n        raise\n    note()", 1),
        ("except RuntimeError:\n    log.debug('it failed', exc_info=True)\n    return False", 0),
        ("except FAULTS:\n    pass", 1),
        ("except (ValueError, *FAULTS):\n    pass", 1),
        ("except builtins.AttributeError:\n    pass", 1),
        ("except RecursionError:\n    pass", 0),
    ],
)
def test_a_handler_that_hides_faults_is_found(handler: str, count: int) -> None:
    module = f"FAULTS = (OSError, RuntimeError)\ndef work():\n    try:\n        work()\n{_indented(handler)}\n"

    assert len(found_in(module)) == count


@pytest.mark.parametrize(("kind", "count"), [("Exception", 1), ("KeyError", 1), ("*FAULTS", 1), ("OSError", 0)])
def test_a_suppression_of_faults_is_found(kind: str, count: int) -> None:
    module = f"FAULTS = (OSError, LookupError)\nwith contextlib.suppress({kind}):\n    work()\n"

    assert len(found_in(module)) == count


def test_no_handler_of_groups_raises() -> None:
    groups = [(file, node) for file in FILES for node in nodes(file) if isinstance(node, ast.TryStar)]
    found = [
        f"{file.relative_to(ROOT)}:{part.lineno}"
        for file, group in groups
        for handler in group.handlers
        for part in ast.walk(handler)
        if isinstance(part, ast.Raise)
    ]

    assert groups
    assert found == []


def test_a_handler_is_known_by_the_function_around_it() -> None:
    module = (
        "def outer():\n    def inner():\n        try:\n            f()\n        except KeyError:\n            pass\n"
    )

    assert [function for function, _ in found_in(module)] == ["inner"]


def found_in(text: str) -> list[tuple[str, str]]:
    module = list(ast.walk(ast.parse(text)))
    return problems(text, module, dict(_tuples(module)))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
