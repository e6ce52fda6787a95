"""Schemas of indices that are only talked of: one that is ours, and a flat one of somebody else's."""

from __future__ import annotations

from support.indices.schemas import MADE
from support.parts import HashEncoder, schema_of

from connector.schema import Fields, IndexSchema

MANAGED = schema_of(HashEncoder(dims=2), metadata={"year": "integer"})
FLAT = IndexSchema(Fields({"title": 2.0, "meta.body": 1.0}), None, **MADE, managed=False, vector_field="vec", dims=2)
