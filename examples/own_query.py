"""An index and a query that an application has already: the same query, with a dense leg and a reranker beside it.

CONNECTOR_CLUSTER_URL=http://localhost:9200 CONNECTOR_INDEX_NAME=shop \
CONNECTOR_INDEX_TEXT_FIELDS='{name: 3, text: 1}' python examples/own_query.py "red sofa"
"""

from __future__ import annotations

import sys
from typing import Any

from connector import SyncConnector

PAGES = 2


def shop_query(text: str) -> dict[str, Any]:
    """What the shop has sent to `_search` for years."""
    words = {"multi_match": {"query": text, "fields": ["name^3", "text"], "fuzziness": "AUTO"}}
    phrase = {"match_phrase": {"name": {"query": text, "boost": 5}}}
    filters = [{"terms": {"market": ["de", "fr"]}}]
    found = {"bool": {"must": words, "should": phrase, "filter": filters, "must_not": {"term": {"hidden": True}}}}
    sales = {"field_value_factor": {"field": "sales", "modifier": "log1p", "missing": 0}}
    return {"function_score": {"query": found, "functions": [sales]}}


def main() -> None:
    query = shop_query(" ".join(sys.argv[1:]) or "red sofa")
    with SyncConnector.open() as connector:  # settings from connector.yaml and CONNECTOR_*
        cursor: str | bool | None = True
        for number in range(1, PAGES + 1):
            page = connector.search(lexical=query, k=5, cursor=cursor)
            print(f"page {number} for {page.query!r}")
            for hit in page.hits:
                print(f"{hit.rank}. {hit.fields['name']} [{hit.stage}]")
            cursor = page.cursor
            if not cursor:
                break


if __name__ == "__main__":
    main()
