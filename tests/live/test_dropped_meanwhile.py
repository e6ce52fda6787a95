"""An index that a job fills, and that somebody drops meanwhile: no write makes it anew, and the job says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support.indices.backfills import WORDS, WordEncoder
from support.indices.besides import MAPPING, SETTINGS, TEXT, cluster_of, make_beside, put_all
from support.indices.scratch import unique_name
from support.indices.somebody import Somebody
from support.parts import wait_until

from connector.backfill.beside.filling import BesideJob
from connector.backfill.into.copying import IntoJob
from connector.backfill.into.plan import create_new, plan_into
from connector.clusters.clients import Client
from connector.clusters.rest import RestCluster
from connector.clusters.writing.write_place import write_alias
from connector.contract.synthetic import make_documents, schema
from connector.errors import AccessDenied, IndexGone
from connector.settings.sections import IngestSettings
from connector.types import Vectors

pytestmark = [pytest.mark.live, pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)]
ARTICLES = {f"a{at}": {"title": f"Article {at}", "text": f"word{at} and some more"} for at in range(250)}
WAYS = ["beside", "into"]
GONE = "was deleted or made anew while it was in use, and what was written to it went with it; run this again"


class Interrupted(WordEncoder):
    """Something happens when the second group of documents is encoded: the first was written by then, or is."""

    def __init__(self, interrupt: Callable[[], Any]) -> None:
        super().__init__()
        self._interrupt, self._calls = interrupt, 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        self._calls += 1
        if self._calls == 2:
            self._interrupt()
        return super().encode(texts)


class WithoutAliases:
    """A client whose credentials may not make an alias."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def request(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        if path == "/_aliases":
            raise AccessDenied("it may not", status=403)
        return await self._client.request(method, path, **given)


class WithoutWritesByAlias:
    """A client whose credentials may make an alias, and write to the index alone."""

    def __init__(self, client: Client, index: str) -> None:
        self._client, self._index = client, index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def bulk(self, index: str, lines: Sequence[bytes], **given: Any) -> dict[str, Any]:
        if index != self._index:
            raise AccessDenied("it may not", status=403)
        return await self._client.bulk(index, lines, **given)


def alias_of(somebody: Somebody, name: str) -> str:
    """By which an index is written to."""
    settings = somebody.send("GET", f"/{name}/_settings")[name]["settings"]
    return write_alias(name, settings["index"]["uuid"])


async def prepare(
    somebody: Somebody, way: str, interrupt: Callable[[str], Any], cluster: RestCluster | None = None
) -> tuple[BesideJob | IntoJob, str]:
    """A job over an index of articles, and the name of the index that it fills."""
    old = somebody.make(MAPPING)
    put_all(somebody, old, ARTICLES)
    cluster = cluster or cluster_of(somebody)
    if way == "beside":
        beside = await make_beside(somebody, old)
        name = beside.vectors.name
        return BesideJob(cluster, beside, Interrupted(lambda: interrupt(name)), IngestSettings()), name
    new = unique_name()
    somebody.drop_later(new)
    plan = await plan_into(cluster, old, new, SETTINGS, WORDS, text=TEXT)
    await create_new(cluster, plan)
    return IntoJob(cluster, plan, Interrupted(lambda: interrupt(new)), IngestSettings()), new


@pytest.mark.parametrize("may_alias", [True, False])
@pytest.mark.parametrize("way", WAYS)
async def test_no_write_makes_it_anew(somebody: Somebody, way: str, may_alias: bool) -> None:
    cluster = cluster_of(somebody)
    if not may_alias:
        refusing: Any = WithoutAliases(cluster.client)
        cluster = cluster.asked_by(refusing)

    def count(name: str) -> int:
        somebody.send("POST", f"/{name}/_refresh")
        return int(somebody.send("GET", f"/{name}/_count")["count"])

    def interrupt(name: str) -> None:
        if not may_alias:  # between the look at the index and the request there is a gap that nothing closes
            wait_until(lambda: count(name) > 0)
        somebody.send("DELETE", f"/{name}")

    job, name = await prepare(somebody, way, interrupt, cluster)
    report = await job.run()

    assert somebody.client.get(f"/{name}").status_code == 404
    assert report.stopped == f"index {name!r} {GONE}"
    assert not report.counts.failed


@pytest.mark.parametrize("way", WAYS)
async def test_an_alias_that_somebody_takes_away_or_gives_to_another_is_put_back(somebody: Somebody, way: str) -> None:
    def interrupt(name: str) -> None:
        alias = alias_of(somebody, name)
        if way == "into":
            somebody.send("DELETE", f"/{name}/_alias/{alias}")
        else:  # as a snapshot does that is restored under another name
            add = {"index": somebody.make(MAPPING), "alias": alias, "is_hidden": True}
            somebody.send("POST", "/_aliases", {"actions": [{"add": add}]})

    job, name = await prepare(somebody, way, interrupt)
    report = await job.run()
    somebody.send("POST", f"/{name}/_refresh")
    alias = alias_of(somebody, name)

    assert report.stopped is None
    assert somebody.send("GET", f"/{name}/_count")["count"] == len(ARTICLES)
    assert list(somebody.send("GET", f"/{name}/_alias")[name]["aliases"]) == [alias]
    assert list(somebody.send("GET", f"/_alias/{alias}")) == [name]
    if isinstance(job, IntoJob):
        await job.end()

        assert somebody.send("GET", f"/{name}/_alias")[name]["aliases"] == {}


async def test_one_that_is_made_anew_by_others_is_not_gone_on_with(somebody: Somebody) -> None:
    def interrupt(name: str) -> None:
        alias = alias_of(somebody, name)
        somebody.send("DELETE", f"/{name}")
        somebody.send("PUT", f"/{name}", {"aliases": {alias: {}}})

    job, name = await prepare(somebody, "beside", interrupt)
    report = await job.run()

    assert report.stopped == f"index {name!r} {GONE}"


async def test_an_alias_of_the_users_is_no_index_and_who_may_make_none_looks_first(somebody: Somebody) -> None:
    cluster, name = cluster_of(somebody), unique_name()
    somebody.drop_later(name)
    await cluster.create_index(name, schema())
    alias = somebody.alias(name)
    refusing: Any = WithoutAliases(cluster.client)
    writing: Any = WithoutWritesByAlias(cluster.client, name)
    by_alias, by_name = await cluster.open_index(alias), await cluster.asked_by(refusing).open_index(name)
    by_name_alone = await cluster.asked_by(writing).open_index(name)
    documents = make_documents(2)
    written = [outcome for index in (by_alias, by_name) for outcome in await index.write(documents)]
    aliases = list(somebody.send("GET", f"/{name}/_alias")[name]["aliases"])
    written += await by_name_alone.write(documents)
    somebody.send("DELETE", f"/{name}")
    for index in (by_alias, by_name, by_name_alone):
        with pytest.raises(IndexGone):
            await index.write(documents)

    assert [outcome.error for outcome in written] == [None] * 6
    assert aliases == [alias]
    assert {somebody.client.get(f"/{gone}").status_code for gone in (alias, name)} == {404}
