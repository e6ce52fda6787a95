"""How many nested objects a document may have for OpenSearch to give it its own vectors back.

From 3.0 on `_source` has no vectors; the engine puts them in again whenever it reads a document
(index.knn.derived_source.enabled, its default). To find the first nested object of a document it goes back 150 places
from the document, and where no other document ends within them it takes the first ones of the segment: the document
shows the vectors of others, and the next partial update, an application's or ours, stores those (k-NN 3.0.0 to 3.6.0,
DerivedSourceLuceneHelper; none of these versions has it mended)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.clusters.protocol import Engine

MOST_NESTED = 149
TOO_LONG = (
    f"it would have more than {MOST_NESTED} nested objects, and OpenSearch then gives it vectors of other documents at "
    "the next partial update (index.knn.derived_source.enabled); keep its vectors in an index of ours (--beside)"
)

STAYS = (
    f"it has come to more than {MOST_NESTED} nested objects, and OpenSearch gives it vectors of other documents at "
    "each partial update (index.knn.derived_source.enabled); its passages stay, since taking them out would be one: "
    "write it anew as a whole, without them"
)

MISREAD = (
    f"it has more than {MOST_NESTED} nested objects, and OpenSearch shows vectors of other documents in them "
    "(index.knn.derived_source.enabled), which a copy would keep; keep its vectors in an index of ours (--beside)"
)


def most_nested(engine: Engine, settings: Mapping[str, Any]) -> int | None:
    """How many nested objects a document may have in an index of these settings (flat); None where any number is
    right."""
    major = engine.version.partition(".")[0]
    if engine.kind != "opensearch" or (major.isdecimal() and int(major) < 3):  # what has no number may be any
        return None
    derived = str(settings.get("index.knn.derived_source.enabled", "true")).lower() == "true"
    return MOST_NESTED if derived else None
