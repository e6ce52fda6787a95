"""Secured engines, with TLS from a private CA: what each kind of credentials may do, and that no secret is said."""

from __future__ import annotations

import contextlib
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.indices.scratch import drop, unique_name
from support.indices.secured import Secured
from support.indices.secured_jobs import assert_no_secret, ingest, settings_of, variables, write_source
from support.programs.command import UNHURRIED, Finished, Launcher
from support.servers.proxy import Proxy

from connector.client import Connector
from connector.clusters.clients import service_credentials
from connector.clusters.connect import connect
from connector.errors import AccessDenied, ClusterError
from connector.models.encoder import Encoder
from connector.settings.sections import ClusterSettings
from connector.wiring import build_searcher

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("one_encoder")]
DROP = {
    "elasticsearch": lambda index: {"indices": [{"names": [index], "privileges": ["delete_index"]}]},
    "opensearch": lambda index: {
        "index_permissions": [{"index_patterns": [index], "allowed_actions": ["indices:admin/delete"]}]
    },
}


@pytest.fixture
async def name(secured: Secured) -> AsyncIterator[str]:
    """A name that no index has, and no user."""
    made = unique_name()
    yield made
    await drop(secured.superuser, made)


async def search(cluster: ClusterSettings, index: str, encoder: Encoder) -> list[str]:
    opened = await connect(cluster)
    searcher = build_searcher(await opened.open_index(index), encoder, {}, settings_of(cluster, index))
    async with Connector(searcher, opened) as connector:
        response = await connector.search("rule on refunds")
    assert response.degraded == ()
    assert set(response.rankings) == {"lexical", "dense", "fused"}
    return [hit.doc_id for hit in response.hits]


def as_every_kind(secured: Secured, user: str, *roles: dict[str, Any]) -> dict[str, ClusterSettings]:
    """The same rights with every kind of credentials that the engine takes."""
    basic = secured.add_user(user, *roles)
    kinds = {"password": basic, "bearer token": secured.settings(bearer_token=secured.add_token(basic))}
    if secured.kind == "elasticsearch":
        (role,) = roles
        key = secured.add_key(role)
        kinds["encoded key"] = secured.settings(api_key=key["encoded"])
        kinds["key as a pair"] = secured.settings(api_key=f"{key['id']}:{key['api_key']}")
    return kinds


async def test_the_documented_roles_suffice_with_every_kind_of_credentials(
    secured: Secured, name: str, encoder: Encoder, tmp_path: Path
) -> None:
    """To create an index, write it, remove what is missing, show it and search it; and no more."""
    many, few = write_source(tmp_path, 5), write_source(tmp_path, 3)
    writers = as_every_kind(secured, f"{name}-writer", secured.role("ingest", name))
    readers = as_every_kind(secured, f"{name}-reader", secured.role("search", name))
    for kind, writer in writers.items():
        first = await ingest(many, writer, name)
        again = await ingest(few, writer, name, delete_missing=True)
        cluster = await connect(writer)
        assert cluster.engine.kind == secured.kind
        assert [alias[: -len("12345678")] for alias in secured.call("GET", f"/{name}/_alias")[name]["aliases"]] == [
            f"{name}-writes-"
        ]
        assert await cluster.count(name) == 3
        with pytest.raises(AccessDenied, match=f"may not drop index '{name}'"):
            await cluster.drop_index(name)
        await cluster.close()

        assert (first.counts.written, first.stopped) == (5, None)
        assert (again.counts.unchanged, again.counts.removed, again.stopped) == (3, 2, None)
        assert sorted(await search(readers[kind], name, encoder)) == ["d0", "d1", "d2"]
        await drop(secured.superuser, name)


def test_the_commands_work_with_credentials_from_the_environment(
    secured: Secured, launcher: Launcher, tmp_path: Path
) -> None:
    name = unique_name()
    user = secured.add_user(name, secured.role("ingest", name), DROP[secured.kind](name))
    source = write_source(tmp_path, 4)

    def run(*arguments: str) -> Finished:
        done = launcher.run(*arguments, "--index", name, cwd=tmp_path, **variables(user))
        assert done.code == 0, done.stderr
        return done

    ingested = run("ingest", source.name, "--json")
    described = run("index", "show", "--json")
    found = run("search", "rule on refunds", "--no-rerank", "--json", *UNHURRIED)
    dropped = run("index", "drop", "--yes")

    assert json.loads(ingested.stdout)["counts"]["written"] == 4
    assert json.loads(described.stdout)["documents"] == 4
    assert len(json.loads(found.stdout)["hits"]) == 4
    for done in (ingested, described, found, dropped):
        assert_no_secret(done.stdout + done.stderr, user)


async def test_an_engine_that_forbids_its_root_is_known_by_how_it_says_so(secured: Secured, name: str) -> None:
    """In full the role of a caller, who may search and nothing else; Elasticsearch's own words come from another path
    here, because its minimal server does not guard the root."""
    user = secured.add_user(f"{name}-caller", secured.role("caller", name))
    proxy = Proxy(user.url, ca_cert=user.ca_cert)
    answer = proxy._answer

    async def answer_health(request: Any) -> Any:
        return await answer(request.clone(rel_url="/_cluster/health") if request.path == "/" else request)

    proxy._answer = answer_health
    async with proxy:
        cluster = await connect(user.model_copy(update={"url": proxy.url}))
        await cluster.close()

    assert cluster.engine.kind == secured.kind
    assert cluster.engine.version == ""


@contextlib.contextmanager
def everything_logged() -> Iterator[Callable[[], str]]:
    """All that any logger says at DEBUG, also those that do not pass it on."""
    records: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(logging.Formatter().format(record))

    handler = Keep(logging.NOTSET)
    names = ["", "elastic_transport.node", *logging.root.manager.loggerDict]
    loggers = [logging.getLogger(name) for name in dict.fromkeys(names)]
    levels = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        if logger.name == "root" or not logger.propagate:
            logger.addHandler(handler)
    try:
        yield lambda: "\n".join(records)
    finally:
        for logger, level in levels:
            logger.setLevel(level)
            logger.removeHandler(handler)


async def test_no_secret_is_logged_shown_or_left_in_a_traceback(
    secured: Secured, name: str, encoder: Encoder, tmp_path: Path
) -> None:
    await ingest(write_source(tmp_path, 2), secured.superuser, name)
    kinds = as_every_kind(secured, f"{name}-user", secured.role("search", name))
    for settings in kinds.values():
        with everything_logged() as logged:
            await search(settings, name, encoder)
            cluster = await connect(settings)
            index = await cluster.open_index(name)
            texts = [repr(part) for part in (settings, cluster, index, vars(cluster), vars(index), vars(index._client))]
            with pytest.raises(ClusterError) as denied:
                await cluster.drop_index(name)
            with pytest.raises(ClusterError) as missing:
                await cluster.open_index(f"{name}-other")
            await cluster.close()
        text = logged()
        text += "".join("".join(traceback.format_exception(caught.value)) for caught in (denied, missing))
        assert "/_search" in text  # the clients did log what they sent
        assert_no_secret(text, settings)
        assert_no_secret("".join(texts), settings)
        for header in service_credentials(settings).header.values():
            assert header not in text
            assert header not in "".join(texts)
