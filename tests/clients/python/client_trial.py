"""Searches by the client of Elasticsearch that is installed, at each of the URLs: python client_trial.py INDEX
URL... Prints one JSON object for each."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import elasticsearch
from elasticsearch import AsyncElasticsearch, Elasticsearch, NotFoundError
from elasticsearch.helpers import scan

QUERY = {"bool": {"must": [{"match": {"title": "red sofa"}}], "filter": [{"term": {"brand": "acme"}}]}}
PATIENCE_S = 120  # by itself it waits 10 s, and then gives up
AGGS = {"brands": {"terms": {"field": "brand"}}}


def search(index: str, url: str) -> dict[str, Any]:
    """What the plain client and what is built on it find."""
    with Elasticsearch(url, request_timeout=PATIENCE_S) as client:
        found = client.search(index=index, query=QUERY, aggs=AGGS, size=40, typed_keys=True)
        head: dict[str, Any] = {"index": index}
        several = client.msearch(searches=[head, {"query": QUERY, "size": 5}, head, {"query": {"match_all": {}}}])
        try:
            client.search(index="nothing-of-this-name", query=QUERY)
            missing = 200
        except NotFoundError as error:
            missing = error.status_code
        return {
            "ids": [hit["_id"] for hit in found["hits"]["hits"]],
            "outcome": found.meta.headers.get("x-rerank"),
            "brands": len(found["aggregations"]["sterms#brands"]["buckets"]),
            "several": [len(response["hits"]["hits"]) for response in several["responses"]],
            "scanned": sum(1 for _ in scan(client, index=index, query={"query": QUERY})),
            "missing": missing,
            "written_with": _written_with(client, index),
        }


def _written_with(client: Elasticsearch, index: str) -> int:
    """By the language for queries that comes with the client."""
    from elasticsearch.dsl import Search

    return len(Search(using=client, index=index).query("match", title="red sofa")[:7].execute())


async def search_at_once(index: str, url: str) -> int:
    """Of the client for asyncio."""
    async with AsyncElasticsearch(url, request_timeout=PATIENCE_S) as client:
        asked = [client.search(index=index, query=QUERY, from_=start, size=5) for start in range(0, 20, 5)]
        pages = await asyncio.gather(*asked)
    return len({hit["_id"] for page in pages for hit in page["hits"]["hits"]})


def main() -> None:
    index, *urls = sys.argv[1:]
    for url in urls:
        found = search(index, url) | {"at_once": asyncio.run(search_at_once(index, url))}
        print(json.dumps({"client": elasticsearch.__version__[0]} | found))


if __name__ == "__main__":
    main()
