"""Answers searches of named indexes in the engine's place. It fails open: whatever it cannot do, the engine does."""

from __future__ import annotations

from connector.gateway.answering.answer import answer_search, check_filter_path, write_reply
from connector.gateway.answering.complaints import Complaints
from connector.gateway.answering.msearch import MultiSearch
from connector.gateway.answering.outcome import degraded, passed, reranked, with_outcome, word
from connector.gateway.answering.shadow import Shadows
from connector.gateway.answering.share import in_share
from connector.gateway.encoder import SharedEncoder
from connector.gateway.exchange import BufferedRequest, Interception, NotIntercepted, Upstream
from connector.gateway.ordering.order import Degraded, RecognisedSearch, Refused
from connector.gateway.ordering.remembered import RememberedOrders
from connector.gateway.ordering.sender import SingleSender
from connector.gateway.ordering.site import Searched, Sites, check_patterns
from connector.gateway.reading.body import read_search
from connector.gateway.reading.coding import chosen_coding
from connector.gateway.reading.media import check_media, headers_of_ours, read_body
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.parameters import read_search_parameters
from connector.gateway.reading.target import Target, read_target
from connector.gateway.reading.wishes import read_wishes
from connector.settings.sections import Settings

REFUSED = "refused-by-the-engine"
METHODS = frozenset({"GET", "POST"})


class SearchInterceptor:
    """An `Interceptor` of the gateway."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._remembered = RememberedOrders()
        self._shadows = Shadows(sites.settings.gateway.shadows_at_once)
        self._complaints = Complaints()
        self._several = MultiSearch(sites, self._remembered, self._shadows, self._complaints)

    @classmethod
    async def open(cls, settings: Settings, encoder: SharedEncoder) -> SearchInterceptor:
        """With the indexes that the settings name, which are opened by and by: searches of one pass through until it
        is. The encoder is whose it was."""
        sites = Sites(settings, encoder)
        sites.start()
        return cls(sites)

    async def tried(self) -> None:
        """Return once each index was tried to be opened."""
        await self._sites.tried.wait()

    async def close(self) -> None:
        await self._shadows.close()
        await self._sites.close()

    def wants(self, method: str, raw_path: bytes) -> bool:
        if method not in METHODS or b"search" not in raw_path[-10:] or not self._sites.names:
            return False
        target = read_target(raw_path)
        if target is None:
            return False
        return target.action == "msearch" or self._sites.names_one(target.index)

    async def answer(self, request: BufferedRequest, upstream: Upstream) -> Interception:
        target = read_target(request.raw_path)
        if target is None:
            return NotIntercepted("path")
        try:
            if target.action == "search":
                return await self._search(request, target, upstream)
            return await self._several.answer(request, target, upstream)
        except NotRecognised as reason:
            return NotIntercepted(word(reason.reason))

    async def _search(self, request: BufferedRequest, target: Target, upstream: Upstream) -> Interception:
        searched = self._sites.find(target.index)
        if searched is None:
            return NotIntercepted("index-not-open")
        search, site = self._read(request, target, searched), searched.site
        sender = SingleSender(upstream, request.raw_path, search.parameters, search.headers, search.coding)
        if not in_share(site, search.body.text):
            return NotIntercepted("share")
        if site.settings.shadow:
            reply = await upstream.send(request)
            self._shadows.begin(search, sender, self._remembered, reply)
            return with_outcome(reply, passed("shadow"))
        try:
            answer = await answer_search(search, sender, self._remembered)
        except Refused as refused:
            if refused.reply is None:
                return NotIntercepted(REFUSED)
            return with_outcome(refused.reply, passed(REFUSED))
        except Degraded as part:
            reply = await upstream.send(request)
            self._complaints.add(site.name, site.may_repeat, part)
            return with_outcome(reply, degraded(part.reason))
        reply = await write_reply(
            answer.reply, answer.headers, search.parameters, is_elasticsearch=site.is_elasticsearch
        )
        return with_outcome(reply, reranked(answer.order))

    def _read(self, request: BufferedRequest, target: Target, searched: Searched) -> RecognisedSearch:
        site = searched.site
        wishes = read_wishes(request.headers, self._sites.pipelines)
        parameters = read_search_parameters(request.query_string)
        check_filter_path(parameters)
        check_patterns(searched, target.index, parameters.names())
        check_media(request.headers, has_body=bool(request.body), lines=False)
        data = read_body(request.headers, request.body, limit=self._sites.settings.gateway.max_search_bytes)
        body = read_search(data, parameters, site.reader(), retrievers=site.is_elasticsearch)
        return RecognisedSearch(
            site,
            body,
            parameters,
            headers_of_ours(request.headers),
            wishes,
            target.index,
            searched.indices,
            chosen_coding(request.headers),
        )
