"""Searches by the stores of LangChain, LlamaIndex and Haystack, at each of the URLs: python store_trial.py INDEX
URL... Prints one JSON object for each: the ids or titles that each found."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from elasticsearch import AsyncElasticsearch, Elasticsearch
from haystack_integrations.document_stores.elasticsearch import ElasticsearchDocumentStore
from langchain_elasticsearch import BM25Strategy, ElasticsearchRetriever, ElasticsearchStore
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from llama_index.vector_stores.elasticsearch import AsyncBM25Strategy
from llama_index.vector_stores.elasticsearch import ElasticsearchStore as LlamaStore

TEXT = "red sofa"
PATIENCE_S = 120  # by themselves clients wait 10 s, and then give up


def langchain(index: str, url: str) -> list[str]:
    store = ElasticsearchStore(index, es_url=url, strategy=BM25Strategy(), query_field="title")
    found = store.similarity_search(TEXT, k=20, filter=[{"term": {"brand": "acme"}}])
    return [document.page_content for document in found]


def langchain_retriever(index: str, url: str) -> list[str]:
    def body(text: str) -> dict[str, Any]:
        return {"query": {"match": {"title": text}}, "size": 20}

    with Elasticsearch(url, request_timeout=PATIENCE_S) as client:
        retriever = ElasticsearchRetriever(index_name=index, body_func=body, content_field="title", client=client)
        return [document.page_content for document in retriever.invoke(TEXT)]


def llama_index(index: str, url: str) -> list[str]:
    async def search() -> list[str]:
        async with AsyncElasticsearch(url, request_timeout=PATIENCE_S) as client:
            store = LlamaStore(
                index_name=index, es_client=client, text_field="title", retrieval_strategy=AsyncBM25Strategy()
            )
            query = VectorStoreQuery(query_str=TEXT, similarity_top_k=20, mode=VectorStoreQueryMode.TEXT_SEARCH)
            found = await store.aquery(query)
            return list(found.ids or [])

    return asyncio.run(search())


def haystack(index: str, url: str) -> list[str]:
    store = ElasticsearchDocumentStore(hosts=url, index=index)
    found = store._bm25_retrieval(TEXT, top_k=20, scale_score=True)
    return [str(document.id) for document in found]


def main() -> None:
    index, *urls = sys.argv[1:]
    for url in urls:
        trials = (langchain, langchain_retriever, llama_index, haystack)
        print(json.dumps({trial.__name__: trial(index, url) for trial in trials}))


if __name__ == "__main__":
    main()
