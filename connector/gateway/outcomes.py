"""How many searches through the gateway were reranked, which way, and how many got the engine's own answer."""

from __future__ import annotations

import re
from collections import Counter

from connector.gateway.exchange import Passed, Replied

_SAID = re.compile(rb"(?P<done>\w+)(?:.*?;reason=(?P<reason>[^;,]+))?(?:.*?;mode=(?P<mode>\w+))?")
HEADER = b"x-rerank"


class Outcomes:
    """Counts of this process, by what was done and, of `degraded`, by its cause. `done` is `bounded`, `union`,
    `degraded` or `passed`; of an `_msearch` that was not passed on whole, `reranked`."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def count(self, answered: Replied | Passed) -> None:
        """One answer of the interceptor."""
        if isinstance(answered, Passed):
            self.counts["passed", ""] += 1
            return
        said = next((value for name, value in answered.headers if name.lower() == HEADER), b"")
        found = _SAID.match(said)
        done = (found["mode"] or found["done"]).decode("ascii", "replace") if found else "passed"
        cause = found["reason"].decode("ascii", "replace") if found and done == "degraded" and found["reason"] else ""
        self.counts[done, cause] += 1
