"""What every leg can do. Nobody inherits from anything here to fit."""

from __future__ import annotations

from typing import Protocol

from connector.search.run import SearchRun
from connector.settings.search import LegKind
from connector.types import Ranking


class Leg(Protocol):
    """Finds documents for a query."""

    name: str
    kind: LegKind

    def check(self, run: SearchRun) -> None:
        """Nothing, where the run's index can be asked this. Raises QueryError, which says why not."""
        ...

    async def ask(self, run: SearchRun) -> Ranking | None:
        """What it found, best first; None where it failed, which the run has noted."""
        ...
