"""`parallel_bulk` of the engines' own clients, given documents as the connector writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK = 500
THREADS = 2  # as many requests at once as a job of the connector has
TIMEOUT_S = 600


def parallel_bulk(kind: str, url: str, index: str, file: Path, vectors: list[list[float]]) -> int:
    """How many rows of the file were written, each with one passage and a vector that is there already."""
    actions = documents(index, file, vectors)
    options: dict[str, Any] = {"thread_count": THREADS, "chunk_size": CHUNK}
    if kind == "opensearch":
        from opensearchpy import OpenSearch, helpers

        with OpenSearch(url, timeout=TIMEOUT_S) as client:
            return sum(ok for ok, _ in helpers.parallel_bulk(client, actions, **options))
    import elasticsearch.helpers

    with elasticsearch.Elasticsearch(url, request_timeout=TIMEOUT_S) as found:
        return sum(ok for ok, _ in elasticsearch.helpers.parallel_bulk(found, actions, **options))


def documents(index: str, file: Path, vectors: list[list[float]]) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as rows:
        for number, line in enumerate(rows):
            row = json.loads(line)
            text = f"{row['title']}\n{row['text']}"
            passage = {"ordinal": 0, "text": text, "vector": vectors[number % len(vectors)]}
            doc_id = row.pop("_id")
            yield {
                "_index": index,
                "_id": doc_id,
                "_source": row | {"content_hash": "", "doc_id": doc_id, "unit": "document", "passages": [passage]},
            }
