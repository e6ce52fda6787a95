"""Values of PostgreSQL as documents have them. One that Python cannot hold costs its field, not the reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.types.datetime import DateLoader, IntervalLoader, TimestampLoader, TimestamptzLoader
from psycopg.types.json import JsonbLoader, JsonLoader
from psycopg.types.string import TextLoader

from connector.ingest.sources.plain import UnreadableValue, plain_value

AS_TEXT = (
    "inet", "cidr", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange",
    "int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange",
)  # fmt: skip
FAULTS = (psycopg.DataError, ValueError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class UnreadableCell:
    """Why a cell cannot be kept."""

    reason: str


class _Lenient(Loader):
    """A loader, each of whose faults is a value."""

    loader: type[Loader]

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._inner = self.loader(oid, context)

    def load(self, data: Buffer) -> Any:
        try:
            return self._inner.load(data)
        except FAULTS as error:
            return UnreadableCell(f"{bytes(data).decode(errors='replace')[:100]!r} cannot be kept: {error}")


def _lenient(inner: type[Loader]) -> type[Loader]:
    return type(f"Lenient{inner.__name__}", (_Lenient,), {"loader": inner})


LENIENT = {
    "date": _lenient(DateLoader),
    "timestamp": _lenient(TimestampLoader),
    "timestamptz": _lenient(TimestamptzLoader),
    "interval": _lenient(IntervalLoader),
    "json": _lenient(JsonLoader),
    "jsonb": _lenient(JsonbLoader),
}


def read_values_of(connection: psycopg.Connection[Any]) -> None:
    """Let the connection give values that documents can have, in the same form whatever its time zone."""
    for name in AS_TEXT:
        if connection.adapters.types.get(name):
            connection.adapters.register_loader(name, TextLoader)
    for name, loader in LENIENT.items():
        connection.adapters.register_loader(name, loader)
    connection.execute("SET TimeZone = 'UTC'")


def split_faults(names: list[str], cells: tuple[Any, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a row by column, and why others cannot be kept."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            if isinstance(cell, UnreadableCell):
                raise UnreadableValue(cell.reason)
            values[name] = plain_value(cell)
        except (UnreadableValue, UnicodeDecodeError) as error:
            faults[name] = str(error)
    return values, faults
