"""How far judges agree, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from connector.cli.console import results, say, stderr
from connector.judging.trust.agreement import GRADES, JudgeAgreement
from connector.judging.trust.judges import Trust, unknown, verdict
from connector.judging.trust.order import OrderAgreement


def print_trust(trust: Trust) -> None:
    """Each comparison with its table and its sentence; then what nobody knows."""
    console = results()
    for found in trust.comparisons:
        agreement, order = found.agreement, found.order
        _print_sentence(console, f"{agreement.first} (rows) and {agreement.second} (columns):")
        console.print(_table(agreement))
        _print_sentence(console, _shares(agreement))
        if order:
            _print_sentence(console, f"{order.measure} on the {order.queries} queries that both judged:")
            console.print(_orders(agreement, order))
        _print_sentence(console, f"{verdict(found)}\n")
    for sentence in unknown(trust.unmeasured):
        say(sentence)
    if trust.other_scale:
        stderr.print(
            f"{trust.other_scale} grades are not from 0 to 3, and are left out of this", style="yellow", highlight=False
        )


def _table(agreement: JudgeAgreement) -> Table:
    """Pairs by both grades."""
    table = Table()
    table.add_column("grade")
    for grade in GRADES:
        table.add_column(str(grade), justify="right")
    for grade, row in zip(GRADES, agreement.table.astype(int), strict=True):
        table.add_row(str(grade), *map(str, row))
    return table


def _shares(agreement: JudgeAgreement) -> str:
    way = "above" if agreement.lean >= 0 else "below"
    return (
        f"the same grade {agreement.same:.0%}, at most one apart {agreement.within_one:.0%}; {agreement.second} is "
        f"{abs(agreement.lean):.2f} {way} {agreement.first} on average"
    )


def _orders(agreement: JudgeAgreement, order: OrderAgreement) -> Table:
    """The means of each pipeline by both judges."""
    table = Table()
    table.add_column("pipeline")
    table.add_column(agreement.first, justify="right")
    table.add_column(agreement.second, justify="right")
    for name in sorted(order.first_means, key=lambda name: -order.first_means[name]):
        table.add_row(name, f"{order.first_means[name]:.3f}", f"{order.second_means[name]:.3f}")
    return table


def _print_sentence(console: Console, sentence: str) -> None:
    console.print(sentence, highlight=False, soft_wrap=True)
