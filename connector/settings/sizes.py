"""How k, window and depth fit together: `1 <= k <= window <= 2 * depth`.

Where nothing is reranked, the window has no say: `1 <= k <= 2 * depth`.

What is lowered pulls the others down with it, and a note says so. What is raised above the others is refused: nobody
pays for a larger window or deeper legs unasked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from connector.errors import SettingsError

PATHS = {"k": "search.k", "window": "rerank.window", "depth": "search.depth"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes that fit together, and what was said of those that had to follow others."""

    k: int
    window: int
    depth: int
    notes: tuple[str, ...] = ()


def fit_sizes(*, k: int, window: int, depth: int, named: Collection[str], reranks: bool) -> Sizes:
    """The sizes, with those that are not `named` cut to fit the others.

    Raises SettingsError where the named ones do not fit."""
    notes = []
    if reranks and window > 2 * depth and "window" not in named and depth >= 1:
        notes.append(f"window is {2 * depth}, not {window}: legs of depth {depth} find no more documents")
        window = 2 * depth
    bound, by = (window, "the window") if reranks else (2 * depth, f"what legs of depth {depth} find")
    if k > bound >= 1 and "k" not in named:
        notes.append(f"k is {bound}, not {k}: {by} holds no more documents")
        k = bound
    check_sizes(k=k, window=window if reranks else None, depth=depth)
    return Sizes(k, window, depth, tuple(notes))


def check_sizes(*, k: int, window: int | None, depth: int) -> None:
    """The rule `1 <= k <= window <= 2 * depth`; a window that is None has no say. Raises SettingsError."""
    if window is None:
        if not 1 <= k <= 2 * depth:
            raise SettingsError(f"k={k} and depth={depth} do not fit together: 1 <= search.k <= 2 * search.depth")
    elif not 1 <= k <= window <= 2 * depth:
        raise SettingsError(
            f"k={k}, window={window} and depth={depth} do not fit together: "
            "1 <= search.k <= rerank.window <= 2 * search.depth; change those that are in the way too"
        )
