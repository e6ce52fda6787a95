"""The check-up: each part is looked at within its time, and what hangs on a part that failed is skipped and says so."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from connector.clusters.beside.index import BesideIndex
from connector.clusters.by_encoder import by_encoder, check_encoder
from connector.clusters.protocol import Cluster, Index
from connector.clusters.rest import RestCluster
from connector.doctor.cluster_checks import ClusterChecks, judge_members
from connector.doctor.findings import Finding, Status, failed
from connector.doctor.local_checks import (
    choose_words,
    describe_reranker,
    judge_engine,
    judge_response,
    judge_settings,
    time_pairs,
    time_queries,
)
from connector.doctor.plugged_checks import PluggedChecks
from connector.doctor.plugin_checks import judge_plugins
from connector.doctor.rest_checks import RestChecks
from connector.doctor.samples import SAMPLES, Sample, compare_vectors, judge_texts, judge_vectors
from connector.errors import AccessDenied, ConnectorError, IndexMissing
from connector.event_loop import in_own_thread
from connector.models.encoder import Encoder
from connector.plugins import describe_reason
from connector.rerankers.protocol import Reranker
from connector.settings.load import LoadedSettings
from connector.settings.sections import Settings
from connector.types import SearchRequest
from connector.wiring import build_searcher, load_encoder, open_cluster, open_index, open_rerankers

T = TypeVar("T")
log = logging.getLogger(__name__)
CHECK_S = 15.0  # for each look at the cluster and the index
ENCODER_S = 180.0  # a model may have to come from the hub first
WORKER_S = 60.0


async def examine(loaded: LoadedSettings, *, say: Callable[[str], None] = lambda check: None) -> tuple[Finding, ...]:
    """Look at everything that these settings name; a finding for each check. `say` hears what is being looked at."""
    checkup = _Checkup(loaded.require(), say)
    checkup.findings += judge_settings(loaded)
    checkup.findings += await in_own_thread(judge_plugins)
    try:
        await checkup.run()
    finally:
        await checkup.close()
    return tuple(checkup.findings)


class _Checkup:
    """One check-up under way. A part that could not be had is None, and its finding says why."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.findings: list[Finding] = []
        self._settings = settings
        self._say = say
        self._cluster: Cluster | None = None
        self._rerankers: dict[str, Reranker] = {}
        self._samples: list[Sample] | None = None

    async def run(self) -> None:
        settings = self._settings
        self._cluster = await self._try("cluster", partial(open_cluster, settings), "see cluster.url")
        index = None
        if self._cluster is None:
            self._skip("cluster", "health", "search access", "ingest access", "index", "mapping", "copies", "blocks",
                       "documents")  # fmt: skip
        else:
            self.findings.append(judge_engine(self._cluster.engine, settings.cluster.url))
            checks = open_cluster_checks(self._cluster, timeout_s=CHECK_S)
            index = await self._index(self._cluster, checks)
        encoder = await self._encoder(index)
        await self._look_at_rerankers()
        if self._cluster is None or index is None:
            self._skip("index", "query")
        elif encoder is None and index.schema.vector_field:
            self._skip("encoder", "query")
        else:
            await self._query(index, encoder)

    async def close(self) -> None:
        for part in (*self._rerankers.values(), self._cluster):
            if part is not None:
                await part.close()

    async def _index(self, cluster: Cluster, checks: ClusterChecks) -> Index | None:
        name = self._settings.index.name
        opened = await self._attempt("index", partial(open_index, cluster, self._settings), CHECK_S)
        exists = not isinstance(opened, IndexMissing)
        await self._look("health", partial(checks.health, name if exists else None), "monitor the cluster")
        await self._look("access", partial(checks.access, name, exists=exists), "see its own privileges")
        if isinstance(opened, ConnectorError):
            advice = "name an index that is there: index.name, or fill one: connector ingest SOURCE"
            self.findings.append(failed("index", opened, advice=advice))
            self._skip("index", "mapping", "copies", "blocks", "documents")
            return None
        self.findings.append(describe_index(opened))
        if members := judge_members(opened.schema):
            self.findings.append(members)
        await self._look("copies", partial(checks.state, opened), "view the metadata of the index")
        await self._look("documents", partial(checks.contents, opened), "read the index")
        sampling = partial(checks.samples, opened, SAMPLES)
        self._samples = await self._try("text", sampling, "see whether the index can be read", denied="skip")
        text = judge_texts(self._samples or [], opened.schema)
        if text:
            self.findings.append(text)
        return opened

    async def _encoder(self, index: Index | None) -> Encoder | None:
        """The encoder, if the index can be searched with it."""
        if index is not None and not index.schema.vector_field:
            advice = "name index.vector_field for a dense leg"
            self.findings.append(Finding("encoder", "skip", "the lexical leg alone searches this index", advice))
            return None
        started = time.perf_counter()
        load = partial(in_own_thread, partial(load_encoder, self._settings))
        encoder = await self._try("encoder", load, "see encoder.model", timeout_s=ENCODER_S)
        if encoder is None:
            self._skip("encoder", "encoder of the index")
            return None
        measure = partial(in_own_thread, partial(time_queries, encoder, time.perf_counter() - started))
        measured = await self._try("encoder", measure, "see encoder.device", timeout_s=ENCODER_S)
        if measured:
            self.findings.append(measured)
        if index is None:
            self._skip("index", "encoder of the index")
            return None
        try:
            check_encoder(index, encoder.fingerprint)
        except ConnectorError as error:
            self.findings.append(failed("encoder of the index", error, advice="set encoder.model"))
            return None
        if by_encoder(index, encoder.fingerprint) is not index:
            both = (
                f"it has vectors of {encoder.fingerprint} beside those of {index.schema.encoder}, which it is known by"
            )
            self.findings.append(Finding("encoder of the index", "ok", f"the index changes its encoder: {both}"))
            self._skip("encoder of the index", "vectors")
            return encoder if measured else None
        who = (
            "is this one" if index.schema.encoder else "is not known; its vectors have as many dimensions as this one's"
        )
        self.findings.append(Finding("encoder of the index", "ok", f"the encoder that filled the index {who}"))
        await self._vectors(index, encoder)
        return encoder if measured else None

    async def _vectors(self, index: Index, encoder: Encoder) -> None:
        """Whether the vectors of some documents are what the encoder makes of their texts."""
        if not self._samples:
            return
        comparing = partial(in_own_thread, partial(compare_vectors, self._samples, encoder))
        cosines = await self._try("vectors", comparing, "see encoder.device", timeout_s=ENCODER_S)
        if cosines is not None:
            self.findings.append(judge_vectors(cosines, index.schema))

    async def _look_at_rerankers(self) -> None:
        """Each that a stage reranks with, and whether it scores that stage's window in time."""
        opened = await self._try("reranker", self._open_rerankers, "see rerankers")
        if opened is None:
            return
        self._rerankers = opened
        if not self._rerankers:
            advice = "set search.rerank to on for better results"
            self.findings.append(Finding("reranker", "skip", "search.rerank is off", advice))
        for name, reranker in self._rerankers.items():
            check, speed = f"reranker {name}", f"speed of {name}"
            info = await self._try(check, partial(reranker.info, timeout_s=CHECK_S), "start one: connector worker")
            if info is None:
                self._skip(check, speed)
                continue
            self.findings.append(describe_reranker(name, info, self._settings.rerankers[name]))
            measure = partial(time_pairs, reranker, name, self._settings, timeout_s=WORKER_S)
            await self._look(speed, measure, "use the worker", timeout_s=WORKER_S)

    async def _open_rerankers(self) -> dict[str, Reranker]:
        return open_rerankers(self._settings)

    async def _query(self, index: Index, encoder: Encoder | None) -> None:
        if self._samples is None:
            self._skip("text", "query")
            return
        words = next((words for sample in self._samples if (words := choose_words(sample.text))), "")
        if not words:
            advice = (
                "ingest some: connector ingest SOURCE"
                if index.schema.managed
                else "see what the check of the text says"
            )
            self.findings.append(Finding("query", "skip", "no document with words in its text fields", advice))
            return
        searcher = build_searcher(index, encoder, self._rerankers, self._settings)
        deadline_s = self._settings.search.deadline_s
        search = partial(searcher.search, SearchRequest(words))
        for counts in (False, True):  # the first warms up connections and caches
            response = await self._try("query", search, "see the checks above", timeout_s=2 * deadline_s)
            if response is None:
                return
            if counts:
                self.findings.append(judge_response(response, self._settings, dense=encoder is not None))

    async def _look(
        self,
        check: str,
        work: Callable[[], Awaitable[Finding | list[Finding]]],
        privilege: str,
        *,
        timeout_s: float | None = None,
    ) -> None:
        """Keep the findings of the work, which has CHECK_S where nothing else is said; `privilege` is what credentials
        must be allowed to for it."""
        advice = f"allow these credentials to {privilege}, or look with others"
        found = await self._try(check, work, advice, timeout_s=timeout_s, denied="skip")
        self.findings += [found] if isinstance(found, Finding) else found or []

    async def _try(
        self,
        check: str,
        work: Callable[[], Awaitable[T]],
        advice: str,
        *,
        timeout_s: float | None = None,
        denied: Status = "fail",
    ) -> T | None:
        """The work's result; None, and a finding, where there is none. `denied` is its status where credentials do not
        suffice."""
        found = await self._attempt(check, work, timeout_s or CHECK_S)
        if not isinstance(found, ConnectorError):
            return found
        status = denied if isinstance(found, AccessDenied) else "fail"
        self.findings.append(failed(check, found, advice=advice, status=status))
        return None

    async def _attempt(self, check: str, work: Callable[[], Awaitable[T]], timeout_s: float) -> T | ConnectorError:
        """The work's result, or why there is none."""
        self._say(check)
        try:
            async with asyncio.timeout(timeout_s):
                return await work()
        except ConnectorError as error:
            return error
        except TimeoutError:
            return ConnectorError(f"no answer within {timeout_s:g} s; is it overloaded, or something in between?")
        except Exception as error:  # any: a check that breaks off ends none of the others
            log.debug("the check of %s broke off", check, exc_info=True)
            return ConnectorError(
                f"the check broke off ({describe_reason(error)}); what answered is not what it should be, or this is a "
                "fault of the connector: connector doctor --set log.level=debug shows where"
            )

    def _skip(self, because: str, *checks: str) -> None:
        self.findings += [
            Finding(check, "skip", f"not looked at: {because} failed", f"first see to: {because}") for check in checks
        ]


