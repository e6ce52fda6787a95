"""What says that two requests are of the same search, so that a cursor of the first belongs to the second."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields

from connector.settings.search import SearchSettings
from connector.types import SearchRequest

# what may differ from page to page
FREE = frozenset(
    {"k", "deadline_s", "cursor", "offset", "credentials", "aggs", "highlight", "source", "facets", "total"}
)


def digest_of(request: SearchRequest, search: SearchSettings) -> str:
    """A digest of all that the order of a search depends on."""
    given = {field.name: getattr(request, field.name) for field in fields(request) if field.name not in FREE}
    scope = request.credentials.scope if request.credentials else ""
    legs = {name: leg.model_dump() for name, leg in search.legs.items()}
    content = json.dumps([given, scope, legs], sort_keys=True, default=repr)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
