"""Which fields of its document a hit shows, said as the engines' `_source` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from connector.errors import QueryError

SPELLINGS = 'True, False, a field, a list of fields, or {"includes": [...], "excludes": [...]}; `*` stands for any text'
NOTHING = object()  # what is left of a value of which nothing is shown


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """Patterns of dotted paths. A pattern takes an object with all that is in it; what is excluded stays out."""

    includes: tuple[str, ...] = ()  # none: all
    excludes: tuple[str, ...] = ()

    def apply(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What is left of a document's fields."""
        left = ((name, self._shown(value, name)) for name, value in fields.items())
        return {name: value for name, value in left if value is not NOTHING}

    def may_show(self, name: str) -> bool:
        """Whether something of a field of the document may be shown."""
        if _covers(self.excludes, name):
            return False
        return not self.includes or _covers(self.includes, name) or any(
            _starts(pattern, f"{name}.") for pattern in self.includes
        )  # fmt: skip

    def _shown(self, value: Any, path: str, *, included: bool = False) -> Any:
        if _covers(self.excludes, path):
            return NOTHING
        included = included or not self.includes or _covers(self.includes, path)
        if isinstance(value, Mapping) and value:
            inner = {key: self._shown(member, f"{path}.{key}", included=included) for key, member in value.items()}
            kept = {key: member for key, member in inner.items() if member is not NOTHING}
            return kept if kept or included else NOTHING
        if isinstance(value, list) and any(isinstance(element, Mapping) for element in value):
            objects = [self._shown(element, path, included=included) for element in value]
            found = [element for element in objects if element is not NOTHING]
            return found if found or included else NOTHING
        return value if included else NOTHING


def read_source_filter(value: Any) -> SourceFilter | None:
    """The filter that a request names; None where all is shown. Raises QueryError."""
    if value is None or value is True:
        return None
    if value is False:
        return SourceFilter(excludes=("*",))
    if isinstance(value, Mapping):
        unknown = sorted(set(value) - {"includes", "excludes", "include", "exclude"})
        if unknown:
            raise QueryError(f"source has no key {unknown[0]!r}; write {SPELLINGS}")
        return SourceFilter(
            _patterns(value.get("includes", value.get("include"))),
            _patterns(value.get("excludes", value.get("exclude"))),
        )
    return SourceFilter(_patterns(value)) if value else SourceFilter(excludes=("*",))


def _patterns(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise QueryError(f"source names fields; write {SPELLINGS}")
    return tuple(names)


def _covers(patterns: tuple[str, ...], path: str) -> bool:
    """Whether a pattern is the path's own name, or that of an object that it is in."""
    parts = path.split(".")
    paths = [".".join(parts[: at + 1]) for at in range(len(parts))]
    return any(fnmatchcase(prefix, pattern) for pattern in patterns for prefix in paths)


def _starts(pattern: str, prefix: str) -> bool:
    """Whether a path that starts with the prefix may fit the pattern."""
    literal = pattern.split("*", 1)[0]
    return literal.startswith(prefix) or ("*" in pattern and prefix.startswith(literal))
