"""Commands that are imported when they are called: `connector --help` imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class CommandPlace:
    """Where a command or a group of commands is defined, and the first line of its help."""

    module: str
    name: str
    summary: str

    def load(self, called: str) -> Any:
        """The command, as Typer has it."""
        found: typer.Typer | Callable[..., Any] = getattr(import_module(self.module), self.name)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
            alone.command(called)(found)
            command = typer.main.get_command(alone)
        command.name = called
        return command


class LazyCommands(Mapping[str, Any]):
    """The commands by name; each is imported when it is looked up."""

    def __init__(self, places: Mapping[str, CommandPlace]) -> None:
        self._places = places
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._places[name].load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def lazy_group(places: Mapping[str, CommandPlace]) -> type[TyperGroup]:
    """A group of these commands, for `typer.Typer(cls=...)`."""

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = cast("MutableMapping[str, Any]", LazyCommands(places))
            self._is_listing = False

        def list_commands(self, ctx: Any) -> list[str]:
            return list(places)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if self._is_listing:
                return TyperCommand(cmd_name, help=places[cmd_name].summary)
            return super().get_command(ctx, cmd_name)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            with self._listing():
                super().format_help(ctx, formatter)

        def shell_complete(self, ctx: Any, incomplete: str) -> Any:
            with self._listing():
                return super().shell_complete(ctx, incomplete)

        @contextmanager
        def _listing(self) -> Iterator[None]:
            self._is_listing = True
            try:
                yield
            finally:
                self._is_listing = False

    return LazyGroup
