"""Rankings of a query side by side, and the measures and times of several over a collection, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from connector.evaluation.statistics.latency import Percentiles
from connector.types import Ranking, SearchResponse

GRADE_STYLES = {3: "bold green", 2: "green", 1: "yellow", 0: "red"}


def side_by_side(response: SearchResponse, grades: Mapping[str, int], *, rows: int = 5) -> Table:
    """The best `rows` of each stage; judged documents with their grade, reranked ones with their movement against
    fused."""
    timed = {"fused": "fuse"}
    columns = {
        f"{stage} ({response.took_ms.get(timed.get(stage, stage), 0):.0f} ms)": ranking
        for stage, ranking in response.rankings.items()
        if stage != "reranked"  # the last stage's again
    }
    moved_from = response.rankings["fused"] if "reranked" in response.rankings else ()
    return rankings_table(f"“{response.query}”", columns, grades, rows=rows, moved_from=moved_from)


def rankings_table(
    title: str, columns: Mapping[str, Ranking], grades: Mapping[str, int], *, rows: int, moved_from: Ranking = ()
) -> Table:
    """The best `rows` of each ranking, with grades; in the last column also how far each document moved from a
    ranking."""
    table = Table(title=Text(title, style="bold"), title_justify="left", show_edge=False, expand=True)
    table.add_column("#", justify="right", width=2)
    for name in columns:
        table.add_column(Text(name), ratio=1)
    before = {hit.doc_id: rank for rank, hit in enumerate(moved_from, start=1)}
    last = list(columns)[-1]
    for rank in range(1, rows + 1):
        cells = []
        for name, ranking in columns.items():
            doc_id = ranking[rank - 1].doc_id if rank <= len(ranking) else None
            moved = _movement(before.get(doc_id), rank) if doc_id is not None and name == last else ""
            cells.append(Text("") if doc_id is None else _cell(doc_id, grades.get(doc_id), moved))
        table.add_row(str(rank), *cells)
    return table


def measures_table(title: str, means: Mapping[str, Mapping[str, float]]) -> Table:
    """stage -> measure -> mean, one row a stage; the best of each column stands out."""
    names = list(next(iter(means.values()), {}))
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column("ranking")
    for name in names:
        table.add_column(name, justify="right")
    best = {name: max(values[name] for values in means.values()) for name in names}
    for stage, values in means.items():
        table.add_row(
            stage, *(Text(f"{values[name]:.3f}", style="bold" if values[name] == best[name] else "") for name in names)
        )
    return table


def times_table(
    times: Mapping[str, Percentiles],
    *,
    of: str = "stage",
    title: str = "milliseconds per query",
    percentiles: Sequence[str] = ("p50", "p95"),
) -> Table:
    """stage (or what it is `of`) -> milliseconds: the percentiles that are to be printed."""
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column(of)
    for name in percentiles:
        table.add_column(name, justify="right")
    for stage, of_stage in times.items():
        table.add_row(stage, *(f"{getattr(of_stage, name):.1f}" for name in percentiles))
    return table


def _cell(doc_id: str, grade: int | None, moved: str) -> Text:
    mark = "·" if grade is None else str(grade)
    return Text.assemble(
        (f"{mark} ", GRADE_STYLES.get(grade if grade is not None else -1, "dim")),
        doc_id,
        (moved, "cyan"),
        overflow="ellipsis",
        no_wrap=True,
    )


def _movement(before: int | None, now: int) -> str:
    if before is None or before == now:
        return ""
    return f" ↑{before - now}" if before > now else f" ↓{now - before}"
