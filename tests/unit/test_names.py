"""What things are called: a type has one name, and what has a name is called by its noun. Tests and templates count
too."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from jinja2 import Environment
from jinja2 import nodes as template_nodes
from support.repository.pages import ROOT
from support.repository.syntax import CODE, PROGRAMS, TESTS, name_of, nodes

TEMPLATES = sorted((ROOT / "connector").rglob("*.jinja"))
# words that say nothing of what a variable holds, and nouns that this field does not use
NO_NOUNS = frozenset({
    "fate", "fates", "seal", "shortfall", "shower", "teller", "news", "told", "caution", "talk",
    "said", "each", "got", "what", "here", "there",
})  # fmt: skip
# which may be what something is said to be, or what it does
NO_NOUNS_ALONE = NO_NOUNS | {"one", "shown", "offer", "offers"}


def test_a_type_has_one_name_and_a_name_one_type() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for file in CODE:
        for name in types_of(nodes(file)):
            homes[name].append(name_of(file))

    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def types_of(module: Sequence[ast.AST]) -> Iterator[str]:
    """The classes of a file, wherever they stand, and its public aliases of types: `Blend = Literal[...]`. A class
    counts without the underscore of a private one: `_Job` here and `Job` there would be taken for each other."""
    yield from (node.name.lstrip("_") for node in module if isinstance(node, ast.ClassDef))
    for node in module:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        yield from (
            target.id
            for target in targets
            if isinstance(target, ast.Name) and re.fullmatch(r"[A-Z]+[a-z]\w*", target.id)
        )


def test_aliases_of_types_are_found_in_every_form() -> None:
    module = ast.parse(
        "import typing\nA = 1\nRows = list[int]\nHTMLText: typing.TypeAlias = str\nFirst = Second = dict\n"
        "if typing.TYPE_CHECKING:\n    Late = int\nclass Kept:\n    class _Own: ...\nLIMIT = 3\n"
    )

    assert sorted(types_of(list(ast.walk(module)))) == ["First", "HTMLText", "Kept", "Late", "Own", "Rows", "Second"]


def test_what_has_a_name_is_called_by_its_noun() -> None:
    names = [(file, *name) for file in CODE + PROGRAMS + TESTS for name in python_names(nodes(file))]
    in_templates = [(file, *name) for file in TEMPLATES for name in template_names(file.read_text(encoding="utf-8"))]

    assert in_templates
    assert [f"{name_of(file)}: {name}" for file, name, alone in names + in_templates if is_no_noun(name, alone)] == []


def is_no_noun(name: str, is_alone: bool) -> bool:
    return name.lower().strip("_") in NO_NOUNS or (is_alone and name in NO_NOUNS_ALONE)


def python_names(module: Iterable[ast.AST]) -> Iterator[tuple[str, bool]]:
    """The names of a file, and whether they stand alone, as those of variables and parameters do."""
    for node in module:
        match node:
            case ast.Name(id=name) | ast.arg(arg=name):
                yield name, True
            case (
                ast.Attribute(attr=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name, False


def template_names(text: str) -> Iterator[tuple[str, bool]]:
    """The same of a template: what it is given, what `for`, `set` and `import` name, macros and their parameters."""
    kinds = (template_nodes.Name, template_nodes.Import, template_nodes.Macro, template_nodes.Getattr)
    for node in Environment(autoescape=True).parse(text).find_all(kinds):
        match node:
            case template_nodes.Name(name=name) | template_nodes.Import(target=name):
                yield name, True
            case template_nodes.Macro(name=name) | template_nodes.Getattr(attr=name):
                yield name, False


def test_names_of_templates_are_found_in_every_form() -> None:
    template = (
        "{% import 'parts' as parts %}{% macro row(value, form) %}{{ value|format }}{% endmacro %}{% set total = 1 %}"
        "{% for key, number in figures.numbers.items() %}{{ row(key, form='each') }}{{ number }}{% endfor %}"
    )
    names = set(template_names(template))

    assert {name for name, is_alone in names if is_alone} == {
        "parts", "value", "form", "key", "number", "figures", "total", "row",
    }  # fmt: skip
    assert {name for name, is_alone in names if not is_alone} == {"row", "numbers", "items"}
