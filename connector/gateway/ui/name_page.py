"""Who grades: asked once, as on the page for judging, and remembered by the browser."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from connector.errors import SettingsError
from connector.gateway.ui.page_params import PageParams, read_page_params
from connector.gateway.ui.rendering import Rendering
from connector.judging.page.forms import read_form
from connector.judging.page.rater import check_name, remember

if TYPE_CHECKING:
    from connector.gateway.ui.grading import Grading


@dataclass(frozen=True, slots=True)
class NamePage:
    """Leads back to the search that it was reached from."""

    grading: Grading
    rendering: Rendering

    async def show(self, request: Request) -> Response:
        """Who grades?"""
        return await self._ask(read_page_params(request.query_params))

    async def take(self, request: Request) -> Response:
        """Remember the name, and go back."""
        params = read_page_params(request.query_params)
        try:
            name = check_name((await read_form(request)).get("name", ""))
        except SettingsError as error:
            return await self._ask(params, str(error), HTTPStatus.BAD_REQUEST)
        reply = RedirectResponse(f"./{params.address}", 303)
        remember(reply, name)
        return reply

    async def _ask(self, params: PageParams, problem: str = "", status: int = HTTPStatus.OK) -> Response:
        raters = await asyncio.to_thread(self.grading.raters)
        return self.rendering.page("who.html.jinja", status, params=params, raters=raters, problem=problem)
