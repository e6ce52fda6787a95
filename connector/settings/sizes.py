"""How k, the windows and the depths fit together: `1 <= k <= window <= what the legs find`, each window no larger than
the one before it. Where nothing is reranked, no window has a say.

What is lowered pulls the others down with it, and a note says so. What is raised above the others is refused: nobody
pays for a larger window or deeper legs unasked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connector.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes that fit together, a window for each stage, and what was said of those that had to follow others."""

    k: int
    windows: tuple[int, ...]
    notes: tuple[str, ...] = ()


def fit_sizes(*, k: int, windows: Sequence[int], reach: int, named: Collection[str | int]) -> Sizes:
    """The sizes, with those that are not `named` (`k`, and windows by their position) cut to fit the others.

    `reach` is how many documents the legs find. Raises SettingsError where the named ones do not fit."""
    notes, fitting, bound = [], list[int](), reach
    for position, window in enumerate(windows):
        if window > bound >= 1 and position not in named:
            by = "the stage before hands on" if fitting else "the legs find"
            notes.append(f"window is {bound}, not {window}: {by} no more documents")
            window = bound
        fitting.append(window)
        bound = window
    if k > bound >= 1 and "k" not in named:
        holds = "the window holds" if windows else "the legs find"
        notes.append(f"k is {bound}, not {k}: {holds} no more documents")
        k = bound
    check_sizes(k=k, windows=fitting, reach=reach)
    return Sizes(k, tuple(fitting), tuple(notes))


def check_sizes(*, k: int, windows: Sequence[int], reach: int) -> None:
    """The rule `1 <= k <= last window <= ... <= first window <= reach`. Raises SettingsError."""
    sizes = [1, k, *reversed(windows), reach]
    if sizes == sorted(sizes):
        return
    if not windows:
        raise SettingsError(f"k={k} does not fit the {reach} documents that the legs find: 1 <= search.k <= those")
    all_windows = ", ".join(map(str, windows))
    raise SettingsError(
        f"k={k}, window={all_windows} and the {reach} documents that the legs find do not fit together: 1 <= search.k "
        "<= the last window of search.rerank <= ... <= the first <= those; change those that are in the way too"
    )
