"""What is known of an index before anything is written to it; what reads it is in `planning/reading.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.backfill.versions import NOTHING_SEEN, CountedVersions
from connector.clusters.protocol import Engine

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one concrete index. `settings` are flat, with the defaults of its engine below those that are
    set; `unread` says of each thing that could not be read why not (`mapping`, `settings`, `documents`)."""

    index: str
    engine: Engine
    mapping: JSON
    settings: Mapping[str, Any]
    aliases: tuple[str, ...] = ()
    data_stream: str = ""
    is_open: bool = True
    documents: int | None = None
    versions: CountedVersions = NOTHING_SEEN
    unmapped: frozenset[str] = frozenset()  # of the names that were asked for, those that documents have
    metadata_blocked: bool = False
    denied: Mapping[str, str] = field(default_factory=dict)  # what may not be done -> the privilege that is missing
    unread: Mapping[str, str] = field(default_factory=dict)

    def setting(self, name: str, default: str = "") -> str:
        """A setting as text, `index.` left out of its name; a default of ours where the engine tells none."""
        found = self.settings.get(f"index.{name}", default)
        return ",".join(map(str, found)) if isinstance(found, list) else str(found)

    def is_set(self, name: str) -> bool:
        return self.setting(name, "false").lower() == "true"

    @property
    def is_elasticsearch(self) -> bool:
        return self.engine.kind == "elasticsearch"

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the engine."""
        major, minor = [*self.engine.version.split("."), "0"][:2]
        return int(major), int(minor)
