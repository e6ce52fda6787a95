"""Searches by the stores of LangChain, LlamaIndex and Haystack: python store_trial.py INDEX URL URL INDEX URL URL, of
an index of Elasticsearch and of one of OpenSearch. Prints one JSON object for each URL: the ids or titles that each
found. For OpenSearch, LangChain's asks for vectors alone."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from elasticsearch import AsyncElasticsearch, Elasticsearch
from haystack_integrations.document_stores.elasticsearch import ElasticsearchDocumentStore
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from langchain_community.vectorstores import OpenSearchVectorSearch
from langchain_core.embeddings.fake import DeterministicFakeEmbedding
from langchain_elasticsearch import BM25Strategy, ElasticsearchRetriever, ElasticsearchStore
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from llama_index.vector_stores.elasticsearch import AsyncBM25Strategy
from llama_index.vector_stores.elasticsearch import ElasticsearchStore as LlamaStore
from llama_index.vector_stores.opensearch import OpensearchVectorClient

TEXT, DIMS = "red sofa", 16
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


def opensearch_llama_index(index: str, url: str) -> list[str]:
    async def search() -> list[str]:
        client = OpensearchVectorClient(url, index, DIMS, embedding_field="vector", text_field="title")
        found = await client.aquery(VectorStoreQueryMode.TEXT_SEARCH, TEXT, [0.1] * DIMS, 20)
        return list(found.ids or [])

    return asyncio.run(search())


def opensearch_haystack(index: str, url: str) -> list[str]:
    store = OpenSearchDocumentStore(hosts=url, index=index, embedding_dim=DIMS, create_index=False)
    found = store._bm25_retrieval(TEXT, top_k=20, scale_score=True)
    return [str(document.id) for document in found]


def opensearch_langchain(index: str, url: str) -> list[str]:
    store = OpenSearchVectorSearch(url, index, DeterministicFakeEmbedding(size=DIMS))
    found = store.similarity_search(TEXT, k=20, vector_field="vector", text_field="title", metadata_field="*")
    return [document.page_content for document in found]


ELASTICSEARCH = (langchain, langchain_retriever, llama_index, haystack)
OPENSEARCH = (opensearch_llama_index, opensearch_haystack, opensearch_langchain)


def main() -> None:
    for trials, (index, *urls) in ((ELASTICSEARCH, sys.argv[1:4]), (OPENSEARCH, sys.argv[4:7])):
        for url in urls:
            print(json.dumps({trial.__name__: trial(index, url) for trial in trials}))


if __name__ == "__main__":
    main()
