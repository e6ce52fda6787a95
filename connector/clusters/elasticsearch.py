"""The JSON that only Elasticsearch speaks (8.19 and 9)."""

from __future__ import annotations

from dataclasses import replace

from connector.clusters.dialect import (
    JSON,
    ViewCalls,
    brings_passages,
    hits_only,
    nearest_passages,
    nested_query,
    only_fitting,
    vector_values,
)
from connector.layout import ONE, VectorField
from connector.schema import IndexSchema
from connector.types import Vector

NUM_CANDIDATES_FACTOR = 2
MAX_NUM_CANDIDATES = 10_000  # the engine refuses more
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
            "num_candidates": num_candidates(depth),
        }
        if filter_query:
            knn["filter"] = filter_query
        brought = {"inner_hits": nearest_passages(schema, passages)} if passages and brings_passages(schema) else {}
        asked = hits_only(schema, depth, passages)
        if not schema.layout.members.names:
            return {"knn": knn | brought} | asked
        # of several indices as a query: the `knn` of a search knows nothing of one that is left out
        query: JSON = {"knn": knn}
        if path := schema.vector_path:
            query = nested_query(path, query, score_mode="max", **brought)
        return {"query": only_fitting(schema, query)} | asked

    def nearest_clause(self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON) -> JSON:
        """As a query: the `knn` of a search would be a phase of its own before it, which takes longer."""
        alone = replace(schema, layout=replace(schema.layout, members=ONE))
        knn = self.dense_body(alone, vector, depth, filter_query, 0)["knn"]
        query = {"knn": knn}
        return nested_query(schema.vector_path, query, score_mode="max", inner_hits=nearest_passages(schema, 1))

    def exact_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int
    ) -> JSON | None:
        return None

    def cosine(self, score: float, schema: IndexSchema) -> float:
        """`_score` is (1 + cos) / 2 for cosine, for dot_product of unit vectors, and for bits, which it compares by how
        many differ."""
        vector = schema.layout.vector
        element = vector.element if vector else "float"
        if (
            element == "bit"
            or schema.similarity == "cosine"
            or (schema.similarity, element) == ("dot_product", "float")
        ):
            return 2 * score - 1
        return score

    def read_vector_field(self, field: JSON) -> VectorField | None:
        if field.get("type") != "dense_vector":
            return None
        return VectorField(
            dims=int(field.get("dims", 0)),
            similarity=field.get("similarity", "cosine"),
            element=ELEMENTS.get(str(field.get("element_type")), "float"),
            indexed=field.get("index", True) is not False,
        )


def num_candidates(depth: int) -> int:
    """How many vectors each shard looks at for `depth` hits."""
    return min(max(NUM_CANDIDATES_FACTOR * depth, 100), MAX_NUM_CANDIDATES)
