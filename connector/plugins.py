"""Plug-ins: sources, encoders, rerankers and clusters that other packages bring, found by their entry points.

Nothing of a plug-in is imported before it is asked for by its name, and no metadata is read before that."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from connector.errors import ConnectorError, PluginError, SettingsError

PluginKind = Literal["source", "encoder", "reranker", "cluster"]
KINDS: tuple[PluginKind, ...] = get_args(PluginKind)
GROUP = "hybrid_search_connector.{}s"
PAGE = "docs/how-to/write-a-plug-in.md"
log = logging.getLogger(__name__)
SCHEME = re.compile(r"([a-z][a-z0-9_]+):")  # two letters at least: C: is a drive


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plug-in that is installed: what it is called, and the package that brings it. `target` is MODULE:NAME."""

    kind: PluginKind
    name: str
    package: str
    version: str
    target: str

    def __str__(self) -> str:
        return f"the {self.kind} plug-in {self.name!r} of {self.package} {self.version}"

    @contextmanager
    def blamed(self, error: type[ConnectorError] = PluginError) -> Iterator[None]:
        """Around what the plug-in does: whatever it raises that is none of our errors becomes one, with its reason."""
        try:
            yield
        except ConnectorError:
            raise
        except Exception as reason:  # another's code may raise anything
            log.debug("%s failed", self, exc_info=True)
            raise error(f"{self} failed: {describe_reason(reason)}") from reason

    def load(self) -> Callable[..., Any]:
        """What its entry point names. Raises PluginError, with the reason why it cannot be imported."""
        from importlib.metadata import EntryPoint

        try:
            loaded = EntryPoint(self.name, self.target, GROUP.format(self.kind)).load()
        except Exception as reason:  # a module may do anything while it is imported
            log.debug("%s cannot be loaded", self, exc_info=True)
            raise PluginError(
                f"{self} cannot be loaded: {describe_reason(reason)}; mend that, or leave it out: "
                f"pip uninstall {self.package}"
            ) from reason
        if not callable(loaded):
            raise PluginError(f"{self} is {type(loaded).__name__}, which cannot be called; see {PAGE}")
        opener: Callable[..., Any] = loaded
        return opener

    def check(self, made: Any, *members: str) -> None:
        """Raise PluginError where what the plug-in made lacks one of the members that its kind needs."""
        if missing := [name for name in members if not hasattr(made, name)]:
            raise PluginError(
                f"{self} gave a {type(made).__name__} without {', '.join(missing)}; {PAGE} says what is needed"
            )


def list_plugins(*kinds: PluginKind) -> tuple[Plugin, ...]:
    """The plug-ins of these kinds that are installed, by kind and name; none of them is imported. The metadata of all
    packages is read once."""
    from importlib.metadata import entry_points

    entries = entry_points()
    found = {
        Plugin(kind, entry.name, entry.dist.name if entry.dist else "an unknown package",
               entry.dist.version if entry.dist else "", entry.value)
        for kind in kinds
        for entry in entries.select(group=GROUP.format(kind))
    }  # fmt: skip
    return tuple(sorted(found, key=lambda plugin: (kinds.index(plugin.kind), plugin.name, plugin.package)))


def find_plugin(kind: PluginKind, name: str, *, wanted_by: str) -> Plugin:
    """The plug-in of that name. `wanted_by` says what asks for it, as `encoder.kind is 'x'`.

    Raises SettingsError, which names those that there are, where there is none or where two packages bring one."""
    found = [plugin for plugin in list_plugins(kind) if plugin.name == name]
    if not found:
        raise SettingsError(f"{wanted_by}, and no {kind} plug-in has that name; {describe_plugins(kind)}")
    if len(found) > 1:
        packages = " and ".join(f"{plugin.package} {plugin.version}" for plugin in found)
        raise SettingsError(f"{wanted_by}, a {kind} plug-in that {packages} both bring; uninstall one of the two")
    return found[0]


def describe_plugins(kind: PluginKind) -> str:
    """Which plug-ins of a kind there are, in words."""
    names = [f"{plugin.name} ({plugin.package} {plugin.version})" for plugin in list_plugins(kind)]
    return f"the {kind} plug-ins here are {', '.join(names)}" if names else f"no {kind} plug-in is installed here"


def scheme_of(location: str) -> str | None:
    """What stands before the colon of a location, where that can be the name of a plug-in."""
    found = SCHEME.match(location)
    return found[1] if found else None


def describe_reason(reason: BaseException) -> str:
    """An error of somebody else's in one line: its kind, and what it says."""
    return f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__


NO_OPTIONS: Mapping[str, Any] = {}
