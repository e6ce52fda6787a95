"""The JSON that only OpenSearch speaks (2.19 and 3)."""

from __future__ import annotations

from connector.clusters.dialect import DOCUMENT, JSON, PASSAGES, UNIT, hits_only, inner_hits
from connector.schema import IndexSchema
from connector.types import Vector

MIN_K = 100  # the graph is searched no wider than k, and a narrow search misses neighbours


class OpenSearchDialect:
    """`knn_vector` fields and the `knn` query of the k-NN plugin."""

    kind = "opensearch"

    def dense_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int
    ) -> JSON:
        knn: JSON = {"vector": vector.tolist(), "k": max(depth, MIN_K)}
        if schema.managed and passages > 1:
            knn["expand_nested_docs"] = True  # else a hit brings only its nearest passage
        if schema.managed and filter_query:
            # 2.19 puts a filter to the passages, not to their documents, unless it demands a plain term of a document
            # (NestedHelper.mightMatchNestedDocs); a bare "must_not" would let every passage through
            filter_query = {"bool": {"filter": [{"term": {UNIT: DOCUMENT}}, filter_query]}}
        if filter_query:
            knn["filter"] = filter_query
        query: JSON = {"knn": {schema.vector_field: knn}}
        if schema.managed:
            query = {
                "nested": {"path": PASSAGES, "query": query, "score_mode": "max", "inner_hits": inner_hits(passages)}
            }
        return {"query": query} | hits_only(schema, depth)

    def cosine(self, score: float, similarity: str) -> float:
        """`_score` is (1 + cos) / 2 for the space cosinesimil."""
        return 2 * score - 1 if similarity in ("cosine", "cosinesimil") else score

    def read_vector_field(self, field: JSON) -> tuple[int, str] | None:
        if field.get("type") != "knn_vector":
            return None
        similarity = field.get("space_type") or field.get("method", {}).get("space_type", "l2")
        return int(field.get("dimension", 0)), similarity
