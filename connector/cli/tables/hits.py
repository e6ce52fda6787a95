"""The hits of a search, on a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from connector.cli.console import results, stderr
from connector.types import SearchHit, SearchResponse

SNIPPET_CHARS = 240


def print_response(response: SearchResponse) -> None:
    """A row for each hit, with its ranks in what placed it; then how the search went."""
    console = results()
    table = Table(title=Text(response.query), title_justify="left", show_edge=False, row_styles=("", "dim"))
    table.add_column("#", justify="right")
    table.add_column("document", ratio=1)
    columns = _columns(response)
    for column in columns:
        table.add_column(column, justify="right")
    for hit in response.hits:
        table.add_row(str(hit.rank), _document(hit), *(_rank_in(column, hit) for column in columns))
    console.print(table)
    if response.aggregations:
        console.print_json(data=response.aggregations)
    took = "  ".join(f"{stage} {took:.0f}" for stage, took in response.took_ms.items())
    found = f"{len(response.hits)} hits{_of_total(response)}"
    stderr.print(f"{found}; milliseconds: {took}", style="dim", highlight=False)
    degraded = {missing.stage for missing in response.degraded}
    for name, outcome in response.stages.items():
        if not outcome.ran and name not in degraded:
            stderr.print(f"{name} was left out: {outcome.why}", style="dim", highlight=False)
    if response.cursor:
        stderr.print(f"the next page: --cursor {response.cursor}", style="dim", highlight=False, soft_wrap=True)
    for note in response.notes:
        stderr.print(f"note: {note}", style="dim", highlight=False)
    for missing in response.degraded:
        stderr.print(f"degraded: {missing.stage}: {missing.reason}", style="yellow", highlight=False)


def _of_total(response: SearchResponse) -> str:
    if response.total is None:
        return ""
    count = f"{'at least ' if response.total.relation == 'gte' else ''}{response.total.value:,}"
    # other legs find documents that the lexical query does not match: "5 hits of 1" would be no count of anything
    return f" of {count}" if response.total.counted == "union" else f"; the lexical query matches {count}"


def _document(hit: SearchHit) -> Text:
    title = str(hit.fields.get("title") or hit.doc_id)
    snippet = " ".join(hit.passage.text.split()) if hit.passage else ""
    snippet = snippet.removeprefix(title).strip()
    head = Text.assemble((title, "bold"), f"  {hit.doc_id}\n" if title != hit.doc_id else "\n")
    return head + _marked(hit) if hit.highlight else head + Text(snippet[:SNIPPET_CHARS])


def _marked(hit: SearchHit) -> Text:
    """The fragments of a hit, the marked words in bold."""
    fragments = " … ".join(" ".join(fragment.split()) for found in hit.highlight.values() for fragment in found)
    plain, *marked = fragments.split("<em>")
    text = Text(plain)
    for piece in marked:
        word, _, rest = piece.partition("</em>")
        text.append(word, "bold").append(rest)
    return text


def _columns(response: SearchResponse) -> list[str]:
    """The parts that placed a document: legs, the fusion, and rerank stages, also those that did not run."""
    return [name for name in dict.fromkeys((*response.rankings, *response.stages)) if name != "reranked"]


def _rank_in(column: str, hit: SearchHit) -> str:
    explain = hit.explain
    if column == "fused":
        return str(explain.fused_rank or "–")
    place = explain.legs.get(column) or explain.stages.get(column)
    return str(place.rank) if place else "–"
