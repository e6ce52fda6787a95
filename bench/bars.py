"""A chart of bars that lie, in groups, as an SVG file."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2")
WIDTH, MARGIN, BAR, GAP = 760, 12, 16, 14
LETTER = 7  # pixels that a letter takes, at most, of text in 13


def draw_bars(groups: Mapping[str, Mapping[str, float]], caption: str) -> str:
    """One row of bars for each group, which all have the same names, and a legend above them."""
    series = list(next(iter(groups.values())))
    left = MARGIN + LETTER * max(map(len, groups)) + 8
    room = WIDTH - left - MARGIN - LETTER * 6  # the value stands behind its bar
    highest = max(max(values.values()) for values in groups.values()) or 1
    parts, top = _legend(series), MARGIN + 2 * BAR
    for name, values in groups.items():
        middle = top + BAR * len(series) / 2
        parts.append(_text(name, left - 8, middle + 4, anchor="end"))
        for at, (kind, value) in enumerate(values.items()):
            length, y = room * value / highest, top + at * BAR
            colour = COLOURS[series.index(kind) % len(COLOURS)]
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            parts.append(_text(f"{value:.0f}", left + length + 4, y + 11, size=11))
        top += BAR * len(series) + GAP
    parts.append(_text(caption, WIDTH / 2, top + BAR, anchor="middle"))
    height = top + 2 * BAR
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _legend(series: list[str]) -> list[str]:
    parts, x = [], MARGIN
    for at, name in enumerate(series):
        colour = COLOURS[at % len(COLOURS)]
        parts.append(f'<circle cx="{x + 5}" cy="{MARGIN + 5}" r="5" fill="{colour}"/>')
        parts.append(_text(name, x + 16, MARGIN + 10))
        x += 16 + LETTER * len(name) + 2 * MARGIN
    return parts


def _text(text: str, x: float, y: float, *, anchor: str = "start", size: int = 13) -> str:
    style = f'font-size="{size}" text-anchor="{anchor}" fill="#1b1b1b"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
