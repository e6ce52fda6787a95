"""A search with a rerank, in an environment that has one extra or none: CLUSTER WORKER INDEX [encode here].

Prints the hits, what the answer lacks, and which packages were imported that a search should do without."""

from __future__ import annotations

import json
import sys

from connector import SyncConnector, load_settings

HEAVY = {"torch", "transformers", "sentence_transformers", "lancedb", "pyarrow", "fastapi", "uvicorn", "ir_measures"}


def main(cluster: str, worker: str, index: str, *encode_here: str) -> None:
    values = {"cluster.url": cluster, "index.name": index, "rerankers.local.url": worker, "search.deadline_s": 120.0}
    settings = load_settings(overrides=values | ({} if encode_here else {"encoder.url": worker}))
    with SyncConnector.open(settings) as connector:
        response = connector.search("how long is a deal registered")
    print(json.dumps({
        "hits": [hit.doc_id for hit in response.hits],
        "stages": sorted({hit.stage for hit in response.hits}),
        "degraded": [missing.reason for missing in response.degraded],
        "heavy": sorted(HEAVY & set(sys.modules)),
    }))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
