"""The page's addresses for lists: what to compare, how far it is, and what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData, ImmutableMultiDict, UploadFile
from starlette.exceptions import HTTPException

from connector.credentials import Credentials
from connector.errors import ConnectorError, SettingsError
from connector.gateway.credentials import read_credentials
from connector.gateway.problems import ApiRefusal, status_of
from connector.gateway.ui.found import left_out
from connector.gateway.ui.lists.difference import MEASURES, QueryDifference, compare_orders
from connector.gateway.ui.lists.reading import MAX_QUERIES, QueryList, list_queries, read_list
from connector.gateway.ui.lists.run import ListRun, ListRuns
from connector.gateway.ui.lists.table import read_sorting, summarise
from connector.gateway.ui.movement import whole_order
from connector.gateway.ui.page_params import NO_RERANK, PageParams, read_page_params
from connector.gateway.ui.rendering import Rendering
from connector.gateway.ui.search_page import check_two
from connector.gateway.ui.searching import Pipelines

if TYPE_CHECKING:
    from connector.gateway.ui.grading import Grading

ONE_PROCESS = "a list is compared by one process, and gateway.processes is {}; start a gateway with 1 for it"
NO_QUERIES = "no query was given: paste some, one a line, or choose a file of them"
FOLDER = "folder"  # what the button says that takes the queries of the judging folder
Act = Callable[[Request, Credentials | None], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ListPage:
    """What its addresses share. `grading` is None where no folder has judgments."""

    pipelines: Pipelines
    grading: Grading | None
    rendering: Rendering
    runs: ListRuns

    async def show(self, request: Request) -> Response:
        """What may be compared, and what was."""
        return await self._answer(request, self._form)

    async def begin(self, request: Request) -> Response:
        """Begin to compare, and lead to the run."""
        return await self._answer(request, self._begin)

    async def look(self, request: Request) -> Response:
        """How far a run is, and what changed."""
        return await self._answer(request, self._run)

    async def stop(self, request: Request) -> Response:
        """Stop a run, and lead back to it."""
        return await self._answer(request, self._stop)

    async def _answer(self, request: Request, act: Act) -> Response:
        """What any of them cannot do is said above the form."""
        params = read_page_params(request.query_params)
        try:
            credentials = read_credentials(request, self.pipelines.settings)
            return await act(request, credentials)
        except ApiRefusal as refusal:
            return await self._page(params, None, refusal.status, str(refusal), refusal.headers)
        except HTTPException as error:  # of a form that is none
            return await self._page(params, None, error.status_code, str(error.detail))
        except ConnectorError as error:
            return await self._page(params, None, status_of(error), str(error))

    async def _form(self, request: Request, credentials: Credentials | None) -> Response:
        problem = self._why_not()
        return await self._page(read_page_params(request.query_params), credentials, problem=problem)

    async def _begin(self, request: Request, credentials: Credentials | None) -> Response:
        if problem := self._why_not():
            raise SettingsError(problem)
        async with request.form(max_files=1, max_fields=20) as form:
            params = read_page_params(_texts(form))
            listed = await self._read(form)
        check_two(params.against, params.searched)
        for name in (params.against, params.searched):
            self.pipelines.check(name)
        if not listed.queries:
            raise SettingsError("; ".join((NO_QUERIES, *listed.notes)))
        run = ListRun(params, listed, credentials, partial(self._compare, params, credentials))
        self.runs.begin(run)
        return RedirectResponse(f"list?run={run.run_id}", 303)

    async def _read(self, form: FormData) -> QueryList:
        """The queries of the folder where they are asked for, else what was pasted and what is in the file."""
        if form.get("from") == FOLDER:
            if self.grading is None:
                raise SettingsError("no folder has queries; name one: connector gateway --grades FOLDER")
            return list_queries(await asyncio.to_thread(self.grading.texts))
        pasted, file = form.get("queries", ""), form.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
        try:
            return read_list(f"{pasted}\n{content.decode('utf-8-sig')}")
        except UnicodeDecodeError:
            raise SettingsError("the file is no text in UTF-8; save it as such, a query in each line") from None

    async def _compare(self, params: PageParams, credentials: Credentials | None, query: str) -> QueryDifference:
        """One after the other, so that neither waits for the other's share of the machine."""
        names = (params.against, params.searched)
        answers = [await self.pipelines.rank(name, query, params.filters, credentials) for name in names]
        first, second = ([hit.doc_id for hit in whole_order(answer)] for answer in answers)
        took = (answers[0].took_ms["total"], answers[1].took_ms["total"])
        notes = (f"{name}: {note}" for name, answer in zip(names, answers, strict=True) for note in left_out(answer))
        return compare_orders(query, (first, second), took, notes)

    async def _run(self, request: Request, credentials: Credentials | None) -> Response:
        run = self.runs.get(request.query_params.get("run", ""), credentials)
        judgments: Mapping[str, Mapping[str, int]] = {}
        if self.grading:
            judgments = await asyncio.to_thread(self.grading.judgments_of, run.listed.queries)
        sorting, snapshot = read_sorting(request.query_params), run.at_this_moment()
        summary = await asyncio.to_thread(summarise, snapshot.params, snapshot.differences, judgments, sorting)
        return self.rendering.page(
            "list.html.jinja", run=snapshot, summary=summary, sorting=sorting, measure=MEASURES[0]
        )

    async def _stop(self, request: Request, credentials: Credentials | None) -> Response:
        run = self.runs.get(request.query_params.get("run", ""), credentials)
        run.stop("you stopped it")
        return RedirectResponse(f"list?run={run.run_id}", 303)

    def _why_not(self) -> str:
        processes = self.pipelines.settings.gateway.processes
        is_embedded = self.pipelines.settings.cluster.url.startswith("embedded:")  # which one process serves
        return ONE_PROCESS.format(processes) if processes > 1 and not is_embedded else ""

    async def _page(
        self,
        params: PageParams,
        credentials: Credentials | None,
        status: int = HTTPStatus.OK,
        problem: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        in_folder = await asyncio.to_thread(self.grading.texts) if self.grading else ()
        return self.rendering.page(
            "lists.html.jinja",
            status,
            headers,
            params=params,
            against=params.against or NO_RERANK,
            pipelines=self.pipelines.names,
            in_folder=len(in_folder),
            runs=self.runs.of(credentials),
            most=MAX_QUERIES,
            problem=problem,
        )


def _texts(form: FormData) -> ImmutableMultiDict[str, str]:
    """Its fields without the file."""
    return ImmutableMultiDict([(name, value) for name, value in form.multi_items() if isinstance(value, str)])
