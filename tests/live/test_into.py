"""A new index with passages and vectors that takes the place of one that applications write to all the while."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from support.indices.backfills import WORDS, BrokenEncoder, WordEncoder
from support.indices.besides import MAPPING, SETTINGS, TEXT, bulk, cluster_of, put_all
from support.indices.scratch import unique_name
from support.indices.somebody import Somebody

from connector.backfill.encoding import NO_NUMBER
from connector.backfill.into.copies import Original
from connector.backfill.into.copying import IntoJob, IntoReport
from connector.backfill.into.plan import IntoPlan, create_new, plan_into
from connector.backfill.into.switch import SwitchReport, check_switch, switch
from connector.errors import ClusterError, SettingsError
from connector.filters import check_filter, parse_filter
from connector.lexical import LexicalQuery
from connector.settings.sections import IngestSettings

TIMEOUT_S = 30.0
TWO = pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)  # where the engine matters little
ENCODER = WordEncoder()
ARTICLES: dict[str, dict[str, Any]] = {
    f"a{at}": {"title": f"Article {at}", "text": f"word{at} and some more", "tier": ("gold", "tin")[at % 2]}
    for at in range(30)
}


async def plan(somebody: Somebody, name: str, **options: Any) -> IntoPlan:
    new = options.pop("new", None) or unique_name()
    somebody.drop_later(new)
    return await plan_into(cluster_of(somebody), name, new, SETTINGS, WORDS, text=TEXT, **options)


def job_of(somebody: Somebody, planned: IntoPlan, encoder: Any = ENCODER, **options: Any) -> IntoJob:
    return IntoJob(cluster_of(somebody), planned, encoder, IngestSettings(), **options)


async def fill(somebody: Somebody, planned: IntoPlan, **options: Any) -> tuple[IntoJob, IntoReport]:
    await create_new(cluster_of(somebody), planned)
    job = job_of(somebody, planned, **options)
    return job, await job.run()


async def finish(somebody: Somebody, planned: IntoPlan, job: IntoJob, *, block_writes: bool = False) -> SwitchReport:
    return await switch(cluster_of(somebody), planned, job, block_writes=block_writes)


def all_of(somebody: Somebody, name: str) -> dict[str, dict[str, Any]]:
    """Every document's source without what is ours, and the version that it has."""
    somebody.send("POST", f"/{name}/_refresh")
    found = somebody.send("POST", f"/{name}/_search", {"size": 1_000, "version": True})["hits"]["hits"]
    ours = ("passages", "passages_of")
    return {
        hit["_id"]: {key: value for key, value in hit["_source"].items() if key not in ours}
        | {"_version": hit["_version"]}
        for hit in found
    }


async def near(somebody: Somebody, name: str, words: str, found: str | None = None) -> list[str]:
    index = await somebody.cluster.open_index(name)
    checked = check_filter(parse_filter(found), index.schema.fields.metadata)
    vector = ENCODER.encode_query(words)
    ranking = await index.dense(vector, depth=100, filter=checked, timeout_s=TIMEOUT_S)

    assert (await index.lexical(LexicalQuery(words), depth=5, filter=None, timeout_s=TIMEOUT_S)).ranking
    return [hit.doc_id for hit in ranking]


