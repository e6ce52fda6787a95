"""The differences of a run -> what the page shows of them: sums, measures, and rows in the order that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from connector.gateway.ui.lists.difference import QueryDifference
from connector.gateway.ui.page_params import PageParams

if TYPE_CHECKING:
    from connector.gateway.ui.lists.measured import JudgedFigures

ROWS = 100  # that are shown unless all are asked for
NOWHERE = 10**9  # behind every rank
CHANGED_MOST = "alike"


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A query of the table; `values` are its two values of the first measure, None where it has no judgments."""

    difference: QueryDifference
    address: str  # of the single comparison
    values: tuple[float, float] | None

    @property
    def gain(self) -> float | None:
        return self.values[1] - self.values[0] if self.values else None


KEYS: Mapping[str, Callable[[DifferenceRow], float]] = {
    CHANGED_MOST: lambda row: row.difference.alike,
    "kept": lambda row: row.difference.kept - row.difference.top,
    "first": lambda row: row.difference.first_change or NOWHERE,
    "gain": lambda row: row.gain or 0.0,
}
COLUMNS = (*KEYS, "query")


@dataclass(frozen=True, slots=True)
class Sorting:
    """By which column, and whether from its other end; whether all rows are shown."""

    run_id: str
    column: str = CHANGED_MOST
    reverse: bool = False
    whole: bool = False

    def address(self, column: str) -> str:
        """Of the table by that column; a second time from its other end."""
        return self._address(column, reverse=column == self.column and not self.reverse, whole=self.whole)

    @property
    def same_address(self) -> str:
        """Of this same table."""
        return self._address(self.column, reverse=self.reverse, whole=self.whole)

    @property
    def whole_address(self) -> str:
        """Of the same table with all rows."""
        return self._address(self.column, reverse=self.reverse, whole=True)

    def direction(self, column: str) -> str | None:
        """What a header says of its column (aria-sort); None where another one decides."""
        if column != self.column:
            return None
        return "descending" if self.reverse else "ascending"

    def _address(self, column: str, *, reverse: bool, whole: bool) -> str:
        pairs = [
            ("run", self.run_id),
            ("sort", f"-{column}" if reverse else column),
            *([("all", "1")] if whole else []),
        ]
        return "list?" + urlencode(pairs)


@dataclass(frozen=True, slots=True)
class ListSummary:
    """What the queries have in common, and the rows that are shown of `count`. `same` are those whose first hits did
    not change, `first_hit` those with another first hit, `took_ms` the medians of both, `degraded` the queries of which
    something was left out."""

    count: int
    alike: float
    same: int
    first_hit: int
    took_ms: tuple[float, float]
    degraded: int
    figures: JudgedFigures | None
    rows: tuple[DifferenceRow, ...]


def read_sorting(given: QueryParams) -> Sorting:
    """Of an address; what is no column of the table is not taken."""
    sort = given.get("sort", "")
    column = sort.removeprefix("-")
    is_known = column in COLUMNS
    return Sorting(
        given.get("run", ""),
        column if is_known else CHANGED_MOST,
        is_known and sort.startswith("-"),
        bool(given.get("all")),
    )


def summarise(
    params: PageParams,
    differences: Sequence[QueryDifference],
    judgments: Mapping[str, Mapping[str, int]],
    sorting: Sorting,
) -> ListSummary | None:
    """None where no query is compared yet. `judgments`: query -> doc_id -> grade."""
    if not differences:
        return None
    figures = _measure(differences, judgments)
    values = figures.values if figures else {}
    rows = [
        DifferenceRow(difference, _single(params, difference.query), values.get(difference.query))
        for difference in differences
    ]
    rows = sort_rows(rows, sorting)
    before, after = ([difference.took_ms[side] for difference in differences] for side in (0, 1))
    return ListSummary(
        len(differences),
        fmean(difference.alike for difference in differences),
        sum(difference.best[0] == difference.best[1] for difference in differences),
        sum(difference.first_change == 1 for difference in differences),
        (median(before), median(after)),
        sum(bool(difference.left_out) for difference in differences),
        figures,
        tuple(rows if sorting.whole else rows[:ROWS]),
    )


def sort_rows(rows: Sequence[DifferenceRow], sorting: Sorting) -> list[DifferenceRow]:
    """Rows that are the same in the column stay in the order of their queries."""
    by_text = sorted(rows, key=lambda row: row.difference.query.casefold())
    if sorting.column not in KEYS:
        return by_text[::-1] if sorting.reverse else by_text
    key, sign = KEYS[sorting.column], -1 if sorting.reverse else 1
    is_gain = sorting.column == "gain"  # what has no judgments comes last, whichever way
    return sorted(by_text, key=lambda row: (is_gain and row.gain is None, sign * key(row)))


def _measure(
    differences: Sequence[QueryDifference], judgments: Mapping[str, Mapping[str, int]]
) -> JudgedFigures | None:
    if not judgments:
        return None
    from connector.gateway.ui.lists.measured import measure_differences  # of the extra `judge`, as the judgments

    return measure_differences(differences, judgments)


def _single(params: PageParams, query: str) -> str:
    """The address of the comparison of one query."""
    return "./" + PageParams(query, params.filters, params.searched, params.against).address
