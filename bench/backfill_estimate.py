"""How far off the estimate of `connector backfill --dry-run` is, on an index that is then back-filled.

    make bench-backfill-estimate CLUSTER=http://localhost:9200 DATA=FOLDER:0:3000

DATA is a folder in BEIR's layout, or a seeded part of one: FOLDER:QUERIES:DOCUMENTS. Its documents are written into an
index as an application would have made it, which is merged and measured; then it is reckoned what a back-fill would
take, it is back-filled, merged and measured again. The index is dropped in the end."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import print_result
from parts import part_of
from rich.console import Console
from rich.table import Table

from connector.backfill.planning.dry_run import read_index_bytes
from connector.backfill.planning.plan import BackfillWish
from connector.backfill.run import fill, preparing, rehearse
from connector.clusters.rest import RestCluster
from connector.ingest.sources import open_source
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.wiring import open_cluster

EXAMPLES = Path(__file__).parents[1] / "examples" / "corpus"
TEXT = {"title": 1.0, "text": 1.0}
CHUNK = 500
TIMEOUT_S = 300.0
console = Console(stderr=True, highlight=False, markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=str(EXAMPLES), help="FOLDER[:QUERIES[:DOCUMENTS]]")
    parser.add_argument("--cluster", required=True, help="an Elasticsearch or OpenSearch")
    given = parser.parse_args()
    index = f"bench-estimate-{uuid.uuid4().hex[:8]}"
    settings = load_settings(environ={}, overrides={"cluster.url": given.cluster, "index.name": index})
    rows = open_source(str(part_of(given.folder)))
    documents = [(str(row.values["_id"]), {name: str(row.values.get(name) or "") for name in TEXT}) for row in rows]
    found = asyncio.run(measure(settings, documents))
    show(found)
    print_result({"bench": "backfill-estimate", "documents": len(documents)} | found)


async def measure(settings: Settings, documents: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The engine, and each figure as it was reckoned and as it was."""
    index = settings.index.name
    cluster = await open_cluster(settings)
    assert isinstance(cluster, RestCluster)
    try:
        await make(cluster, index, documents)
        before = await merge(cluster, index)
        async with preparing(settings, BackfillWish(TEXT)) as prepared:
            (found,) = await rehearse(prepared)
            started = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                (report,) = await fill(prepared, rejects=Path(folder) / "rejects")
            seconds = time.monotonic() - started
        after = await merge(cluster, index)
    finally:
        await cluster.drop_index(index)
        await cluster.close()
    return {
        "engine": str(cluster.engine),
        "vector_index": found.estimate.chosen,
        "before_bytes": before,
        "figures": {
            "passages": {"reckoned": found.estimate.passages, "was": report.counts.passages},
            "seconds": {"reckoned": found.estimate.seconds, "was": seconds},
            "disk_bytes": {"reckoned": found.estimate.disk_bytes, "was": after - before},
        },
        "ok": report.ok,
    }


async def make(cluster: RestCluster, index: str, documents: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """The index as an application would have made it, without replicas."""
    knn = {} if cluster.engine.kind == "elasticsearch" else {"index.knn": True}
    anew = {"index.store.stats_refresh_interval": "0s"}  # else the size that is told is up to ten seconds old
    properties = {name: {"type": "text"} for name in TEXT}
    body = {"settings": {"index.number_of_replicas": 0} | knn | anew, "mappings": {"properties": properties}}
    await cluster.client.request("PUT", f"/{index}", body=body, timeout_s=TIMEOUT_S)
    for start in range(0, len(documents), CHUNK):
        lines = [
            json.dumps({"index": {"_id": doc_id}}).encode() + b"\n" + json.dumps(fields).encode() + b"\n"
            for doc_id, fields in documents[start : start + CHUNK]
        ]
        reply = await cluster.client.bulk(index, lines, timeout_s=TIMEOUT_S)
        assert not reply["errors"]


async def merge(cluster: RestCluster, index: str) -> int:
    """The bytes of the index once it is one segment."""
    for action in ("_refresh", "_forcemerge", "_flush", "_refresh"):
        params = {"max_num_segments": "1"} if action == "_forcemerge" else None
        await cluster.client.request("POST", f"/{index}/{action}", params=params, timeout_s=TIMEOUT_S)
    return await read_index_bytes(cluster, index)


def show(found: dict[str, Any]) -> None:
    table = Table(title=f"{found['engine']}, {found['vector_index']}", title_justify="left", show_edge=False)
    for heading in ("figure", "reckoned", "was", "reckoned / was"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, figure in found["figures"].items():
        share = figure["reckoned"] / figure["was"] if figure["was"] else float("nan")
        table.add_row(name, f"{figure['reckoned']:,.0f}", f"{figure['was']:,.0f}", f"{share:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
