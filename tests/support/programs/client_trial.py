"""Ingest and search on the clusters whose URLs are the arguments; run in an environment with a client of its own."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import elasticsearch
from support.indices.scratch import unique_name
from support.parts import HashEncoder, ids, schema_of

from connector.clusters.connect import connect
from connector.ingest.pipeline import IngestJob
from connector.ingest.sources import open_source
from connector.search.searcher import Searcher
from connector.settings.sections import ClusterSettings, Settings
from connector.types import SearchRequest

ROWS = [{"_id": "a", "title": "red fish", "text": "it swims"}, {"_id": "b", "title": "green frog", "text": "it jumps"}]


async def trial(url: str, folder: Path) -> dict[str, Any]:
    """What was written to a new index at the URL and found there."""
    settings = Settings.model_validate({"search": {"rerank": "off", "deadline_s": 120}})
    encoder, name = HashEncoder(), unique_name()
    cluster = await connect(ClusterSettings(url=url))
    try:
        index = await cluster.create_index(name, schema_of(encoder))
        source = open_source(str(folder / "rows.jsonl"))
        job = IngestJob(source, index, encoder, settings.ingest, rejects=folder / "rejects.jsonl")
        report = await job.run()
        found = await Searcher(await cluster.open_index(name), encoder, {}, settings).search(SearchRequest("red fish"))
        return {
            "client": elasticsearch.__version__[0],
            "server": int(cluster.engine.version.split(".")[0]),
            "written": report.counts.written,
            "hits": ids(found.hits),
            "degraded": [missing.reason for missing in found.degraded],
        }
    finally:
        await cluster.drop_index(name)
        await cluster.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        print(json.dumps([await trial(url, Path(folder)) for url in sys.argv[1:]]))


if __name__ == "__main__":
    asyncio.run(main())
