"""The parts that plots are drawn from: scales, axes, marks. Colours are classes, which the page's style sheet knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH = 720.0
NARROW = 360.0  # on a phone
LEFT, RIGHT, TOP, BOTTOM = 56.0, 16.0, 12.0, 44.0
MARK = 5.0
SERIES = 8  # colours that the style sheet has; after that they come again, with other shapes
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
SHAPES = (
    "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",  # circle
    "M-4.5,-4.5H4.5V4.5H-4.5Z",  # square
    "M0,-6L5.5,4.5H-5.5Z",  # triangle
    "M0,-6.5L6.5,0L0,6.5L-6.5,0Z",  # diamond
    "M0,6L5.5,-4.5H-5.5Z",  # triangle upside down
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` as pixels from `start` to `end`, each decade alike where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = map(math.log10, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self) -> list[float]:
        """About five round values within the scale."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [lead * 10.0**decade for decade in decades for lead in (1, 2, 5)]
        else:
            step = _nice((self.high - self.low) / 5)
            first = math.ceil(self.low / step - 1e-9)
            values = [(first + at) * step for at in range(12)]
        return [value for value in values if self.low * (1 - 1e-9) - 1e-9 <= value <= self.high * (1 + 1e-9) + 1e-9]


def spanning(values: Iterable[float], start: float, end: float, *, zero: bool = False, log: bool = False) -> Scale:
    """A scale that holds all values with some room around; `zero`: and 0."""
    known = [*values, 0.0] if zero else [*values]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if log and low > 0:
        return Scale(low / 1.6, high * 1.6, start, end, log=True)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return Scale(low if zero and low == 0 else low - room, high + room, start, end)


def tag(name: str, *content: str | Markup, **attributes: str | float) -> Markup:
    """An element; contents and values of attributes are escaped. `class_` is class, `stroke_width` stroke-width."""
    written = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), f"{value:.1f}" if isinstance(value, float) else value
        )
        for key, value in attributes.items()
    )
    return Markup("<{}{}>{}</{}>").format(name, written, Markup("").join(content), name)


def picture(title: str, description: str, size: tuple[float, float], *content: Markup) -> Markup:
    """A drawing that says what it shows also to those who do not see it."""
    return tag(
        "svg", tag("title", title), tag("desc", description), *content,
        viewBox=f"0 0 {size[0]:.0f} {size[1]:.0f}", role="img", class_="plot",
    )  # fmt: skip


def axes(x: Scale, y: Scale, *, x_name: str, y_name: str) -> Markup:
    """Grid, numbers and names of both axes."""
    return x_axis(x, top=y.end, bottom=y.start, name=x_name) + y_axis(y, left=x.start, right=x.end, name=y_name)


def x_axis(x: Scale, *, top: float, bottom: float, name: str) -> Markup:
    """Upright grid lines, their numbers and the name below."""
    middle = (x.start + x.end) / 2
    parts = [tag("text", name, x=middle, y=bottom + 36, text_anchor="middle", class_="name")]
    for value in x.ticks():
        parts.append(tag("line", x1=x(value), x2=x(value), y1=top, y2=bottom, class_="grid"))
        parts.append(tag("text", number(value), x=x(value), y=bottom + 16, text_anchor="middle"))
    return Markup("").join(parts)


def y_axis(y: Scale, *, left: float, right: float, name: str) -> Markup:
    """Level grid lines, their numbers and the name at the left."""
    at, middle = left - 44, (y.start + y.end) / 2
    turned = f"rotate(-90 {at:.1f} {middle:.1f})"
    parts = [tag("text", name, x=at, y=middle, text_anchor="middle", class_="name", transform=turned)]
    for value in y.ticks():
        parts.append(tag("line", x1=left, x2=right, y1=y(value), y2=y(value), class_="grid"))
        parts.append(tag("text", number(value), x=left - 6, y=y(value) + 4, text_anchor="end"))
    return Markup("").join(parts)


def line(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """A line through pixels."""
    path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("path", d=path, class_=f"line {class_}")


def mark(at: int, x: float, y: float, about: str) -> Markup:
    """The mark of the series with that number; `about` is told where a mouse rests on it."""
    return tag("path", tag("title", about), d=SHAPES[at % len(SHAPES)], class_=f"mark {series(at)}",
               transform=f"translate({x:.1f} {y:.1f})")  # fmt: skip


def swatch(at: int) -> Markup:
    """The mark of a series, to stand before its name."""
    shape = tag("path", d=SHAPES[at % len(SHAPES)], class_=f"mark {series(at)}")
    return tag("svg", shape, viewBox="-8 -8 16 16", class_="swatch", aria_hidden="true")


def series(at: int) -> str:
    return f"s{at % SERIES}"


def number(value: float) -> str:
    """As short as it can be."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{round(value, 4):g}"


def _nice(step: float) -> float:
    """The round number that is not below the step."""
    scale = 10.0 ** math.floor(math.log10(step))
    return next(lead * scale for lead in NICE if lead * scale >= step * (1 - 1e-9))
