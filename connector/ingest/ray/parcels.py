"""What travels between the processes of a job: parcels, each a kind and some bytes, in tables of Arrow.

A table has one parcel, and a task that gets one gives one. So a task that is run again gives its parcels at the same
places, though the index has changed meanwhile: Ray passes over as many as it was given before."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import pyarrow as pa

ParcelKind = Literal["checked", "group", "encoded"]
COLUMNS: Any = {"kind": pa.string(), "content": pa.binary()}


def pack(parcels: Iterable[tuple[ParcelKind, Any]]) -> pa.Table:
    """A table of parcels."""
    kinds, contents = [], []
    for kind, content in parcels:
        kinds.append(kind)
        contents.append(pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))
    return pa.table([kinds, contents], schema=pa.schema(COLUMNS))


def unpack(table: Any) -> Iterator[tuple[ParcelKind, Any]]:
    """The parcels of a table, which processes of this very job have packed."""
    for kind, content in zip(table["kind"].to_pylist(), table["content"].to_pylist(), strict=True):
        yield kind, pickle.loads(content)
