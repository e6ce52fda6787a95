"""The JSON that only Elasticsearch speaks (8.19 and 9)."""

from __future__ import annotations

from connector.clusters.dialect import JSON, PASSAGES, ViewCalls, hits_only, inner_hits, vector_values
from connector.layout import VectorField
from connector.schema import IndexSchema
from connector.types import Vector

NUM_CANDIDATES_FACTOR = 2
MAX_NUM_CANDIDATES = 10_000
ELEMENTS = {"byte": "byte", "bit": "bit"}  # element_type of a field; any other is of floats


class ElasticsearchDialect:
    """`dense_vector` fields and the top-level `knn` of a search."""

    kind = "elasticsearch"
    scale = 1.0
    views = ViewCalls("_pit", "/_pit", "id", listed=False, ties=(("_shard_doc", -1),))

    def dense_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int, k: int = 0
    ) -> JSON:
        knn: JSON = {
            "field": schema.vector_field,
            "query_vector": vector_values(schema, vector),
            "k": depth,
            "num_candidates": min(max(NUM_CANDIDATES_FACTOR * depth, 100), MAX_NUM_CANDIDATES),
        }
        if schema.managed and passages:
            knn["inner_hits"] = inner_hits(passages)
        if filter_query:
            knn["filter"] = filter_query
        return {"knn": knn} | hits_only(schema, depth, passages)

    def nearest_clause(self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON) -> JSON:
        """As a query: the `knn` of a search would be a phase of its own before it, which takes longer."""
        knn = self.dense_body(schema, vector, depth, filter_query, 0)["knn"]
        return {"nested": {"path": PASSAGES, "query": {"knn": knn}, "score_mode": "max", "inner_hits": inner_hits(1)}}

    def exact_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int
    ) -> JSON | None:
        return None

    def cosine(self, score: float, similarity: str) -> float:
        """`_score` is (1 + cos) / 2 for cosine, and for dot_product of unit vectors."""
        return 2 * score - 1 if similarity in ("cosine", "dot_product") else score

    def read_vector_field(self, field: JSON) -> VectorField | None:
        if field.get("type") != "dense_vector":
            return None
        return VectorField(
            dims=int(field.get("dims", 0)),
            similarity=field.get("similarity", "cosine"),
            element=ELEMENTS.get(str(field.get("element_type")), "float"),
            indexed=field.get("index", True) is not False,
        )
