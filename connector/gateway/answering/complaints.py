"""What goes wrong with searches, in the log: at once, and then not again and again."""

from __future__ import annotations

import logging
import time

from connector.gateway.ordering.order import Degraded

log = logging.getLogger(__name__)
QUIET_S = 10.0


class Complaints:
    """Each part of a site is complained of once in a while, with how often it failed since."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def add(self, site: str, legs: frozenset[str], part: Degraded) -> None:
        """A search got the engine's own answer since a part failed. What the engine says of a leg may repeat words of
        the query, so that it is told below INFO only."""
        key, now = (site, part.reason), time.monotonic()
        if part.reason in legs:
            log.debug("gateway: %s of %s: %s", part.reason, site, part)
        if now - self._said.get(key, -QUIET_S) < QUIET_S:
            self._unsaid[key] = self._unsaid.get(key, 0) + 1
            return
        self._said[key] = now
        why = "" if part.reason in legs else f": {part}"
        more = self._unsaid.pop(key, 0)
        log.warning(
            "gateway: a search of %s got the engine's own answer, since %s failed or was late%s%s",
            *(site, part.reason, why, f" ({more} more since it was last told)" if more else ""),
        )
