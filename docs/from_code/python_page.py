"""The page of the Python API: every public name of the package, read from its docstrings."""

from __future__ import annotations

from importlib import import_module
from inspect import isclass
from types import ModuleType

import connector
from connector import errors, types

HEADER = """\
# Python

This page is made from the code. `from connector import NAME` gives everything under the first heading.

"""


def build_python_page() -> str:
    """The public names in their own order, then the types that they bring along, then the errors."""
    public = [(import_module("connector"), name) for name in connector.__all__]
    shown = {name for _, name in public}
    parts = [("The package", [f"{_home(name)}.{name}" for _, name in public])]
    parts.append(("What an answer holds", [f"connector.types.{name}" for name in _classes(types) if name not in shown]))
    parts.append(("Errors", [f"connector.errors.{name}" for name in _classes(errors) if name not in shown]))
    return HEADER + "\n".join(
        f"## {title}\n\n" + "".join(f"::: {name}\n\n" for name in names) for title, names in parts
    )


def _home(name: str) -> str:
    """The module that defines a public name."""
    home: str = getattr(getattr(connector, name), "__module__", "connector")
    return home


def _classes(module: ModuleType) -> list[str]:
    return [
        name
        for name, thing in vars(module).items()
        if isclass(thing) and thing.__module__ == module.__name__ and not name.startswith("_")
    ]