class TestSwitch:
    @pytest.mark.each_engine
    async def test_under_an_alias_every_write_of_the_last_moment_comes_over_and_none_of_the_new_index_is_undone(
        self, somebody: Somebody
    ) -> None:
        old = somebody.make(
            MAPPING | {"dynamic": "strict", "_meta": {"theirs": 1}}, settings={"index.number_of_shards": 3}
        )
        put_all(somebody, old, ARTICLES)
        put_all(somebody, old, {"a1": ARTICLES["a1"]})  # of another version
        alias = somebody.alias(old, filter={"term": {"tier": "gold"}}, index_routing="1")
        planned = await plan(somebody, alias)
        job, report = await fill(somebody, planned)
        before = all_of(somebody, old)

        assert (report.counts.copied, report.same, report.reasons) == (30, True, {})
        assert all_of(somebody, planned.new) == before
        assert before["a1"]["_version"] == 2

        brought = job.changed_since
        raced = False

        async def race() -> list[Original]:
            """Writes that reach the old index while the alias goes over, and others the new one right after that."""
            nonlocal raced
            if not raced:
                raced = True
                bulk(somebody, [
                    {"index": {"_index": old, "_id": "a2"}}, ARTICLES["a2"] | {"text": "late"},
                    {"index": {"_index": old, "_id": "a3"}}, ARTICLES["a3"] | {"text": "late and then overtaken"},
                    {"index": {"_index": old, "_id": "a4"}}, ARTICLES["a4"] | {"text": "late"},
                    {"index": {"_index": old, "_id": "late"}}, {"title": "Late", "text": "and new"},
                    {"delete": {"_index": old, "_id": "a5"}},
                    {"delete": {"_index": old, "_id": "a6"}},
                    {"index": {"_index": planned.new, "_id": "a3"}}, ARTICLES["a3"] | {"text": "newer"},
                    {"index": {"_index": planned.new, "_id": "a6"}}, ARTICLES["a6"] | {"text": "newer"},
                    {"index": {"_index": planned.new, "_id": "made"}}, {"title": "Made", "text": "in the new one"},
                ])  # fmt: skip
            return await brought()

        job.changed_since = race  # type: ignore[method-assign]
        switched = await finish(somebody, planned, job)
        after = {doc_id: fields["text"] for doc_id, fields in all_of(somebody, planned.new).items()}

        assert after == {doc_id: fields["text"] for doc_id, fields in ARTICLES.items() if doc_id != "a5"} | {
            "a2": "late", "a3": "newer", "a4": "late", "late": "and new", "a6": "newer", "made": "in the new one",
        }  # fmt: skip
        assert (switched.late, switched.newer, switched.failed) == (4, 1, 0)
        aliases = somebody.send("GET", f"/_alias/{alias}")
        assert list(aliases) == [planned.new]
        assert aliases[planned.new]["aliases"][alias] == {"filter": {"term": {"tier": "gold"}}, "index_routing": "1"}
        mapping = somebody.send("GET", f"/{planned.new}/_mapping")[planned.new]["mappings"]
        assert mapping["dynamic"] == "strict"
        assert mapping["_meta"].keys() == {"theirs", "connector_backfill"}
        assert (await near(somebody, alias, "Article 8 word8 and some more"))[0] == "a8"
        assert "a9" not in await near(somebody, alias, "Article 9 word9 and some more")

    @TWO
    async def test_the_new_index_takes_the_name_while_writes_are_blocked_for_a_moment(self, somebody: Somebody) -> None:
        old = somebody.make(MAPPING, settings={"index.refresh_interval": "7s"})
        put_all(somebody, old, ARTICLES)
        other = somebody.alias(old)
        planned = await plan(somebody, old)
        with pytest.raises(SettingsError, match="--block-writes"):
            check_switch(planned, block_writes=False)
        job, _ = await fill(somebody, planned)
        bulk(somebody, [
            {"delete": {"_index": old, "_id": "a1"}},
            {"index": {"_index": old, "_id": "new"}}, {"title": "New", "text": "and last"},
        ])  # fmt: skip
        switched = await finish(somebody, planned, job, block_writes=True)
        put_all(somebody, old, {"later": {"title": "Later", "text": "written by the old name"}})

        assert 0 < switched.blocked_s < 120
        assert list(somebody.send("GET", f"/{old}/_mapping")) == [planned.new]
        assert list(somebody.send("GET", f"/{other}/_mapping")) == [planned.new]
        assert all_of(somebody, old).keys() == {*ARTICLES, "new", "later"} - {"a1"}
        assert (await near(somebody, old, "New and last"))[0] == "new"
        settings = somebody.send("GET", f"/{planned.new}/_settings?flat_settings=true")[planned.new]["settings"]
        assert settings["index.refresh_interval"] == "7s"
        assert "index.blocks.write" not in settings

    @TWO
    async def test_a_job_that_was_stopped_goes_on_and_copies_nothing_twice(self, somebody: Somebody) -> None:
        old = somebody.make(MAPPING, settings={"index.number_of_shards": 2})
        put_all(somebody, old, {f"{at}-{doc_id}": article for at in range(40) for doc_id, article in ARTICLES.items()})
        planned = await plan(somebody, old)
        stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        _, first = await fill(
            somebody,
            planned,
            stop=stop,
            on_progress=lambda counts: counts.copied and not stop.done() and stop.set_result("told to"),
        )
        put_all(somebody, old, {"0-a1": ARTICLES["a1"] | {"text": "changed"}})
        somebody.send("DELETE", f"/{old}/_doc/0-a2")
        again = await plan(somebody, old, new=planned.new)
        _, second = await fill(somebody, again)

        assert (first.stopped, first.same) == ("told to", False)
        assert 0 < first.counts.copied < 1_200
        assert second.same
        assert second.counts.unchanged >= first.counts.copied - 2
        assert second.counts.unchanged + second.counts.copied == 1_199
        assert all_of(somebody, old).keys() == all_of(somebody, planned.new).keys()
        with pytest.raises(SettingsError, match="there is an index"):
            await plan(somebody, somebody.make(MAPPING), new=planned.new)

    @pytest.mark.parametrize("engine", ["es9"], indirect=True)
    async def test_a_time_series_becomes_an_ordinary_index_and_what_is_not_kept_whole_is_refused(
        self, somebody: Somebody
    ) -> None:
        series = {"mode": "time_series", "routing_path": ["host"], "time_series.start_time": "2026-01-01T00:00:00Z"}
        host = {"type": "keyword", "time_series_dimension": True}
        text, day = {"type": "text"}, {"type": "date"}
        old = somebody.make(
            {"properties": {"@timestamp": day, "host": host, "title": text, "text": text}}, settings={"index": series}
        )
        for at in range(3):
            written = {"@timestamp": f"2026-02-0{at + 1}", "host": f"h{at}", "title": f"Host {at}", "text": "is up"}
            somebody.send("POST", f"/{old}/_doc?refresh=true", written)
        planned = await plan(somebody, old)
        _, report = await fill(somebody, planned)
        partial = somebody.make({"_source": {"excludes": ["secret"]}, "properties": {"title": text, "secret": text}})

        assert (report.counts.copied, report.same) == (3, True)
        assert all_of(somebody, planned.new) == all_of(somebody, old)
        with pytest.raises(SettingsError, match="cannot be copied into a new one"):
            await plan_into(cluster_of(somebody), partial, unique_name(), SETTINGS, WORDS, text={"title": 1.0})


