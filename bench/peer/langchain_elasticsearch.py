"""LangChain over Elasticsearch. Its own hybrid strategy needs Elasticsearch's `rrf`, which needs a licence, so the two
retrievers are joined by its EnsembleRetriever, which is RRF too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from elasticsearch import Elasticsearch
from langchain_classic.retrievers import ContextualCompressionRetriever, EnsembleRetriever
from langchain_classic.retrievers.document_compressors import CrossEncoderReranker
from langchain_cohere import CohereRerank
from langchain_community.cross_encoders import HuggingFaceCrossEncoder
from langchain_elasticsearch import ElasticsearchRetriever, ElasticsearchStore
from langchain_huggingface import HuggingFaceEmbeddings


def prepare(peer: Any, documents: Sequence[dict[str, str]]) -> Callable[[str], list[str]]:
    embedding = HuggingFaceEmbeddings(model_name=peer.encoder)
    store = ElasticsearchStore(peer.index, embedding=embedding, es_url=peer.url)
    texts = [f"{document['title']}\n{document['text']}" for document in documents]
    ids = [document["_id"] for document in documents]
    store.add_texts(texts, [{"doc_id": doc_id} for doc_id in ids], ids=ids)
    dense = store.as_retriever(search_kwargs={"k": peer.depth, "fetch_k": peer.depth})
    lexical = ElasticsearchRetriever(
        index_name=peer.index,
        body_func=lambda query: {"query": {"match": {"text": query}}, "size": peer.depth},
        content_field="text",
        client=Elasticsearch(peer.url),
    )
    retriever: Any = EnsembleRetriever(retrievers=[lexical, dense])
    if peer.reranks:
        if peer.cross_encoder:
            model = HuggingFaceCrossEncoder(model_name=peer.cross_encoder)
            compressor: Any = CrossEncoderReranker(model=model, top_n=peer.k)
        else:
            compressor = CohereRerank(base_url=peer.worker_url, cohere_api_key="none", model="worker", top_n=peer.k)
        retriever = ContextualCompressionRetriever(
            base_compressor=compressor, base_retriever=retriever | (lambda found: found[: peer.window])
        )

    def search(query: str) -> list[str]:
        found = retriever.invoke(query)[: peer.k]
        return [doc.metadata.get("doc_id") or doc.metadata["_source"]["metadata"]["doc_id"] for doc in found]

    return search
