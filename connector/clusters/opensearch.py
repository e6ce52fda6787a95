"""The JSON that only OpenSearch speaks (2.19 and 3)."""

from __future__ import annotations

from connector.clusters.dialect import (
    DOCUMENT,
    JSON,
    UNIT,
    ViewCalls,
    brings_passages,
    hits_only,
    nearest_passages,
    nested_query,
    only_fitting,
    vector_values,
)
from connector.layout import VectorField
from connector.schema import IndexSchema
from connector.types import Vector

# Document-level security adds a score of its own, 1 for each role's term, to that of a hit. A power of two leaves ours
# exact and makes that too small to matter
SCALE = 2.0**20
ELEMENTS = {"byte": "byte", "binary": "bit"}  # data_type of a field; any other is of floats
MIN_K = 100  # the graph is searched no wider than k, and a narrow search misses neighbours


class OpenSearchDialect:
    """`knn_vector` fields and the `knn` query of the k-NN plugin."""

    kind = "opensearch"
    scale = SCALE
    views = ViewCalls(
        "_search/point_in_time",
        "/_search/point_in_time",
        "pit_id",
        listed=True,
        ties=(("_id", ""), ("_index", "")),  # version 2 has no _shard_doc
    )

    def dense_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int, k: int = 0
    ) -> JSON:
        knn: JSON = {"vector": vector_values(schema, vector), "k": max(depth, k, MIN_K)}
        if schema.vector_path and passages > 1:
            knn["expand_nested_docs"] = True  # else a hit brings only its nearest passage
        marked = (UNIT, DOCUMENT) if schema.managed else schema.layout.marked if _searches_ours(schema) else None
        if marked and filter_query:
            # 2.19 puts a filter to the passages, not to their documents, unless it demands a plain term of a document
            # (NestedHelper.mightMatchNestedDocs); a bare "must_not" would let every passage through
            filter_query = {"bool": {"filter": [{"term": dict([marked])}, filter_query]}}
        if filter_query:
            knn["filter"] = filter_query
        if schema.layout.members.names:
            knn["ignore_unmapped"] = True
        query: JSON = {"knn": {schema.vector_field: knn}}
        if schema.vector_path:
            query = _of_documents(schema, query, passages)
        if schema.vector_path and filter_query and not marked:
            # what the filter of the knn query lets through is not always the document's: see above
            query = {"bool": {"must": [query], "filter": [filter_query]}}
        return {"query": only_fitting(schema, query)} | hits_only(schema, depth, passages)

    def nearest_clause(self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON) -> JSON:
        query: JSON = self.dense_body(schema, vector, depth, filter_query, 1)["query"]
        return query

    def exact_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int
    ) -> JSON | None:
        space = "cosinesimil" if schema.managed else schema.similarity
        params = {"field": schema.vector_field, "query_value": vector_values(schema, vector), "space_type": space}
        script = {"lang": "knn", "source": "knn_score", "params": params}
        filters = [filter_query] if filter_query else []
        if schema.vector_path:
            searched = {"match_all": {}} if schema.managed else {"exists": {"field": schema.vector_field}}
            query = _of_documents(schema, {"script_score": {"query": searched, "script": script}}, passages)
            query = {"bool": {"must": [query], "filter": filters}}
        else:
            having = {"bool": {"filter": [{"exists": {"field": schema.vector_field}}, *filters]}}
            query = {"script_score": {"query": having, "script": script}}
        return {"query": only_fitting(schema, query)} | hits_only(schema, depth, passages)

    def cosine(self, score: float, schema: IndexSchema) -> float:
        """`_score` is (1 + cos) / 2 for the space cosinesimil, and 1 / (1 + so many bits that differ) for hamming."""
        vector = schema.layout.vector
        if vector is not None and vector.element == "bit":
            return 1 - 2 * (1 / score - 1) / schema.dims if score > 0 else -1.0
        return 2 * score - 1 if schema.similarity in ("cosine", "cosinesimil") else score

    def read_vector_field(self, field: JSON) -> VectorField | None:
        if field.get("type") != "knn_vector":
            return None
        return VectorField(
            dims=int(field.get("dimension", 0)),
            similarity=field.get("space_type") or field.get("method", {}).get("space_type", "l2"),
            element=ELEMENTS.get(str(field.get("data_type")).lower(), "float"),
        )


def _searches_ours(schema: IndexSchema) -> bool:
    """Whether the vectors are those that a back-fill put there."""
    return (schema.vector_field or "") in schema.encoders


def _of_documents(schema: IndexSchema, query: JSON, passages: int) -> JSON:
    """A query of passages, or of nested objects, as one of their documents, scored by the best of each."""
    brought = {"inner_hits": nearest_passages(schema, passages)} if passages and brings_passages(schema) else {}
    return nested_query(schema.vector_path, query, score_mode="max", **brought)
