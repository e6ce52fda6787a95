"""The sections of the gateway: where it listens, what is behind it, and which indexes it reranks."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from connector.settings.section import Section
from connector.settings.urls import why_no_address


def _check_network(text: str) -> str:
    ip_network(text, strict=False)
    return text


MAX_EVENTS = 1_000  # in one request to the API
Network = Annotated[str, AfterValidator(_check_network)]  # an address, or a range of them: 10.0.0.0/8


class GatewayIndexSettings(Section):
    """How searches of an index, an alias or a pattern are answered."""

    mode: Literal["auto", "bounded", "union", "off"] = Field(
        "auto",
        description="bounded: what the caller's query matches is reordered; union: hits of the dense leg may enter; "
        "auto: bounded for strict queries, union for loose ones",
    )
    window: int = Field(100, ge=1, le=10_000, description="the best hits, which are fused and reranked")
    fields: dict[str, float] | None = Field(None, description="its text fields with boosts; index.text_fields if none")
    vector_field: str | None = Field(None, description="its vector field; index.vector_field if none")
    deadline_s: float | None = Field(
        None, gt=0, description="the time after which the engine's own answer is given; search.deadline_s if none"
    )
    scores: Literal["lexical", "model"] = Field(
        "lexical", description="what _score says: the lexical leg's own in falling order, or the reranker's in (1, 2]"
    )
    exact: bool = Field(False, description="totals and aggregations count the dense hits too, for one leg's time more")
    shadow: bool = Field(False, description="callers get the engine's reply; ours is computed beside it and compared")
    share: float = Field(
        1.0, ge=0, le=1, description="the part of the query texts that are reranked, chosen by a stable hash"
    )
    function_score: bool = Field(False, description="a function_score is reordered too; else it passes through")


class GatewaySettings(Section):
    """`connector gateway`: an HTTP service in front of the cluster. What it does not rerank passes through."""

    host: str = Field("127.0.0.1", description="the address to listen on; 0.0.0.0: every one that this machine has")
    port: int = Field(9280, ge=0, le=65_535, description="0: any free port")
    processes: int = Field(1, ge=1, le=256, description="processes that share the port")
    api_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="a second port, for the HTTP API of the connector's own (/v1); off when not given. 0: any free one",
    )
    grades: str | None = Field(
        None, description="a judging folder for the grades that people give on the page /ui; without it, no grades"
    )
    api_hosts: tuple[str, ...] = Field(
        (), description="names of hosts, beside this machine's, under which the API and the page /ui may be called"
    )
    upstream: tuple[str, ...] = Field(
        (), description="the cluster's nodes, http(s)://HOST:PORT each, asked in turn; cluster.url when none is given"
    )
    slow_query_ms: float | None = Field(
        None, ge=0, description="the API logs each search that takes at least so long, with the time of each stage"
    )
    log_query_text: bool = Field(False, description="that line also has the text of the query")
    otlp_url: str | None = Field(
        None,
        description="where spans of searches and of the API's requests go, OTLP over HTTP: http://collector:4318; "
        "needs the extra traces",
    )
    events_file: str | None = Field(
        None, description="where the API keeps queries and events of users: JSON Lines of User Behavior Insights"
    )
    events_index: str | None = Field(
        None,
        description="or in the indexes NAME_queries and NAME_events of the cluster, which are made if need be",
    )
    max_waiting_events: int = Field(
        10_000, ge=1, description="events that may wait to be written; beyond it 503 at once"
    )
    preserve_host: bool = Field(
        True, description="the engine gets the caller's Host; false: its own name, by which hosted clusters route"
    )
    indexes: dict[str, GatewayIndexSettings] = Field(
        default_factory=dict, description="the indexes, aliases or patterns whose searches are reranked"
    )
    pipelines: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="searches that a request may name in X-Rerank, each as the settings of search that differ",
    )
    shadows_at_once: int = Field(4, ge=1, description="shadow: how many of our searches run at once; more are left out")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="addresses or ranges of proxies in front, whose x-forwarded-for and x-proxy-* go on"
    )
    max_header_bytes: int = Field(
        65_536, ge=8_192, description="longest request line with headers; beyond it 431; keep it above the engine's"
    )
    max_search_bytes: int = Field(1_048_576, ge=0, description="largest _search that is looked at; larger ones pass")
    max_msearch_bytes: int = Field(8_388_608, ge=0, description="largest _msearch that is looked at")
    connect_timeout_s: float = Field(5.0, gt=0, description="longest wait for a connection to a node; then the next")
    drain_s: float = Field(30.0, ge=0, description="after SIGTERM: seconds for what is under way")
    tls_cert: str | None = Field(
        None, description="PEM file of the certificate to serve https with, its chain included"
    )
    tls_key: str | None = Field(None, description="PEM file of its private key")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for url in self.upstream:
            if not url.startswith(("http://", "https://")) or "@" in url:
                raise ValueError(f"upstream {url.rpartition('@')[2]!r} is no address; give http(s)://HOST:PORT")
            if why := why_no_address(url):
                raise ValueError(f"upstream {url!r} is no address ({why}); give http(s)://HOST:PORT")
        return self
