"""This product: an ingest job, then searches."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from connector import SyncConnector, load_settings
from connector.ingest.job import run_job


def prepare(peer: Any, documents: Sequence[dict[str, str]]) -> Callable[[str], list[str]]:
    settings = load_settings(
        overrides={
            "cluster.url": peer.url,
            "index.name": peer.index,
            "encoder.model": peer.encoder,
            "rerankers.local.url": peer.worker_url,
            "search.depth": peer.depth,
            "search.k": peer.k,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
        asyncio.run(run_job(folder, settings))
    connector = SyncConnector.open(settings)

    def search(query: str) -> list[str]:
        return [hit.doc_id for hit in connector.search(query, rerank=peer.reranks, window=peer.window).hits]

    return search
