"""Figures -> one HTML page that needs no network and no script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from connector.errors import SettingsError
from connector.evaluation.report.figures import Figures
from connector.evaluation.report.plots import frontier_plot, gains_plot, recall_plot, segments_plot
from connector.evaluation.report.svg import NARROW, SERIES, WIDTH, swatch
from connector.extras import needs
from connector.whole_file import write_whole

with needs("evaluate", "the report as HTML"):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

TEMPLATE = "report.html.jinja"


def write_html(file: Path, figures: Figures) -> None:
    """The report as a file. Raises SettingsError where it cannot be written."""
    try:
        write_whole(file, build_html(figures))
    except OSError as error:
        raise SettingsError(f"cannot write the report to {file} ({error.strerror}); choose another place") from None


def build_html(figures: Figures) -> str:
    """The report of an evaluation. All that comes from queries, documents and settings is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    places = {name: at for at, name in enumerate(figures["pipelines"])}
    others = [name for name in places if name != figures["baseline"]]
    return environment.get_template(TEMPLATE).render(
        figures=figures,
        series=range(SERIES),
        others=others,
        means={
            measured: {name: pipeline["measures"][measured] for name, pipeline in figures["pipelines"].items()}
            for measured in figures["measures"]
        },
        searches=_searches(figures),
        key=lambda name: Markup('<span class="key">{}{}</span>').format(swatch(places[name]), name),
        recall=_both(recall_plot, figures),
        frontier=_both(frontier_plot, figures),
        gains={name: _both(gains_plot, figures, name) for name in others},
        segments={by: _both(segments_plot, figures, by) for by in figures["segments"]},
    )


def _both(plot: Callable[..., Markup], *arguments: Any) -> Markup:
    """The plot for a wide window and for a phone, of which the style sheet shows one."""
    drawn = [plot(*arguments, width=width) for width in (WIDTH, NARROW)]
    return Markup('<div class="on-wide">{}</div><div class="on-narrow">{}</div>').format(*drawn)


def _searches(figures: Figures) -> list[tuple[list[str], Figures]]:
    """The times of each search's stages with the pipelines that share them."""
    found: list[tuple[list[str], Figures]] = []
    for name, pipeline in figures["pipelines"].items():
        names = next((names for names, stages in found if stages == pipeline["stages_ms"]), None)
        if names is None:
            found.append(([name], pipeline["stages_ms"]))
        else:
            names.append(name)
    return found
