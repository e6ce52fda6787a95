"""Rankings -> columns side by side, and the lines between them that show who moved."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from connector.types import Ranking, SearchResponse

Direction = Literal["up", "down", "level"]
ROW = 10.0  # height of a row in the drawing's own units
TIMED = {"fused": "fuse"}  # how took_ms calls what made a ranking, where it has another name


@dataclass(frozen=True, slots=True)
class Cell:
    """A place of a ranking. `final` is the document's rank in the last column, None where it is not there."""

    doc_id: str
    rank: int
    title: str
    final: int | None


@dataclass(frozen=True, slots=True)
class RankingColumn:
    """The best documents of a ranking, and the milliseconds that it took, None where they are not known."""

    name: str
    cells: tuple[Cell, ...]
    took_ms: float | None


@dataclass(frozen=True, slots=True)
class LineOfMove:
    """A document's way from a column to the next one, in the drawing's units. What comes from or goes to a place below
    the last row that is shown begins or ends at the lower edge."""

    doc_id: str
    start: float
    end: float
    direction: Direction


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The columns, and the lines of each gap between two of them. `rows` are those of the longest column."""

    columns: tuple[RankingColumn, ...]
    gaps: tuple[tuple[LineOfMove, ...], ...]
    rows: int

    @property
    def height(self) -> float:
        """Of the drawing, in its own units."""
        return self.rows * ROW


def rankings_of(response: SearchResponse) -> dict[str, Ranking]:
    """The legs, what their fusion made of them, and the order after each rerank stage."""
    return {name: ranking for name, ranking in response.rankings.items() if name != "reranked"}


def whole_order(response: SearchResponse) -> Ranking:
    """The ranking that the hits came from, down to the last document that was found."""
    rankings = rankings_of(response)
    return rankings[next(reversed(rankings))] if rankings else ()


def without_titles(rankings: Iterable[Ranking], known: Container[str], *, rows: int) -> list[str]:
    """The documents among the first `rows` of a ranking that nothing is known of."""
    visible = dict.fromkeys(hit.doc_id for ranking in rankings for hit in ranking[:rows])
    return [doc_id for doc_id in visible if doc_id not in known]


def put_side_by_side(
    rankings: Mapping[str, Ranking], titles: Mapping[str, str], took_ms: Mapping[str, float], *, rows: int
) -> SideBySide:
    """The first `rows` of each ranking; a document without a title is called by its id."""
    places = {name: {hit.doc_id: at for at, hit in enumerate(ranking, 1)} for name, ranking in rankings.items()}
    final = places[next(reversed(places))] if places else {}
    columns = tuple(
        RankingColumn(
            name,
            tuple(
                Cell(hit.doc_id, rank, titles.get(hit.doc_id, hit.doc_id), final.get(hit.doc_id))
                for rank, hit in enumerate(ranking[:rows], 1)
            ),
            took_ms.get(TIMED.get(name, name)),
        )
        for name, ranking in rankings.items()
    )
    longest = max((len(column.cells) for column in columns), default=0)
    names = list(rankings)
    gaps = tuple(_lines(places[left], places[right], longest) for left, right in pairwise(names))
    return SideBySide(columns, gaps, longest)


def _lines(left: Mapping[str, int], right: Mapping[str, int], rows: int) -> tuple[LineOfMove, ...]:
    """Of the documents that both rankings have, and one of them among its first rows."""
    ways = [(doc_id, before, right[doc_id]) for doc_id, before in left.items() if doc_id in right]
    return tuple(
        LineOfMove(doc_id, _height(before, rows), _height(after, rows), _direction(before, after))
        for doc_id, before, after in ways
        if min(before, after) <= rows
    )


def _height(rank: int, rows: int) -> float:
    return min((rank - 0.5) * ROW, rows * ROW)


def _direction(before: int, after: int) -> Direction:
    return "level" if before == after else "up" if after < before else "down"
