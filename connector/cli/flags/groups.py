"""Flags as objects: a command takes a dataclass of flags as one parameter, and each of its fields is a flag."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints

from typer.models import OptionInfo


def with_flag_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer wants it, with a parameter for each flag. The flags of a group whose class has a PANEL stand
    together under that title in the help."""
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if is_dataclass(parameter.annotation) and isinstance(parameter.annotation, type):
            groups[parameter.name] = parameter.annotation
            parameters += _flags(parameter.annotation)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(command)
    def with_groups(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # which Typer reads
    with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_groups


def _flags(group: type[Any]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=_in_panel(hints[field.name], getattr(group, "PANEL", None)),
        )


def _default(field: Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default


def _in_panel(annotation: Any, panel: str | None) -> Any:
    """The annotation of a flag with the title under which the help has it."""
    kind, *extras = get_args(annotation)
    placed = [copy(extra) for extra in extras]
    for extra in placed:
        if isinstance(extra, OptionInfo):
            extra.rich_help_panel = extra.rich_help_panel or panel
    return Annotated[kind, *placed]
