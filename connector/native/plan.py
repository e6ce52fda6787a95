"""What is to be put into an engine, what is there, and who puts it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from connector.clusters.dialect import JSON
from connector.schema import IndexSchema
from connector.settings.search import FusionSettings

EXAMPLE_QUERY = "how long does a registered deal last"
MADE, CHANGED, UNCHANGED, REMOVED, LEFT_OUT, MISSING = (
    "made",
    "changed",
    "unchanged",
    "removed",
    "left out",
    "not there",
)


@dataclass(frozen=True, slots=True)
class NativePlan:
    """An index, the worker as the cluster reaches it, and how its hits are to be fused and reranked.

    `field` is the text field that is meant where an engine takes one only; None: not said. `encoder` is the name of the
    worker's encoder; `model_group` the ML Commons model group of the models (None: one of their own)."""

    index: str
    schema: IndexSchema
    worker_url: str
    api_key: str | None
    fusion: FusionSettings
    weights: tuple[float, float]  # of the lexical and the dense leg
    k: int
    window: int
    depth: int
    embeddings: bool
    encoder: str
    field: str | None = None
    model_group: str | None = None


@dataclass(frozen=True, slots=True)
class PartNames:
    """What the parts for one index are called. Nothing of another index is called so."""

    index: str

    @property
    def rerank(self) -> str:
        return f"connector-{self.index}-rerank"

    @property
    def embedding(self) -> str:
        return f"connector-{self.index}-embedding"

    @property
    def ingest(self) -> str:
        return f"connector-{self.index}-ingest"

    @property
    def search(self) -> str:
        return f"connector-{self.index}-search"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing in an engine: `id` is empty where it is not there, `state` says how it is or what was done to it."""

    kind: str
    name: str
    state: str
    id: str = ""
    detail: str = ""

    def as_(self, state: str) -> Part:
        """The same part in another state."""
        return replace(self, state=state)


@dataclass(frozen=True, slots=True)
class ExampleSearch:
    """A request that uses what was installed, to be pasted: "POST /kb/_search..." and its body."""

    request: str
    body: JSON


@dataclass(frozen=True, slots=True)
class Installed:
    """What is there after an installation, each part with what was done to it, and how to use it."""

    parts: Sequence[Part]
    example: ExampleSearch


class Native(Protocol):
    """What puts our parts into one engine. Every method raises ClusterError with what to do about it."""

    async def install(self, plan: NativePlan) -> Installed:
        """Make what is not there, change what differs, leave the rest alone; the worker was called through the
        engine."""
        ...

    async def show(self) -> list[Part]:
        """Our parts and their state; changes nothing."""
        ...

    async def remove(self) -> list[Part]:
        """Take out what `install` made, and nothing else; what was removed."""
        ...
