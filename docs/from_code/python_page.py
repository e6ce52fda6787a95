"""The page of the Python API: every public name of the package, read from its docstrings."""

from __future__ import annotations

from inspect import isclass
from types import ModuleType

import connector
from connector import errors, types

HEADER = """\
# Python

This page is made from the code. `from connector import NAME` gives everything under the first heading.
The sections of `Settings` are listed under [Settings](settings.md).

"""
MEMBERS = {"Settings": "    options: {members: []}\n"}


def build_python_page() -> str:
    """The public names in their own order, then the types that they bring along, then the errors."""
    public = {name: _home(name) for name in connector.__all__ if not name.startswith("_")}
    groups = {
        "The package": public,
        "What an answer holds": {name: types.__name__ for name in _classes(types) if name not in public},
        "Errors": {name: errors.__name__ for name in _classes(errors) if name not in public},
    }
    return HEADER + "\n".join(f"## {title}\n\n{_entries(names)}" for title, names in groups.items() if names)


def _entries(names: dict[str, str]) -> str:
    return "".join(f"::: {home}.{name}\n{MEMBERS.get(name, '')}\n" for name, home in names.items())


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
