"""Cells of Parquet columns as values that documents have, whatever Arrow's type for them is."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from connector.ingest.sources.names import tell_apart
from connector.ingest.sources.plain import UnreadableValue, plain_value, seconds

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
EPOCH = dt.datetime(1970, 1, 1)
NO_NUMBER = object()  # what a cell that holds NaN is read as


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a cell cannot be kept."""

    reason: str


def read_column(column: Any) -> list[Any]:
    """A value for each cell, NO_NUMBER or a Fault."""
    if _is_as_python_has_it(column.type):
        try:
            return list(column.to_pylist())
        except (ValueError, OverflowError, pa.ArrowException):  # some cell's fault; it is found below
            pass
    return [_read_cell(cell) for cell in column]


def _read_cell(cell: Any) -> Any:
    try:
        value = _value(cell)
        if isinstance(value, float) and math.isnan(value):
            return NO_NUMBER
        return plain_value(value)
    except UnreadableValue as error:
        return Fault(str(error))
    except UnicodeDecodeError:
        return Fault("its text is not UTF-8")
    except (ValueError, OverflowError, pa.ArrowException) as error:
        return Fault(f"a value of the type {cell.type} cannot be read: {error}")


def _is_as_python_has_it(kind: pa.DataType) -> bool:
    """Whether Arrow's own conversion gives values of this type as documents have them."""
    if pt.is_dictionary(kind) or pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind):
        inner = kind.value_type
        return not pt.is_temporal(inner) and _is_as_python_has_it(inner)
    if pt.is_timestamp(kind):
        return bool(kind.unit != "ns")
    return bool(
        pt.is_integer(kind)
        or pt.is_boolean(kind)
        or pt.is_string(kind)
        or pt.is_large_string(kind)
        or pt.is_null(kind)
        or pt.is_date(kind)
    )


def _value(cell: Any) -> Any:
    """The cell as a value of Python; nanoseconds are cut to microseconds."""
    kind = cell.type
    if not cell.is_valid:
        return None
    if isinstance(cell, pa.DictionaryScalar | pa.ExtensionScalar | pa.RunEndEncodedScalar):
        return _of_storage(cell)
    if pt.is_temporal(kind):
        return _temporal(cell, kind)
    if pt.is_fixed_size_binary(kind):
        data = cell.as_py()
        return str(uuid.UUID(bytes=data)) if len(data) == 16 else data.hex()
    if pt.is_struct(kind):
        names = tell_apart([field.name for field in kind.fields], notes=None)
        return {name: _value(cell[at]) for at, name in enumerate(names)}
    if pt.is_map(kind):
        pairs = [(_value(pair[0]), _value(pair[1])) for pair in cell.values]
        return _as_object(pairs)
    if pt.is_nested(kind) and hasattr(cell, "values"):
        return [_value(inner) for inner in cell.values]
    return cell.as_py()


def _of_storage(cell: Any) -> Any:
    if isinstance(cell, pa.UuidScalar):
        return str(cell.as_py())
    return cell.as_py() if isinstance(cell, pa.Bool8Scalar) else _value(cell.value)


def _as_object(pairs: list[tuple[Any, Any]]) -> Any:
    """A map as an object, or as pairs where it has a key twice or keys that are no names."""
    names = [plain_value(name) for name, _ in pairs]
    if all(isinstance(name, str | int) for name in names) and len(set(map(str, names))) == len(names):
        return {str(name): value for name, (_, value) in zip(names, pairs, strict=True)}
    return [{"key": name, "value": value} for name, value in pairs]


def _temporal(cell: Any, kind: pa.DataType) -> Any:
    if pt.is_duration(kind):
        return seconds(cell.value, PER_SECOND[kind.unit])
    if pt.is_timestamp(kind):
        moment = _moment(cell.value, kind.unit)
        return moment.replace(tzinfo=dt.UTC) if kind.tz else moment
    if pt.is_date32(kind):
        return _moment(cell.value * 86_400, "s").date()
    if pt.is_date64(kind):
        return _moment(cell.value, "ms").date()
    if pt.is_time(kind):
        count = cell.value * 1_000_000 // PER_SECOND[kind.unit]
        if not 0 <= count < 86_400_000_000:
            raise UnreadableValue(f"{count / 1_000_000:g} seconds are no time of a day")
        return (EPOCH + dt.timedelta(microseconds=count)).time()
    return cell.as_py()


def _moment(count: int, unit: str) -> dt.datetime:
    try:
        return EPOCH + dt.timedelta(microseconds=count * 1_000_000 // PER_SECOND[unit])
    except OverflowError:
        year = 1970 + count // PER_SECOND[unit] // 31_556_952
        raise UnreadableValue(
            f"{count} {unit} since 1970, about the year {year}, is beyond the years 1 to 9999 that can be kept"
        ) from None
