"""The forms in which a vector can be sent, held against each other on one engine: bytes, the client's time, the
engine's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console
from rich.table import Table

from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import RestIndex
from connector.clusters.vector_form import VectorForm, as_base64, as_floats
from connector.clusters.writing.bulk import build_bulk
from connector.errors import IndexMissing
from connector.schema import IndexSchema
from connector.settings.sections import ClusterSettings
from connector.types import IndexedDocument, Vector

CHUNK = 500
TIMEOUT_S = 600.0


def as_list(vector: Vector) -> list[float]:
    """Python floats, as most programs send them: 17 digits each."""
    values: list[float] = vector.tolist()
    return values


FORMS: dict[str, VectorForm] = {"list": as_list, "floats": as_floats, "base64": as_base64}


async def measure_forms(
    cluster: RestCluster, schema: IndexSchema, documents: Sequence[IndexedDocument], name: str
) -> dict[str, dict[str, float]]:
    """For each form, plain and gzipped, what it takes to write the documents into an index of their own."""
    found: dict[str, dict[str, float]] = {}
    if not documents:
        return found
    for compress in (False, True):
        other = await connect(ClusterSettings(url=cluster.url, timeout_s=TIMEOUT_S, compress=compress))
        assert isinstance(other, RestCluster)
        try:
            for title, form in FORMS.items():
                with suppress(IndexMissing):
                    await other.drop_index(name)
                index = await other.create_index(name, schema)
                if form is not as_base64 or index.form is as_base64:
                    found[title + ", gzip" * compress] = await _write(other, index, documents, form)
        finally:
            await other.close()
    return found


async def _write(
    cluster: RestCluster, index: RestIndex, documents: Sequence[IndexedDocument], form: VectorForm
) -> dict[str, float]:
    sent = took = 0.0
    began, began_cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(documents), CHUNK):
        lines = build_bulk(documents[at : at + CHUNK], index.schema, form)
        sent += sum(map(len, lines))
        reply = await cluster.client.bulk(index.name, lines, timeout_s=TIMEOUT_S)
        assert not reply["errors"], reply["items"][0]
        took += reply["took"]
    return {
        "mb": sent / 1e6,
        "client_cpu_s": time.process_time() - began_cpu,
        "engine_took_s": took / 1e3,
        "seconds": time.perf_counter() - began,
    }


def print_forms(name: str, found: dict[str, dict[str, float]]) -> None:
    if not found:
        return
    table = Table(title=f"{name}: a vector is sent as", title_justify="left", show_edge=False)
    for title in ("", "MB before gzip", "client CPU s", "engine's took s", "seconds"):
        table.add_column(title, justify="right" if title else "left")
    for title, values in found.items():
        table.add_row(title, *(f"{value:.2f}" for value in values.values()))
    Console(width=120).print(table)
