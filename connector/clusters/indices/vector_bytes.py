"""What a vector takes on disk and in memory, by how it is indexed: reckoned from what engines were measured to do, and
from what they say of themselves (docs/measurements/backfill.md says how far off that was)."""

from __future__ import annotations

from connector.clusters.indices.vector_choices import VectorChoice

ELEMENT_BYTES = {"float": 4.0, "bfloat16": 2.0, "byte": 1.0}
CORRECTION_BYTES = 16.0  # beside each quantised vector
EDGE_BYTES = 2.0  # of a neighbour in a graph of Lucene; a vector has up to 2 m of them
FAISS_EDGE_BYTES = 4.0  # the same in faiss, as OpenSearch reckons it
WITHOUT_GRAPH = frozenset({"flat", "bbq_disk"})


def disk_bytes(choice: VectorChoice, dims: int, m: int) -> float:
    """What one vector takes in the index's own files: its numbers, their coarser copy, its edges."""
    numbers = dims * ELEMENT_BYTES[choice.element]
    return numbers + (_copy_bytes(choice, dims) if _is_copied(choice) else 0.0) + _graph_bytes(choice, m)


def memory_bytes(choice: VectorChoice, dims: int, m: int) -> float:
    """What one vector takes of the memory that searches should find it in: the page cache, or faiss' own. Those are its
    numbers as they are compared, and its edges."""
    return (_copy_bytes(choice, dims) if _is_copied(choice) else dims * choice.bits / 8) + _graph_bytes(choice, m)


def _is_copied(choice: VectorChoice) -> bool:
    """Whether a coarser copy is compared, and the numbers themselves are kept beside it."""
    return choice.element in ("float", "bfloat16") and 0 < choice.bits < 8 * ELEMENT_BYTES[choice.element]


def _copy_bytes(choice: VectorChoice, dims: int) -> float:
    return dims * choice.bits / 8 + CORRECTION_BYTES


def _graph_bytes(choice: VectorChoice, m: int) -> float:
    if choice.name in WITHOUT_GRAPH:
        return 0.0
    return 2 * m * (FAISS_EDGE_BYTES if choice.name.startswith("faiss") else EDGE_BYTES)
