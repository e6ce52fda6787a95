"""How many hits, windows and depths fit together."""

from __future__ import annotations

import pytest
from support.given_settings import load

from connector.errors import SettingsError
from connector.settings.sections import Settings
from connector.settings.sizes import check_sizes


@pytest.mark.parametrize(("k", "windows", "reach"), [(1, [1], 1), (10, [50, 20], 200), (2, [2], 2), (3, [], 3)])
def test_sizes_that_fit_together_pass(k: int, windows: list[int], reach: int) -> None:
    check_sizes(k=k, windows=windows, reach=reach)


@pytest.mark.parametrize(
    ("k", "windows", "reach"),
    [(0, [1], 2), (11, [10], 200), (1, [201], 200), (-1, [5], 10), (5, [10, 20], 200), (5, [20, 4], 200), (9, [], 8)],
)
def test_sizes_that_do_not_fit_together_are_refused(k: int, windows: list[int], reach: int) -> None:
    with pytest.raises(SettingsError, match=r"not fit .*1 <= search\.k <= "):
        check_sizes(k=k, windows=windows, reach=reach)


def test_a_window_holds_what_legs_of_any_depths_find_together() -> None:
    settings = load("search: {legs: {dense: {depth: 5}, lexical: {depth: 7}, titles: {kind: lexical, depth: 2}}}")

    assert (settings.search.reach, settings.first_stage.window) == (14, 14)


def test_sizes_are_checked_in_settings() -> None:
    with pytest.raises(SettingsError, match=f"k=60, window={Settings().first_stage.window}"):
        load("search: {k: 60}")
    with pytest.raises(SettingsError, match="window=20, 30 "):
        load("search: {rerank: [{window: 20}, {name: again, window: 30}]}")


@pytest.mark.parametrize(
    ("text", "flags", "sizes"),
    [
        ("search: {depth: 10}", {}, (10, 20, 10)),
        ("search: {depth: 3}", {}, (6, 6, 3)),
        ("search: {rerank: {window: 4}}", {}, (4, 4, 100)),
        ("search: {k: 10, depth: 100, rerank: {window: 50}}", {"search.depth": 10}, (10, 20, 10)),
        ("search: {k: 10}", {"search.rerank": {"window": 5}}, (5, 5, 100)),
        ("search: {k: 60, rerank: off}", {}, (60, 50, 100)),
        ("search: {depth: 10}", {"search.k": 3}, (3, 20, 10)),
    ],
)
def test_a_size_that_is_lowered_pulls_the_others_down(
    text: str, flags: dict[str, int], sizes: tuple[int, int, int]
) -> None:
    settings = load(text, **flags)
    lowered = [size for size, usual in zip(sizes, (10, 50, 100), strict=True) if size < usual]

    assert (settings.search.k, settings.first_stage.window, settings.search.depth) == sizes
    assert bool(settings.size_notes) == (len(lowered) > 1)
    assert Settings.model_validate(settings.model_dump()) == settings
