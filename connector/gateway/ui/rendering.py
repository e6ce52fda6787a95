"""Templates -> pages, with what every page of this application shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from connector.judging import page as judging_page

FOLDER = Path(__file__).parent
# the look of the page on which people judge is that of this one too
JUDGING_FOLDER = Path(judging_page.__file__).parent


@dataclass(frozen=True, slots=True)
class Rendering:
    """For the pages over one index."""

    templates: Environment
    index: str

    def page(
        self, template: str, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None, **values: Any
    ) -> HTMLResponse:
        """A page of a template and its values."""
        text = self.templates.get_template(template).render(index=self.index, **values)
        return HTMLResponse(text, status_code=status, headers=dict(headers or {}))


def make_rendering(index: str) -> Rendering:
    """That of our templates, and of the judging page's parts."""
    templates = Environment(
        loader=FileSystemLoader([FOLDER / "templates", JUDGING_FOLDER / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return Rendering(templates, index)
