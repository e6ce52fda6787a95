"""What goes wrong with searches, in the log: at once, and then not again and again."""

from __future__ import annotations

import logging
import time

from connector.gateway.ordering.order import Degraded

log = logging.getLogger(__name__)
QUIET_S = 10.0
NOT_FITTING = "not fitting"


class Complaints:
    """Each part of a site is complained of once in a while, with how often it failed since. It is told of once the
    caller has the engine's own answer, and not before."""

    def __init__(self) -> None:
        self._logged_at: dict[tuple[str, str], float] = {}
        self._unlogged: dict[tuple[str, str], int] = {}

    def add(self, site: str, legs: frozenset[str], part: Degraded) -> None:
        """A search got the engine's own answer since a part failed. What the engine says of a leg may repeat words of
        the query, so that it is told below INFO only."""
        is_secret = part.reason in legs
        if is_secret:
            log.debug("gateway: %s of %s: %s", part.reason, site, part)
        if (more := self._more(site, part.reason)) is None:
            return
        log.warning(
            "gateway: a search of %s got the engine's own answer, since %s failed or was late%s%s",
            *(site, part.reason, "" if is_secret else f": {part}", more),
        )

    def add_left(self, left: int, of: int) -> None:
        """So many searches of an `_msearch` got the engine's own answer, since no more fit into the deadline."""
        if not left or (more := self._more("_msearch", NOT_FITTING)) is None:
            return
        log.warning(
            "gateway: %d of the %d searches of an _msearch got the engine's own answer, since no more of them are "
            "reranked within the deadline%s",
            *(left, of, more),
        )

    def _more(self, where: str, reason: str) -> str | None:
        """How often it was not told of since; None where it is not told of now."""
        key, now = (where, reason), time.monotonic()
        if now - self._logged_at.get(key, -QUIET_S) < QUIET_S:
            self._unlogged[key] = self._unlogged.get(key, 0) + 1
            return None
        self._logged_at[key] = now
        more = self._unlogged.pop(key, 0)
        return f" ({more} more since it was last told)" if more else ""
