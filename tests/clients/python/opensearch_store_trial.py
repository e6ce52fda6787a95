"""Searches by the OpenSearch stores of LlamaIndex, Haystack and LangChain, at each of the URLs: python
opensearch_store_trial.py INDEX URL... Prints one JSON object for each: the ids that each found. LangChain's asks for
vectors alone."""

from __future__ import annotations

import asyncio
import json
import sys

from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from langchain_community.vectorstores import OpenSearchVectorSearch
from langchain_core.embeddings.fake import DeterministicFakeEmbedding
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from llama_index.vector_stores.opensearch import OpensearchVectorClient

TEXT, DIMS = "red sofa", 16


def llama_index(index: str, url: str) -> list[str]:
    async def search() -> list[str]:
        client = OpensearchVectorClient(url, index, DIMS, embedding_field="vector", text_field="title")
        found = await client.aquery(VectorStoreQueryMode.TEXT_SEARCH, TEXT, [0.1] * DIMS, 20)
        return list(found.ids or [])

    return asyncio.run(search())


def haystack(index: str, url: str) -> list[str]:
    store = OpenSearchDocumentStore(hosts=url, index=index, embedding_dim=DIMS, create_index=False)
    found = store._bm25_retrieval(TEXT, top_k=20, scale_score=True)
    return [str(document.id) for document in found]


def langchain(index: str, url: str) -> list[str]:
    store = OpenSearchVectorSearch(url, index, DeterministicFakeEmbedding(size=DIMS))
    found = store.similarity_search(TEXT, k=20, vector_field="vector", text_field="title", metadata_field="*")
    return [document.page_content for document in found]


def main() -> None:
    index, *urls = sys.argv[1:]
    for url in urls:
        print(json.dumps({trial.__name__: trial(index, url) for trial in (llama_index, haystack, langchain)}))


if __name__ == "__main__":
    main()
