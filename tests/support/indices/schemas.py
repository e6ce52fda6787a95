"""How an index of a test is made where the test does not say: as the settings have it."""

from __future__ import annotations

from typing import Any

from connector.schema import PassageSettings, VectorSettings
from connector.settings.sections import Settings

DEFAULTS = Settings()
VECTORS = VectorSettings(**DEFAULTS.index.vectors.model_dump())
MADE: dict[str, Any] = {
    "analyzer": DEFAULTS.index.analyzer,
    "passages": PassageSettings(**DEFAULTS.passages.model_dump()),
    "vectors": VECTORS,
}
