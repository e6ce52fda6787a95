"""Judged queries -> those that settings are chosen on, and those that they are judged on."""

from __future__ import annotations

from connector.errors import SettingsError
from connector.evaluation.files.datasets import Collection

SEED = 29  # not that of samples: a sample would else be split along its own order
FEWEST = 10  # queries on either side


def split(collection: Collection, *, test_share: float) -> tuple[Collection, Collection]:
    """The queries to choose on and those to test on, the same every time. Raises SettingsError for too few of
    either."""
    count = len(collection.queries)
    train, test = collection.split(round(count * test_share), seed=SEED)
    if min(len(train.queries), len(test.queries)) < FEWEST:
        raise SettingsError(
            f"{count} judged queries make {len(train.queries)} to choose on and {len(test.queries)} to test on; "
            f"each side needs {FEWEST}, "
            f"so judge more queries" + (", or take --test-share 0.5" if count >= 2 * FEWEST else "")
        )
    return train, test
