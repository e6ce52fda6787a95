"""Values as documents have them: text, whole numbers, finite numbers, booleans, lists and objects of such.

A field itself may also be a date, an instant or a decimal, which its type decides on later."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


class UnreadableValue(ValueError):
    """A value that a document cannot have; the text says why."""


def plain_value(value: Any) -> Any:
    """The value of a field; None where it is NaN. Raises UnreadableValue, and ValueError for text that is not UTF-8."""
    if isinstance(value, dt.date | Decimal):  # a datetime is a date too
        return _number(value) if isinstance(value, Decimal) else value
    return _nested(value)


def _nested(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = _number(Decimal(value) if isinstance(value, Decimal) else value)
        return str(number) if isinstance(number, Decimal) else number
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return seconds(value // dt.timedelta(microseconds=1), 1_000_000)
    if isinstance(value, bytes | bytearray | memoryview):
        return _text(bytes(value))
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        named = {str(_nested(name)): _nested(inner) for name, inner in value.items()}
        if len(named) < len(value):
            raise UnreadableValue("two of its keys are spelled alike")
        return named
    if isinstance(value, list | tuple | set | frozenset):
        return [_nested(inner) for inner in value]
    raise UnreadableValue(f"a value of the kind {type(value).__name__} cannot be kept")


def seconds(count: int, per_second: int) -> int | float:
    """A duration as seconds, whole where it is."""
    return count // per_second if count % per_second == 0 else count / per_second


def _number(value: float | Decimal) -> int | float | Decimal | None:
    """None for NaN. A decimal without a fraction is an integer, one that a double spells alike a float."""
    if isinstance(value, float):
        if math.isinf(value):
            raise UnreadableValue("it is infinite, which no index can keep")
        return None if math.isnan(value) else value
    if value.is_nan():
        return None
    if value.is_infinite():
        raise UnreadableValue("it is infinite, which no index can keep")
    if int(value.as_tuple().exponent) >= 0:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UnreadableValue(f"its {len(data)} bytes are not text in UTF-8") from None
