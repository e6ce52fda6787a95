"""What a back-fill would do and take, on a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from connector.backfill.planning.dry_run import BackfillRehearsal
from connector.backfill.planning.estimate import Estimate
from connector.cli.console import results

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
UNITS = ("bytes", "kB", "MB", "GB", "TB")


def print_rehearsal(found: BackfillRehearsal) -> None:
    """The verdict, what would be added, and what that takes, with how each figure came about."""
    out, verdict = results(), found.verdict
    state = "would be filled where it is" if verdict.in_place else "cannot be filled where it is"
    out.print(Text(f"index {verdict.index} {state}; nothing was written"))
    for reason in (*verdict.obstacles, *verdict.concerns):
        out.print(Text(f"- {reason}"))
    fields = ", ".join(found.mapping["properties"])
    out.print(Text(f"its mapping would get {fields}, and a note in _meta (--json prints it)"))
    out.print(_figures(found.estimate))
    out.print(Text("\nmemory that searches should find the vectors in, outside the heap:"))
    out.print(_memory(found.estimate))


def _figures(found: Estimate) -> Table:
    table = Table(show_edge=False)
    table.add_column("what")
    table.add_column("about", justify="right")
    table.add_column("how that was found out", overflow="fold")
    mean = found.passages / found.documents if found.documents else 0
    spread = f" (± {found.passages_error:.0%})" if found.passages_error else ""
    copies = f", {found.copies} copies" if found.copies > 1 else ""
    rows = [
        ("documents", f"{found.documents:,}", "counted"),
        ("of them without text", f"{found.without_text:,}", f"{found.sampled:,} documents at random"),
        (
            "passages",
            f"{found.passages:,}{spread}",
            f"{mean:.1f} a document, at most {found.most_passages} in the sample",
        ),
        ("tokens", f"{found.tokens:,}", "of the sample's passages"),
        ("encoder", spell_time(found.encode_s), f"{found.tokens_per_s:,.0f} tokens a second, measured here and now"),
        ("writes", spell_time(found.write_s), "reckoned; the engine, its disks and others decide"),
        ("together", spell_time(found.seconds), "both go side by side, and the slower one counts"),
        ("disk: vectors", spell_bytes(found.vector_bytes), f"reckoned for {found.chosen}, with its graph{copies}"),
        ("disk: in _source", spell_bytes(found.source_bytes), _why_source(found)),
        ("disk: texts", spell_bytes(found.text_bytes), f"reckoned: kept twice and indexed{copies}"),
        ("disk: for a while", spell_bytes(found.rewritten_bytes), "each document is written anew, and merged later"),
    ]
    for label, figure, how in rows:
        table.add_row(label, figure, Text(how))
    return table


def _why_source(found: Estimate) -> str:
    return "the vectors as numbers in JSON" if found.source_bytes else "the engine leaves vectors out of it"


def _memory(found: Estimate) -> Table:
    table = Table(show_edge=False)
    table.add_column("vector index")
    table.add_column("about", justify="right")
    for name, count in found.memory.items():
        table.add_row(f"{name} (chosen)" if name == found.chosen else name, spell_bytes(count))
    return table


def spell_bytes(count: float) -> str:
    """12.3 MB"""
    unit = 0
    while count >= 1000 and unit < len(UNITS) - 1:
        count /= 1000
        unit += 1
    return f"{count:.0f} {UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {UNITS[unit]}"


def spell_time(seconds: float) -> str:
    """45 s, 12 min, 3.4 h, 2.1 days"""
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    return f"{seconds / HOUR_S:.1f} h" if seconds < 2 * DAY_S else f"{seconds / DAY_S:.1f} days"
