"""A reranker as stages refer to it: by its name, left alone for a while where it fails again and again."""

from __future__ import annotations

from dataclasses import dataclass

from connector.rerankers.protocol import Reranker
from connector.retries import CircuitBreaker


@dataclass(frozen=True, slots=True)
class NamedReranker:
    """Stages that refer to the same reranker share its breaker."""

    name: str
    client: Reranker
    breaker: CircuitBreaker
