"""The paths of requests: of exactly one index, or of all that a name stands for."""

from __future__ import annotations

from urllib.parse import quote

from connector.errors import SettingsError

SEVERAL = frozenset("*,")


def index_path(index: str, action: str = "") -> str:
    """The path of exactly one index; raises SettingsError for a name that would stand for none or several."""
    check_name(index)
    return _path(index, action)


def search_path(index: str, action: str) -> str:
    """The path of whatever is searched under a name: an index, an alias, a data stream, a pattern, or a list of them.

    Raises SettingsError for a name that would stand for everything, or that an engine would work out from the date."""
    if set(index) & set("<>") or index == "_all" or not all(part.strip("*") for part in index.split(",")):
        raise SettingsError(
            f"{index!r} cannot be searched: name an index, an alias, a data stream, a pattern such as logs-*, or "
            "several of them with commas"
        )
    return _path(index, action)


def check_name(index: str) -> None:
    """Refuse what cannot be the name of one index. Raises SettingsError."""
    if not index or index == "_all" or set(index) & (SEVERAL | set("<>")):
        raise SettingsError(
            f"{index!r} cannot be the name of one index; patterns and lists are searched, and never written to or "
            "dropped"
        )


def _path(index: str, action: str) -> str:
    return f"/{quote(index, safe='')}" + (f"/{action}" if action else "")
