"""What all sections of the settings do: they are frozen, know their names, and refuse with an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from connector.errors import SettingsError


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        problems = (
            (".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, "))
            for problem in error.errors()
        )
        raise SettingsError("; ".join(f"{path}: {text}" if path else text for path, text in problems)) from error


if TYPE_CHECKING:  # so that constructors keep their types
    from pydantic._internal._model_construction import ModelMetaclass as _SectionType
else:

    class _SectionType(type(BaseModel)):
        """Of sections: what their constructor refuses is an error of ours. (Their own __init__ would be called for each
        section inside of another, and the first refusal would hide the rest.)"""

        def __call__(cls, *arguments: Any, **values: Any) -> Any:
            with _refused():
                return super().__call__(*arguments, **values)


class Section(BaseModel, metaclass=_SectionType):
    """Some settings. Raises SettingsError for what they cannot be; its cause is pydantic's own."""

    # deferred: a section that is only a part of others needs no validator of its own; hidden, since what was given may
    # be a secret, and tracebacks have the words of pydantic's error too
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True, hide_input_in_errors=True
    )

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        with _refused():
            return super().model_validate(obj, **options)
