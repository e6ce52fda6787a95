"""One search: what was found, how it came about, one pipeline against another, and grades."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from connector.credentials import Credentials
from connector.errors import ConnectorError, SettingsError
from connector.gateway.credentials import read_credentials
from connector.gateway.problems import ApiRefusal, status_of
from connector.gateway.ui.found import FoundAnswer, describe, titles_of
from connector.gateway.ui.movement import SideBySide, put_side_by_side, rankings_of, whole_order, without_titles
from connector.gateway.ui.page_params import PageParams, read_page_params
from connector.gateway.ui.rendering import Rendering
from connector.gateway.ui.searching import Facets, Pipelines, read_facets
from connector.judging.page.forms import FormFields, read_form
from connector.judging.page.rater import read_rater
from connector.judging.scale import SCALE
from connector.types import SearchResponse

if TYPE_CHECKING:
    from connector.gateway.ui.grading import Grading

ROWS = 10
NO_FOLDER = "no folder takes grades; name one: connector gateway --grades FOLDER"
NO_NAME = "a grade needs the name of who gave it: say above who you are"


@dataclass(frozen=True, slots=True)
class SearchContents:
    """What there is to show of a search; `grades` are the rater's own, None where nobody can grade."""

    found: FoundAnswer
    facets: Facets
    compared: SideBySide | None
    grades: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class SearchPage:
    """What its addresses share. `grading` is None where no folder takes grades."""

    pipelines: Pipelines
    grading: Grading | None
    rendering: Rendering

    async def show(self, request: Request) -> Response:
        """The search box, and what was found."""
        params, rater = read_page_params(request.query_params), read_rater(request)
        if not params.query:
            return self._render(params, rater)
        try:
            credentials = read_credentials(request, self.pipelines.settings)
            contents = await self._search(params, rater, credentials)
        except ApiRefusal as refusal:  # a browser asks for name and password when it is told so
            return self._render(params, rater, refusal.status, problem=str(refusal), headers=refusal.headers)
        except ConnectorError as error:
            return self._render(params, rater, status_of(error), problem=str(error))
        return self._render(params, rater, contents=contents)

    async def grade(self, request: Request) -> Response:
        """Keep a grade, and go back to where it was given."""
        params, rater = read_page_params(request.query_params), read_rater(request)
        try:
            form = await read_form(request)
            await asyncio.to_thread(self._keep, params.query, form, rater)
        except ConnectorError as error:
            return self._render(params, rater, status_of(error), problem=str(error))
        return RedirectResponse(f"./{params.address}#hit-{form.get('rank', '')}", 303)

    def _keep(self, query: str, form: FormFields, rater: str | None) -> None:
        if self.grading is None:
            raise SettingsError(NO_FOLDER)
        if rater is None:
            raise SettingsError(NO_NAME)
        grade = form.get("grade", "")
        self.grading.grade(query, form.get("doc_id", ""), int(grade) if grade in {"0", "1", "2", "3"} else -1, rater)

    async def _search(self, params: PageParams, rater: str | None, credentials: Credentials | None) -> SearchContents:
        response = await self.pipelines.search(params.searched, params.query, params.filters, credentials, counts=True)
        other = await self._other(params, credentials) if params.against else None
        rankings = [*rankings_of(response).values(), *([whole_order(other)] if other else [])]
        known = titles_of(response) | (titles_of(other) if other else {})
        titles, note = await self._titles(without_titles(rankings, known, rows=ROWS), credentials)
        titles |= known
        found = describe(response, await self.pipelines.metadata(), titles, rows=ROWS)
        found = replace(found, left_out=(*found.left_out, *note))
        compared = _compare(params, other, response, titles) if other else None
        grades = (
            await asyncio.to_thread(self.grading.grades_of, params.query, rater) if self.grading and rater else None
        )
        return SearchContents(found, read_facets(response), compared, grades)

    async def _titles(
        self, doc_ids: Sequence[str], credentials: Credentials | None
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        """Of documents below the hits; and what is to be said where they cannot be read, and ids stand for them."""
        try:
            return await self.pipelines.titles(doc_ids, credentials), ()
        except ConnectorError as error:
            return {}, (f"titles: {error}",)

    async def _other(self, params: PageParams, credentials: Credentials | None) -> SearchResponse:
        check_two(params.against, params.searched)
        return await self.pipelines.search(params.against, params.query, params.filters, credentials, counts=False)

    def _render(
        self,
        params: PageParams,
        rater: str | None,
        status: int = HTTPStatus.OK,
        *,
        contents: SearchContents | None = None,
        problem: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        return self.rendering.page(
            "search.html.jinja",
            status,
            headers,
            params=params,
            found=contents.found if contents else None,
            facets=contents.facets if contents else {},
            compared=contents.compared if contents else None,
            grades=contents.grades if contents else None,
            problem=problem,
            pipelines=self.pipelines.names,
            is_grading=self.grading is not None,
            rater=rater,
            scale=SCALE,
        )


def check_two(first: str, second: str) -> None:
    """Raises SettingsError where a pipeline would be compared with itself."""
    if first == second:
        raise SettingsError(f"{first!r} is compared with itself; choose two different pipelines")


def _compare(params: PageParams, other: SearchResponse, found: SearchResponse, titles: Mapping[str, str]) -> SideBySide:
    answers = {params.against: other, params.searched: found}
    rankings = {name: whole_order(answer) for name, answer in answers.items()}
    took = {name: answer.took_ms["total"] for name, answer in answers.items()}
    return put_side_by_side(rankings, titles, took, rows=ROWS)
