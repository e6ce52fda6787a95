"""Judged queries -> those that settings are chosen on, and those that they are judged on."""

from __future__ import annotations

import random

from connector.errors import SettingsError
from connector.evaluation.datasets import Collection

SEED = 29  # not that of samples: a sample would else be split along its own order
FEWEST = 10  # queries on either side


def split(collection: Collection, *, test_share: float) -> tuple[Collection, Collection]:
    """The queries to choose on and those to test on, the same every time. Raises SettingsError for too few of either."""
    queries = sorted(collection.queries, key=lambda query: query.query_id)
    random.Random(SEED).shuffle(queries)
    tested = round(len(queries) * test_share)
    train, test = queries[tested:], queries[:tested]
    if min(len(train), len(test)) < FEWEST:
        raise SettingsError(
            f"{len(queries)} judged queries make {len(train)} to choose on and {len(test)} to test on; each side needs {FEWEST}, so "
            f"judge more queries" + (", or take --test-share 0.5" if len(queries) >= 2 * FEWEST else "")
        )
    return collection.only(train), collection.only(test)
