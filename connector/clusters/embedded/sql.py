"""Filters as LanceDB's SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connector.errors import FilterError
from connector.filters import And, EngineQuery, Exists, Filter, Not, Or, Range, Scalar, Terms
from connector.schema import AnyFieldType

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def build_sql(found: Filter, fields: Mapping[str, AnyFieldType]) -> str:
    """The SQL condition of a checked filter. It is true or false, never unknown, so that "not" holds for missing
    values."""
    match found:
        case Terms(name, values):
            if fields[name] == "keyword[]":
                literals = ", ".join(_literal(value) for value in values)
                return f"coalesce(array_has_any({_column(name)}, [{literals}]), false)"
            return f"coalesce({any_of(name, values)}, false)"
        case Range(name, bounds):
            parts = [f"{_column(name)} {COMPARISONS[bound]} {_literal(value)}" for bound, value in bounds.items()]
            return f"coalesce({' AND '.join(parts)}, false)"
        case Exists(name):
            return f"({_column(name)} IS NOT NULL)"
        case And(parts):
            return "(" + " AND ".join(build_sql(part, fields) for part in parts) + ")"
        case Or(parts):
            return "(" + " OR ".join(build_sql(part, fields) for part in parts) + ")"
        case Not(part):
            return f"(NOT {build_sql(part, fields)})"
        case EngineQuery(query):
            kind = next(iter(query), "")
            raise FilterError(
                f"the embedded store does not speak the engines' query language, so it cannot apply their {kind!r}; "
                "give the filter in the connector's own language, or set cluster.url to a cluster"
            )


def any_of(column: str, values: Sequence[Scalar]) -> str:
    return f"{_column(column)} IN ({', '.join(_literal(value) for value in values)})"


def _column(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
