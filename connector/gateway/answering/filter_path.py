"""`filter_path`, applied to a reply of ours by the engines' rules.

A path is names with dots; `*` stands for letters of a name, `**` for any number of names, and a `-` before it takes
away. What is taken in brings all that is in it; what is taken away is taken from what is left; a path runs through
lists. An object or a list of which nothing is left is left out whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from connector.gateway.reading.raw_json import RAW_LIST, Raw, members

Path = tuple[str, ...]
NOTHING = object()


@dataclass(frozen=True, slots=True)
class PathFilter:
    """What `filter_path` says."""

    includes: tuple[Path, ...]
    excludes: tuple[Path, ...]
    keeps_empty: bool = True  # a list that was empty before stays, though something in it would be taken away

    @property
    def shows_all(self) -> bool:
        return not self.includes and not self.excludes

    def shows(self, *names: str) -> bool:
        """Whether something at that path, or in it, may be left."""
        left_in = not self.includes or any(True for path in self.includes if _reaches(path, names))
        return left_in and not any(_covers(path, names) for path in self.excludes)

    def apply(self, value: Any) -> Any:
        """What is left of a reply; an empty object where nothing is."""
        found = value
        if self.includes:
            found = _taken(found, self.includes)
        if self.excludes:
            found = _without(found, self.excludes, keeps_empty=self.keeps_empty)
        return {} if found is NOTHING else found


def read_filter(text: str, *, keeps_empty: bool = True) -> PathFilter:
    """The filter of the parameter's value; names with an escaped dot keep it. OpenSearch does not keep empty lists of
    which something in them would be taken away."""
    includes: list[Path] = []
    excludes: list[Path] = []
    for pattern in filter(None, (part.strip() for part in text.split(","))):
        path = tuple(pattern.removeprefix("-").replace("\\.", "\0").split("."))
        (excludes if pattern.startswith("-") else includes).append(tuple(name.replace("\0", ".") for name in path))
    return PathFilter(tuple(includes), tuple(excludes), keeps_empty)


def _steps(paths: Sequence[Path], name: str) -> list[Path]:
    """What is left of the paths below a member of that name; an empty path takes all of it."""
    found: list[Path] = []
    for path in paths:
        if not path:
            continue
        if path[0] == "**":
            found.append(path)
            found += _steps([path[1:]], name) if len(path) > 1 else [()]
        elif fnmatchcase(name, _pattern(path[0])):
            found.append(path[1:])
    return found


def _pattern(name: str) -> str:
    return name.replace("[", "[[]").replace("?", "[?]")


def _taken(value: Any, paths: Sequence[Path]) -> Any:
    opened = _open(value)
    if isinstance(opened, Mapping):
        kept = {}
        for name, member in opened.items():
            below = _steps(paths, name)
            found = member if () in below else _taken(member, below) if below else NOTHING
            if found is not NOTHING:
                kept[name] = found
        return kept or NOTHING
    if isinstance(opened, list):
        listed = [found for element in opened if (found := _taken(element, paths)) is not NOTHING]
        return listed or NOTHING
    return NOTHING


def _without(value: Any, paths: Sequence[Path], *, keeps_empty: bool) -> Any:
    """What is left of a value; nothing of one that is emptied."""
    if not paths:
        return value
    opened = _open(value)
    if not isinstance(opened, Mapping | list):
        return value
    if not opened:
        return value if keeps_empty else NOTHING
    if isinstance(opened, Mapping):
        kept = {}
        for name, member in opened.items():
            below = _steps(paths, name)
            found = NOTHING if () in below else _without(member, below, keeps_empty=keeps_empty)
            if found is not NOTHING:
                kept[name] = found
        return kept or NOTHING
    listed = [_without(element, paths, keeps_empty=keeps_empty) for element in opened]
    return [element for element in listed if element is not NOTHING] or NOTHING


def _open(value: Any) -> Any:
    """A raw object or list, with its parts still raw; any other value as it is."""
    if not isinstance(value, Raw):
        return value
    first = bytes(value).lstrip()[:1]
    try:
        return members(value) if first == b"{" else RAW_LIST.decode(value) if first == b"[" else value
    except msgspec.DecodeError:
        return value


def _reaches(path: Path, names: Sequence[str]) -> bool:
    return bool(_walk(path, names))


def _covers(path: Path, names: Sequence[str]) -> bool:
    return () in _walk(path, names)


def _walk(path: Path, names: Sequence[str]) -> Sequence[Path]:
    """What is left of the path behind these names; with an empty one once the path has ended at one of them."""
    paths: Sequence[Path] = [path]
    for name in names:
        paths = _steps(paths, name)
        if () in paths:
            break
    return paths
