"""How many searches through the gateway were reranked, which way, and how many got the engine's own answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from connector.gateway.exchange import RERANK_KEY, Interception, NotIntercepted

SEVERAL = {"reranked": "searches", "degraded": "degraded", "left": "left"}  # parts of the header of an `_msearch`


class Outcomes:
    """Counts of this process, by what was done and, of `degraded`, by its cause. `done` is `bounded`, `union`,
    `degraded` or `passed`. Each search of an `_msearch` counts, as `reranked`, `degraded`, `passed`, or as `left` where
    no more of them fit into the deadline."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def count(self, answered: Interception) -> None:
        """One answer of the interceptor."""
        if isinstance(answered, NotIntercepted):
            self.counts["passed", ""] += 1
            return
        header = next((value for name, value in answered.headers if name.lower() == RERANK_KEY), b"passed")
        done, *parts = header.decode("ascii", "replace").split(";")
        parameters = dict(part.partition("=")[::2] for part in parts)
        if "of" in parameters:
            self._count_several(parameters)
        else:
            self.counts[parameters.get("mode", done), parameters.get("reason", "") if done == "degraded" else ""] += 1

    def _count_several(self, parameters: Mapping[str, str]) -> None:
        found = {name: int(parameters.get(part, 0)) for name, part in SEVERAL.items()}
        found["passed"] = int(parameters["of"]) - sum(found.values())
        for name, number in found.items():
            if number:
                self.counts[name, ""] += number
