"""Figures of an evaluation -> drawings."""

from __future__ import annotations

from markupsafe import Markup

from connector.evaluation.report.figures import Figures
from connector.evaluation.report.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    axes,
    line,
    mark,
    picture,
    series,
    spanning,
    tag,
    x_axis,
)

HEIGHT = 340.0
ROW = 30.0  # of a segment
NAMES = 190.0  # room for the names of segments, and no more than this share of the width
NAMES_SHARE = 0.36
CHAR = 7.0  # about as wide as a character is
MANY_TIMES = 20  # slower than the fastest: then times are drawn by decades
ASIDE = 3.0  # by which marks of one segment stand below each other, so that equal ones are seen


def recall_plot(figures: Figures, width: float = WIDTH) -> Markup:
    """Mean recall by cutoff, a line a pipeline; the knee of each is marked."""
    recall = figures["recall"]
    cutoffs, curves = recall["cutoffs"], recall["pipelines"]
    x = Scale(0, max(cutoffs[-1], 2), LEFT, width - RIGHT)
    y = Scale(0, 1, HEIGHT - BOTTOM, TOP)
    parts = [axes(x, y, x_name="K, documents from the top", y_name="recall@K")]
    for at, curve in enumerate(curves.values()):
        parts.append(
            line([(x(cutoff), y(value)) for cutoff, value in zip(cutoffs, curve["values"], strict=True)], series(at))
        )
    for at, (name, curve) in enumerate(curves.items()):
        if curve["knee"]:
            value = curve["values"][cutoffs.index(curve["knee"])]
            parts.append(
                mark(at, x(curve["knee"]), y(value), f"{name}: knee at K = {curve['knee']}, recall {value:.3f}")
            )
    description = "; ".join(
        f"{name} reaches {curve['values'][-1]:.3f}, knee at {curve['knee']}" for name, curve in curves.items()
    )
    return picture("Recall by cutoff", description, (width, HEIGHT), *parts)


def frontier_plot(figures: Figures, width: float = WIDTH) -> Markup:
    """Quality against median milliseconds; a line joins the pipelines that no other one beats in both."""
    measured = figures["measures"][0]
    points = {
        name: (pipeline["latency_ms"]["p50"], pipeline["measures"][measured])
        for name, pipeline in figures["pipelines"].items()
    }
    times = [took for took, _ in points.values()]
    x = spanning(times, LEFT, width - RIGHT, zero=True)
    if min(times) > 0 and max(times) > MANY_TIMES * min(times):
        x = spanning(times, LEFT, width - RIGHT, log=True)
    y = spanning([value for _, value in points.values()], HEIGHT - BOTTOM, TOP)
    parts = [axes(x, y, x_name="milliseconds to an answer, median", y_name=measured)]
    parts.append(line([(x(points[name][0]), y(points[name][1])) for name in figures["frontier"]], "frontier"))
    for at, (name, (took, value)) in enumerate(points.items()):
        right = x(took) + 10 + CHAR * len(name) < width
        parts.append(mark(at, x(took), y(value), f"{name}: {measured} {value:.3f} in {took:.1f} ms"))
        parts.append(
            tag(
                "text",
                name,
                x=x(took) + (10 if right else -10),
                y=y(value) - 8,
                text_anchor="start" if right else "end",
            )
        )
    description = "; ".join(f"{name}: {value:.3f} in {took:.1f} ms" for name, (took, value) in points.items())
    return picture(f"{measured} against time", description, (width, HEIGHT), *parts)


def gains_plot(figures: Figures, pipeline: str, width: float = WIDTH) -> Markup:
    """A bar for each query that gained or lost against the baseline, the largest gain first."""
    measured, baseline = figures["measures"][0], figures["baseline"]
    before, now = (figures["pipelines"][name]["per_query"][measured] for name in (baseline, pipeline))
    gains = sorted(
        ((now[query_id] - before[query_id], query_id) for query_id in before), key=lambda gain: (-gain[0], gain[1])
    )
    height = HEIGHT * 0.65
    bound = max(abs(gain) for gain, _ in gains) or 1.0
    x = Scale(0, len(gains), LEFT, width - RIGHT)
    y = Scale(-bound * 1.05, bound * 1.05, height - BOTTOM, TOP)
    wide = max((x.end - x.start) / len(gains) * 0.8, 0.8)
    parts = [axes(x, y, x_name="queries, by gain", y_name=f"gain in {measured}")]
    for at, (gain, query_id) in enumerate(gains):
        if gain:
            about = tag("title", f"{query_id}: {gain:+.3f}")
            parts.append(tag("rect", about, x=x(at), y=min(y(gain), y(0)), width=wide, height=abs(y(gain) - y(0)),
                             class_="gain" if gain > 0 else "loss"))  # fmt: skip
    parts.append(tag("line", x1=x.start, x2=x.end, y1=y(0), y2=y(0), class_="zero"))
    better, worse = sum(gain > 0 for gain, _ in gains), sum(gain < 0 for gain, _ in gains)
    description = f"{better} queries gain, {worse} lose, {len(gains) - better - worse} stay as they are"
    return picture(f"{pipeline} against {baseline}, query by query", description, (width, height), *parts)


def segments_plot(figures: Figures, by: str, width: float = WIDTH) -> Markup:
    """A row for each segment of queries, a mark for each pipeline."""
    measured, segments = figures["measures"][0], figures["segments"][by]
    height = TOP + ROW * len(segments) + BOTTOM
    values = [value[measured] for segment in segments.values() for value in segment["measures"].values()]
    names = min(NAMES, NAMES_SHARE * width)
    x = Scale(0, max(1.0, *values), names, width - RIGHT)  # counts go beyond 1
    parts = [x_axis(x, top=TOP, bottom=height - BOTTOM, name=measured)]
    for row, (name, segment) in enumerate(segments.items()):
        middle = TOP + ROW * (row + 0.5)
        parts.append(tag("line", x1=x.start, x2=x.end, y1=middle, y2=middle, class_="grid"))
        parts.append(
            tag("text", _label(name, segment["queries"], names), x=x.start - 10, y=middle + 4, text_anchor="end")
        )
        for at, (pipeline, measures) in enumerate(segment["measures"].items()):
            value, aside = measures[measured], (at - (len(segment["measures"]) - 1) / 2) * ASIDE
            parts.append(mark(at, x(value), middle + aside, f"{name}, {pipeline}: {value:.3f}"))
    return picture(f"{measured} by {by}", "The table below has the same figures.", (width, height), *parts)


def _label(name: str, queries: int, room: float) -> str:
    """A segment's name, cut to what there is room for, and how many queries it has."""
    count = f" ({queries})"
    chars = max(int((room - 10) / CHAR) - len(count), 3)
    return (name if len(name) <= chars else name[: chars - 1] + "…") + count