def open_cluster_checks(cluster: Cluster, *, timeout_s: float) -> ClusterChecks:
    """What the doctor asks of a cluster; no request takes longer than `timeout_s`."""
    if isinstance(cluster, RestCluster):
        return RestChecks(cluster.client, cluster.engine, url=cluster.url, timeout_s=timeout_s)
    if cluster.engine.kind == "embedded":
        from connector.clusters.embedded.cluster import EmbeddedCluster
        from connector.doctor.embedded_checks import EmbeddedChecks

        if isinstance(cluster, EmbeddedCluster):
            return EmbeddedChecks(cluster)
    return PluggedChecks(cluster)


def describe_index(index: Index) -> Finding:
    """Whose index it is, and what it is searched by."""
    schema = index.schema
    facts: dict[str, Any] = {
        "managed": schema.managed,
        "text": list(schema.fields.text),
        "vector_field": schema.vector_field,
    }
    texts = ", ".join(schema.fields.text)
    if isinstance(index, BesideIndex):
        facts["beside"] = index.vectors.name
        seen = (
            f"{index.name}, made by somebody else and never written to; text: {texts}; its vectors are beside it, in "
        )
        return Finding("index", "ok", f"{seen}{index.vectors.name}", facts=facts)
    if schema.managed:
        return Finding("index", "ok", f"{index.name}, made by the connector; text: {texts}", facts=facts)
    if schema.encoders:
        facts["backfilled"] = True
        seen = f"{index.name}, made by somebody else and back-filled in place; text: {texts}; "
        return Finding("index", "ok", f"{seen}vectors: {schema.vector_field}", facts=facts)
    seen = f"{index.name}, made by somebody else: searched as it is, never written to; text: {texts}"
    seen += f"; vectors: {schema.vector_field}" if schema.vector_field else ""
    if schema.why_no_dense:
        why, _, advice = schema.why_no_dense.partition("; ")
        return Finding("index", "warn", f"{seen}, which cannot be searched: {why}", advice, facts)
    return Finding("index", "ok", seen, facts=facts)
