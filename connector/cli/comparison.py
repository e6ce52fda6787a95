"""The four rankings of a query side by side, and the measures of the four over a collection, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from connector.evaluation.runs import STAGES
from connector.types import SearchResponse

GRADE_STYLES = {3: "bold green", 2: "green", 1: "yellow", 0: "red"}


def side_by_side(response: SearchResponse, grades: Mapping[str, int], *, rows: int = 5) -> Table:
    """The best `rows` of each stage; judged documents with their grade, reranked ones with their movement against fused."""
    stages = [stage for stage in STAGES if stage in response.rankings]
    table = Table(title=Text(f"“{response.query}”", style="bold"), title_justify="left", show_edge=False, expand=True)
    table.add_column("#", justify="right", width=2)
    for stage in stages:
        table.add_column(f"{stage} ({response.took_ms.get('fuse' if stage == 'fused' else stage.removesuffix('ed'), 0):.0f} ms)"
                         if stage != "reranked" else f"reranked ({response.took_ms.get('rerank', 0):.0f} ms)", ratio=1)  # fmt: skip
    fused = {hit.doc_id: rank for rank, hit in enumerate(response.rankings["fused"], start=1)}
    for position in range(rows):
        cells = []
        for stage in stages:
            ranking = response.rankings[stage]
            if position >= len(ranking):
                cells.append(Text(""))
                continue
            doc_id = ranking[position].doc_id
            moved = _movement(fused.get(doc_id), position + 1) if stage == "reranked" else ""
            cells.append(_cell(doc_id, grades.get(doc_id), moved))
        table.add_row(str(position + 1), *cells)
    return table


def measures_table(title: str, means: Mapping[str, Mapping[str, float]]) -> Table:
    """stage -> measure -> mean, one row a stage; the best of each column stands out."""
    names = list(next(iter(means.values()), {}))
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column("ranking")
    for name in names:
        table.add_column(name, justify="right")
    best = {name: max(one[name] for one in means.values()) for name in names}
    for stage, values in means.items():
        table.add_row(
            stage, *(Text(f"{values[name]:.3f}", style="bold" if values[name] == best[name] else "") for name in names)
        )
    return table


def times_table(took_ms: Mapping[str, Sequence[float]]) -> Table:
    """stage -> milliseconds: median and 95th percentile."""
    table = Table(title="milliseconds per query", title_justify="left", show_edge=False)
    for column in ("stage", "p50", "p95"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage, took in took_ms.items():
        ordered = sorted(took)
        table.add_row(
            stage,
            f"{ordered[len(ordered) // 2]:.1f}",
            f"{ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]:.1f}",
        )
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