class TestFailures:
    @TWO
    async def test_a_switch_that_would_lose_a_document_does_not_happen_and_writes_are_allowed_again(
        self, somebody: Somebody
    ) -> None:
        old = somebody.make(MAPPING)
        put_all(somebody, old, {"a1": ARTICLES["a1"]})
        planned = await plan(somebody, old)
        job, _ = await fill(somebody, planned)
        somebody.send("PUT", f"/{planned.new}/_settings", {"index.mapping.nested_objects.limit": 0})
        put_all(somebody, old, {"a2": ARTICLES["a2"]})
        with pytest.raises(ClusterError, match=f"'{planned.new}' has not all that '{old}' has, .*run this again"):
            await finish(somebody, planned, job, block_writes=True)
        put_all(somebody, old, {"a3": ARTICLES["a3"]})

        assert list(somebody.send("GET", f"/{old}/_mapping")) == [old]
        assert all_of(somebody, old).keys() == {"a1", "a2", "a3"}

    @TWO
    async def test_a_late_document_that_the_new_index_refuses_is_counted(
        self, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = somebody.make(MAPPING)
        put_all(somebody, old, {"a1": ARTICLES["a1"]})
        planned = await plan(somebody, somebody.alias(old))
        job, _ = await fill(somebody, planned)
        somebody.send("PUT", f"/{planned.new}/_settings", {"index.mapping.nested_objects.limit": 0})
        copy_round = job.copy_round

        async def then_write() -> int:
            copied = await copy_round()
            put_all(somebody, old, {"late": ARTICLES["a2"]})
            return copied

        monkeypatch.setattr(job, "copy_round", then_write)
        switched = await finish(somebody, planned, job)

        assert (switched.late, switched.failed) == (0, 1)

    @TWO
    async def test_a_document_that_counts_its_versions_anew_is_copied_over_the_old_one(
        self, somebody: Somebody
    ) -> None:
        old = somebody.make(MAPPING, settings={"index.gc_deletes": "0s"})
        for _ in range(3):
            put_all(somebody, old, {"a1": ARTICLES["a1"]})
        planned = await plan(somebody, old)
        await fill(somebody, planned)
        end = time.monotonic() + 120
        while (made := all_of(somebody, old)["a1"])["_version"] > 1:  # until the engine has forgotten the delete
            assert time.monotonic() < end
            somebody.send("DELETE", f"/{old}/_doc/a1?refresh=true")
            await asyncio.sleep(0.3)
            somebody.send("POST", f"/{old}/_refresh")
            put_all(somebody, old, {"a1": ARTICLES["a1"] | {"text": "made anew"}})
        again = await plan(somebody, old, new=planned.new)
        _, report = await fill(somebody, again)

        assert made["text"] == "made anew"
        assert (report.counts.copied, report.counts.failed) == (1, 0)
        assert all_of(somebody, planned.new)["a1"]["text"] == "made anew"

    @pytest.mark.parametrize("engine", ["es9"], indirect=True)
    async def test_a_text_of_which_the_encoder_makes_no_numbers_is_counted(self, somebody: Somebody) -> None:
        old = somebody.make(MAPPING)
        put_all(somebody, old, ARTICLES | {"bad": {"title": "Broken", "text": "a broken text"}})
        _, report = await fill(somebody, await plan(somebody, old), encoder=BrokenEncoder())

        assert (report.counts.copied, report.counts.failed, report.same) == (len(ARTICLES), 1, False)
        assert report.reasons == {NO_NUMBER: 1}

    @TWO
    async def test_what_ends_a_copy_is_named(self, somebody: Somebody) -> None:
        old = somebody.make(MAPPING)
        put_all(somebody, old, ARTICLES)
        planned = await plan(somebody, old)
        await create_new(cluster_of(somebody), planned)
        somebody.send("PUT", f"/{planned.new}/_settings", {"index.blocks.write": True})
        blocked = await job_of(somebody, planned).run()
        somebody.send("PUT", f"/{planned.new}/_settings", {"index.blocks.write": None})
        job = job_of(somebody, planned)
        filled = await job.run()
        somebody.send("DELETE", f"/{old}")
        with pytest.raises(ClusterError, match=old):
            await job_of(somebody, planned).run()
        somebody.send("PUT", f"/{old}", {"mappings": MAPPING})
        with pytest.raises(ClusterError, match=f"index '{old}' was made anew or restored meanwhile; run this again"):
            await job.copy_round()

        assert filled.same
        assert blocked.stopped
        assert "takes no writes" in blocked.stopped
        assert blocked.counts.copied == 0
