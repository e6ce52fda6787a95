"""The checks of the embedded store: its folder, the disk that it is on, its tables."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import numpy as np

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.columns import arrow_schema
from connector.clusters.embedded.index import EmbeddedIndex
from connector.clusters.protocol import Index
from connector.doctor.cluster_checks import judge_contents
from connector.doctor.findings import Finding
from connector.doctor.samples import Sample

LOW_BYTES = 1_000_000_000


class EmbeddedChecks:
    """Looks at the folder of the store, and at its tables."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._folder = cluster.folder

    async def health(self, index: str | None) -> Finding:
        used, free = await asyncio.to_thread(_measure, self._folder)
        seen = f"{self._folder}: {used / 1e6:,.0f} MB, {free / 1e9:,.1f} GB free on its disk"
        facts = {"bytes": used, "free_bytes": free}
        if free < LOW_BYTES:
            return Finding("health", "warn", seen, "free space: a job needs room for what it rewrites", facts)
        return Finding("health", "ok", seen, facts=facts)

    async def access(self, index: str, *, exists: bool) -> list[Finding]:
        may_read = os.access(self._folder, os.R_OK | os.X_OK)
        may_write = may_read and os.access(self._folder, os.W_OK)
        advice = f"give this process's user the rights to {self._folder}"
        return [
            Finding("search access", "ok", "the folder can be read")
            if may_read
            else Finding("search access", "fail", "the folder cannot be read", advice),
            Finding("ingest access", "ok", "the folder can be written to")
            if may_write
            else Finding("ingest access", "warn", "the folder cannot be written to", f"to ingest, {advice}"),
        ]

    async def state(self, index: Index) -> list[Finding]:
        actual, expected = await _own(index).table.schema(), arrow_schema(index.schema)
        wrong = [
            f"{field.name} is missing"
            if field.name not in actual.names
            else f"{field.name} is {actual.field(field.name).type}"
            for field in expected
            if field.name not in actual.names or actual.field(field.name).type != field.type
        ]
        mapping = Finding("mapping", "ok", "the columns are as this version writes them")
        if wrong:
            seen = "the columns are not as this version writes them: " + "; ".join(wrong[:3])
            mapping = Finding(
                "mapping", "fail", seen, "ingest into a new index: connector ingest SOURCE --index NEW_NAME"
            )
        return [mapping, Finding("copies", "ok", "one, in the folder; what can be ingested again needs no backup")]

    async def contents(self, index: Index) -> Finding:
        table = _own(index).table
        documents = await table.count_rows()
        return judge_contents(documents, await table.count_rows("array_length(passages) > 0"), managed=True)

    async def samples(self, index: Index, count: int) -> list[Sample]:
        names = list(index.schema.fields.text)
        columns = ["doc_id", *names, "passages", "vectors"]
        query = _own(index).table.query().where("array_length(passages) > 0").select(columns)
        return [
            Sample(
                row["doc_id"],
                "\n".join(str(row[name]) for name in names if row[name]),
                tuple(
                    (text, np.asarray(vector, dtype=np.float32))
                    for text, vector in zip(row["passages"], row["vectors"], strict=True)
                ),
            )
            for row in await query.limit(count).to_list()
        ]


def _own(index: Index) -> EmbeddedIndex:
    assert isinstance(index, EmbeddedIndex)
    return index


def _measure(folder: Path) -> tuple[int, int]:
    """Bytes in the folder, and bytes free on its disk."""
    used = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return used, shutil.disk_usage(folder).free
