"""The ingest job over the real embedded store; the encoder is a small one whose tokens are words."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import tries
from support.parts import HashEncoder, schema_of

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import ClusterError, ClusterUnavailable, DiskError, ModelError, SourceError
from connector.ingest.encoding import STEP_PASSAGES
from connector.ingest.pipeline import IngestJob
from connector.ingest.report import Counts, JobReport
from connector.ingest.sources import Row, open_source
from connector.lexical import LexicalQuery
from connector.settings.sections import IngestSettings
from connector.types import IndexedDocument, Vectors, WriteOutcome

SETTINGS = IngestSettings(group_documents=3, writers=2, max_attempts=3, backoff_s=0.001)
FIELDS = {"text": {"title": 1.0, "text": 1.0}, "metadata": {"year": "integer", "extra": "stored"}, "id": "_id"}


class Rows:
    """A source from a list; `breaks_after` rows it raises."""

    id_field = None
    alike = False
    typed = True

    def __init__(self, rows: Sequence[dict[str, Any] | Row], breaks_after: int | None = None) -> None:
        self._rows = rows
        self._breaks_after = breaks_after
        self.notes: Counter[str] = Counter()
        self.progress = 0.0

    def __iter__(self) -> Iterator[Row]:
        for number, row in enumerate(self._rows, start=1):
            if self._breaks_after is not None and number > self._breaks_after:
                raise SourceError("the source broke off")
            self.progress = number / len(self._rows)
            yield row if isinstance(row, Row) else Row(row, f"rows:{number}")


class Unsteady:
    """The embedded index behind a cluster that is not always well."""

    def __init__(
        self,
        index: EmbeddedIndex,
        *,
        outages: int = 0,
        refusals: dict[str, int] | None = None,
        down_after: int | None = None,
        large: str = "",
    ) -> None:
        """`outages` calls of write fail as a whole; `refusals` says how often a document's write is put off (-1: it is
        refused for good); after `down_after` writes nothing answers any more. `large` may be so for good."""
        self._index = index
        self.outages = outages
        self.refusals = dict(refusals or {})
        self.down_after = down_after
        self.large = large
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        self._fail_when_down()
        self.writes += 1
        if self.outages:
            self.outages -= 1
            raise ClusterUnavailable("no answer in time")
        fates = self._put_off([one.document.doc_id for one in documents])
        written = await self._index.write([one for one in documents if one.document.doc_id not in fates])
        return [(fates | {fate.doc_id: fate for fate in written})[one.document.doc_id] for one in documents]

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        fates = self._put_off(doc_ids)
        removed = await self._index.remove([doc_id for doc_id in doc_ids if doc_id not in fates])
        return [(fates | {fate.doc_id: fate for fate in removed})[doc_id] for doc_id in doc_ids]

    def _put_off(self, doc_ids: Sequence[str]) -> dict[str, WriteOutcome]:
        fates = {}
        for doc_id in doc_ids:
            left = self.refusals.get(doc_id, 0)
            if left:
                self.refusals[doc_id] = left - 1 if left > 0 else left
                later = left > 0
                fates[doc_id] = WriteOutcome(
                    doc_id, "queue is full" if later else "mapping", later, perhaps_never=doc_id == self.large
                )
        return fates

    async def get(self, *args: Any, **options: Any) -> Any:
        self._fail_when_down()
        return await self._index.get(*args, **options)

    async def finish(self) -> None:
        self._fail_when_down()
        await self._index.finish()

    def _fail_when_down(self) -> None:
        if self.down_after is not None and self.writes >= self.down_after:
            raise ClusterUnavailable("connection refused")


@pytest.fixture
def encoder() -> HashEncoder:
    return HashEncoder(dims=4, max_tokens=10)


@pytest.fixture
async def index(tmp_path: Path, encoder: HashEncoder) -> AsyncIterator[EmbeddedIndex]:
    cluster = await EmbeddedCluster.open(tmp_path / "store")
    yield await cluster.create_index("docs", schema_of(encoder, **FIELDS))
    await cluster.close()


class Bench:
    """Runs jobs over one index, and reads what is there."""

    def __init__(self, index: EmbeddedIndex, encoder: HashEncoder, rejects: Path) -> None:
        self.index, self.encoder, self.rejects_file = index, encoder, rejects
        self.progress: list[Counts] = []

    async def run(self, rows: Any, *, index: Any = None, **options: Any) -> JobReport:
        source = rows if hasattr(rows, "progress") else Rows(rows)
        job = IngestJob(
            source,
            index or self.index,
            options.pop("encoder", self.encoder),
            options.pop("settings", SETTINGS),
            rejects=self.rejects_file,
            on_progress=self.progress.append,
            **options,
        )
        return await job.run()

    async def ids(self) -> list[str]:
        return sorted([doc_id async for doc_id, _ in self.index.scan()])

    def rejects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.rejects_file.read_text().splitlines()]


@pytest.fixture
def bench(index: EmbeddedIndex, encoder: HashEncoder, tmp_path: Path) -> Bench:
    return Bench(index, encoder, tmp_path / "rejects.jsonl")


def docs(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"_id": name, "title": f"Title {name}", "text": f"The text of {name}.", **fields} for name in names]


def adds_up(report: JobReport) -> bool:
    counts = report.counts
    return counts.read == counts.written + counts.unchanged + counts.failed + report.unfinished


async def test_a_first_run_writes_everything(bench: Bench) -> None:
    report = await bench.run(docs(*"abcdefgh"))

    assert report.counts == Counts(read=8, written=8, passages=8, progress=1.0)
    assert (report.ok, report.rejects, report.stopped, report.unfinished) == (True, None, None, 0)
    assert await bench.ids() == list("abcdefgh")


async def test_what_was_written_is_found_by_both_legs(bench: Bench, encoder: HashEncoder) -> None:
    await bench.run(docs("a", "b", year=7))

    lexical = (await bench.index.lexical(LexicalQuery("b"), depth=5, filter=None, timeout_s=10)).ranking
    dense = await bench.index.dense(encoder.encode_query("Title b\nThe text of b."), depth=5, filter=None, timeout_s=10)

    assert (lexical[0].doc_id, dense[0].doc_id) == ("b", "b")
    assert await bench.index.get(["b"], fields=["year", "title"], timeout_s=10) == {
        "b": {"year": 7, "title": "Title b"}
    }


async def test_a_second_run_writes_nothing_and_encodes_nothing(bench: Bench, encoder: HashEncoder) -> None:
    await bench.run(docs(*"abcde"))
    encoder.encoded.clear()

    report = await bench.run(docs(*"abcde"))

    assert report.counts == Counts(read=5, unchanged=5, progress=1.0)
    assert (report.ok, encoder.encoded) == (True, [])


async def test_a_changed_document_replaces_its_passages(bench: Bench, encoder: HashEncoder) -> None:
    long = [{"_id": "a", "title": "T", "text": "one two three four. five six seven eight. nine ten eleven twelve."}]
    first = await bench.run([*long, *docs("b")])
    second = await bench.run([{"_id": "a", "title": "T", "text": "only one"}, *docs("b")])

    hits = await bench.index.dense(encoder.encode_query("twelve."), depth=5, filter=None, timeout_s=10)
    passages = {passage.passage_id: passage.text for hit in hits for passage in hit.passages}
    assert (first.counts.passages, second.counts.passages) == (4, 1)
    assert second.counts == Counts(read=2, written=1, unchanged=1, passages=1, progress=1.0)
    assert passages == {"a#0": "T\nonly one", "b#0": "Title b\nThe text of b."}


async def test_what_the_index_has_no_field_for_is_counted_by_column(bench: Bench) -> None:
    rows: list[Any] = [
        {"_id": "a", "title": "A", "supplier": "Orsk", "empty": ""},
        {"_id": "b", "title": "B", "supplier": "Orsk"},
        Row({"_id": "c", "title": "C"}, "rows:3", faults={"when": "too far away"}),
    ]
    first = await bench.run(rows)
    again = await bench.run(rows)

    assert first.unused == again.unused == {"supplier": 2, "when": 1}
    assert (first.counts.written, again.counts.unchanged) == (3, 3)


async def test_a_repeated_id_is_rejected_and_the_first_row_stays(bench: Bench) -> None:
    report = await bench.run([*docs("a", "b", "c", "d"), {"_id": "a", "text": "another"}])

    assert (report.counts.written, report.counts.failed) == (4, 1)
    assert "repeats" in bench.rejects()[0]["reason"]
    assert (await bench.index.get(["a"], fields=["text"], timeout_s=10))["a"]["text"] == "The text of a."


async def test_what_fails_is_kept_with_its_reason(bench: Bench) -> None:
    rows = [
        *docs("a"),
        {"title": "no id", "text": "x"},
        {"_id": "empty", "text": " "},
        {"_id": "bad", "text": "x", "year": "soon"},
        Row({}, "file:5", error="the line is not JSON", raw="{broken"),
        {"_id": "\ud800", "text": "half a pair"},
        {"_id": "extra", "text": "x", "extra": {"a": "\ud800"}},
    ]

    report = await bench.run(rows)

    assert (report.counts.read, report.counts.written, report.counts.failed) == (7, 1, 6)
    assert (report.ok, report.rejects) == (False, bench.rejects_file)
    found = bench.rejects()
    assert [one["origin"] for one in found] == ["rows:2", "rows:3", "rows:4", "file:5", "rows:6", "rows:7"]
    assert found[2] == {
        "reason": "field 'year' is an integer but holds 'soon'",
        "origin": "rows:4",
        "document": {"_id": "bad", "text": "x", "year": "soon"},
    }
    assert found[3] == {"reason": "the line is not JSON", "origin": "file:5", "raw": "{broken"}


async def test_the_rejects_of_an_earlier_run_are_gone(bench: Bench) -> None:
    await bench.run([{"text": "no id"}])
    report = await bench.run(docs("a"))

    assert (report.rejects, bench.rejects_file.exists()) == (None, False)


async def test_progress_is_told_and_never_goes_back(bench: Bench) -> None:
    await bench.run([*docs(*"abcdefg"), {"text": "no id"}])

    assert [one.read for one in bench.progress] == sorted(one.read for one in bench.progress)
    assert [one.progress for one in bench.progress] == sorted(one.progress for one in bench.progress)
    assert bench.progress[-1].read == 8


async def test_documents_that_are_gone_are_removed_on_demand_only(bench: Bench) -> None:
    await bench.run(docs(*"abcdefgh"))
    kept = await bench.run(docs(*"abc"))
    before = await bench.ids()
    removed = await bench.run(docs(*"abc"), delete_missing=True)

    assert (kept.counts.removed, before) == (0, list("abcdefgh"))
    assert (removed.counts.removed, removed.ok, removed.kept_missing) == (5, True, None)
    assert await bench.ids() == list("abc")


async def test_a_document_that_fails_today_is_not_removed(bench: Bench) -> None:
    await bench.run(docs(*"abc"))

    report = await bench.run([*docs("a"), {"_id": "b", "text": "x", "year": "soon"}], delete_missing=True)

    assert report.counts.removed == 1
    assert await bench.ids() == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "the source is empty"),
        ([*docs("a"), Row({}, "x", error="not JSON", raw="{")], "1 rows had no readable id"),
        ([*docs("a"), {"text": "no id"}], "1 rows had no readable id"),
    ],
)
async def test_nothing_is_removed_where_the_source_cannot_be_trusted(bench: Bench, rows: list[Any], words: str) -> None:
    await bench.run(docs("a", "b"))

    report = await bench.run(rows, delete_missing=True)

    assert words in (report.kept_missing or "")
    assert (report.ok, report.counts.removed) == (False, 0)
    assert await bench.ids() == ["a", "b"]


async def test_nothing_is_removed_after_a_job_that_stopped(bench: Bench) -> None:
    await bench.run(docs(*"abcdef"))

    report = await bench.run(Rows(docs(*"abc"), breaks_after=1), delete_missing=True)

    assert (report.stopped, report.kept_missing) == ("the source broke off", "the source broke off")
    assert await bench.ids() == list("abcdef")


async def test_what_may_work_later_is_tried_again(bench: Bench) -> None:
    unsteady = Unsteady(bench.index, refusals={"b": 1, "c": 2})

    report = await bench.run(docs(*"abcd"), index=unsteady)

    assert (report.counts.written, report.counts.failed, report.counts.retried) == (4, 0, 3)
    assert await bench.ids() == list("abcd")


async def test_a_large_document_that_is_never_taken_is_rejected_after_the_last_try(bench: Bench) -> None:
    unsteady = Unsteady(bench.index, refusals={"b": 99}, large="b")

    report = await bench.run(docs(*"abcd"), index=unsteady)

    assert (report.counts.written, report.counts.failed, report.stopped) == (3, 1, None)
    assert bench.rejects()[0]["reason"] == "queue is full"
    assert 99 - unsteady.refusals["b"] == SETTINGS.max_attempts


async def test_a_flood_outlasts_the_tries_for_a_cluster_that_is_away(bench: Bench) -> None:
    """Two documents are put off three times as often as a cluster that does not answer would be asked."""
    often = 3 * SETTINGS.max_attempts

    report = await bench.run(docs(*"abcd"), index=Unsteady(bench.index, refusals={"b": often, "c": often}))

    assert (report.counts.written, report.counts.failed, report.stopped) == (4, 0, None)


async def test_a_flood_without_end_stops_the_job_and_fails_no_document(bench: Bench) -> None:
    short = SETTINGS.model_copy(update={"busy_s": 0.0})

    report = await bench.run(docs(*"ab"), index=Unsteady(bench.index, refusals={"a": 99, "b": 99}), settings=short)

    assert report.stopped == "the cluster has taken no document for 0 s (ingest.busy_s): queue is full"
    assert (report.counts.written, report.counts.failed, report.unfinished) == (0, 0, 2)


async def test_a_removal_that_is_put_off_is_done_later(bench: Bench) -> None:
    await bench.run(docs(*"abc"))

    report = await bench.run(docs("a"), index=Unsteady(bench.index, refusals={"b": 2}), delete_missing=True)

    assert report.counts.removed == 2
    assert await bench.ids() == ["a"]


async def test_what_is_refused_for_good_is_tried_once(bench: Bench) -> None:
    unsteady = Unsteady(bench.index, refusals={"b": -1})

    report = await bench.run(docs(*"abc"), index=unsteady)

    assert (report.counts.failed, report.counts.retried, unsteady.writes) == (1, 0, 1)
    assert bench.rejects()[0]["document"]["_id"] == "b"


async def test_a_short_outage_costs_only_time(bench: Bench) -> None:
    report = await bench.run(docs(*"abcd"), index=Unsteady(bench.index, outages=2))

    assert (report.counts.written, report.counts.retried, report.ok) == (4, 2, True)


async def test_a_long_outage_stops_the_job_and_says_what_was_under_way(bench: Bench) -> None:
    report = await bench.run(docs(*"abcdefghij"), index=Unsteady(bench.index, outages=999))

    assert report.stopped == "no answer in time"
    assert (report.counts.written, report.ok) == (0, False)
    assert report.unfinished == report.counts.read > 0
    assert adds_up(report)


async def test_a_cluster_that_goes_away_still_leaves_a_report(bench: Bench) -> None:
    single = IngestSettings(group_documents=2, writers=1, max_attempts=2, backoff_s=0.001)

    report = await bench.run(docs(*"abcdefghij"), index=Unsteady(bench.index, down_after=2), settings=single)

    assert report.stopped == "connection refused"
    assert 2 <= report.counts.written <= len(await bench.ids()) <= 4  # a write that was under way may have gone through
    assert adds_up(report)


async def test_a_stopped_job_is_simply_run_again(bench: Bench) -> None:
    single = IngestSettings(group_documents=2, writers=1, max_attempts=2, backoff_s=0.001)
    stopped = await bench.run(docs(*"abcdefghij"), index=Unsteady(bench.index, down_after=2), settings=single)

    again = await bench.run(docs(*"abcdefghij"))

    assert again.counts.unchanged >= stopped.counts.written
    assert again.counts.unchanged + again.counts.written == 10
    assert await bench.ids() == list("abcdefghij")


async def test_a_source_that_breaks_off_is_reported(bench: Bench) -> None:
    report = await bench.run(Rows(docs(*"abcdef"), breaks_after=4))

    assert report.stopped == "the source broke off"
    assert (report.ok, adds_up(report)) == (False, True)


async def test_a_spoilt_file_is_reported(bench: Bench, tmp_path: Path) -> None:
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in docs(*map(str, range(5_000))))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines)[:-1_000])

    report = await bench.run(open_source(str(tmp_path / "a.jsonl.gz")), settings=IngestSettings(group_documents=500))

    assert "cannot read" in (report.stopped or "")
    assert adds_up(report)


class Failing(HashEncoder):
    """Gives NaN for texts that ask for it, and fails on others."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = super().encode(texts)
        for at, text in enumerate(texts):
            if "nan" in text:
                vectors[at, 0] = np.nan
            if "raise" in text:
                raise ModelError("out of memory")
        return vectors


async def test_a_vector_that_is_no_number_is_never_written(bench: Bench) -> None:
    report = await bench.run(
        [*docs("a"), {"_id": "b", "text": "nan"}, *docs("c")], encoder=Failing(dims=4, max_tokens=10)
    )

    assert (report.counts.written, report.counts.failed) == (2, 1)
    assert "NaN" in bench.rejects()[0]["reason"]
    assert await bench.ids() == ["a", "c"]


async def test_an_encoder_that_fails_stops_the_job(bench: Bench) -> None:
    report = await bench.run([{"_id": "b", "text": "raise"}], encoder=Failing(dims=4, max_tokens=10))

    assert (report.stopped, report.unfinished) == ("out of memory", 1)


async def test_groups_are_cut_by_bytes_too(bench: Bench) -> None:
    unsteady = Unsteady(bench.index)

    await bench.run(docs(*"abcdef"), index=unsteady, settings=IngestSettings(group_documents=100, group_bytes=40))

    assert unsteady.writes == 3


async def test_a_failing_removal_is_reported(bench: Bench) -> None:
    class Keeping(Unsteady):
        async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
            raise ClusterError("no privilege")

    await bench.run(docs("a", "b"))
    report = await bench.run(docs("a"), index=Keeping(bench.index), delete_missing=True)

    assert (report.stopped, report.ok, report.counts.removed) == ("no privilege", False, 0)


names = st.sampled_from("abcdefgh")
rows = st.lists(
    st.builds(
        lambda name, text: {"_id": name, "text": text},
        names,
        st.sampled_from(["one", "two words", "a b c d e f g h i. j k l."]),
    )
    | st.just({"text": "no id"})
    | st.builds(lambda name: {"_id": name, "text": ""}, names)
    | st.just(Row({}, "x", error="broken", raw="{")),
    max_size=14,
)


@settings(max_examples=tries(15))
@given(first=rows, second=rows, outages=st.integers(0, 2), delete=st.booleans())
def test_counts_add_up_and_the_index_holds_what_was_taken(
    tmp_path_factory: pytest.TempPathFactory, first: list[Any], second: list[Any], outages: int, delete: bool
) -> None:
    async def work() -> None:
        folder = tmp_path_factory.mktemp("job")
        encoder = HashEncoder(dims=4, max_tokens=10)
        cluster = await EmbeddedCluster.open(folder / "store")
        index = await cluster.create_index("docs", schema_of(encoder, **FIELDS))
        bench = Bench(index, encoder, folder / "rejects.jsonl")
        expected: dict[str, str] = {}
        for batch in (first, second):
            report = await bench.run(batch, index=Unsteady(index, outages=outages), delete_missing=delete)
            assert adds_up(report)
            assert (report.unfinished, report.stopped) == (0, None)
            assert report.counts.read == len(batch)
            assert report.counts.failed == (len(bench.rejects()) if report.rejects else 0)
            taken: dict[str, str] = {}
            seen: set[str] = set()
            for row in batch:
                if isinstance(row, dict) and row.get("_id"):
                    if row["text"] and row["_id"] not in taken:
                        taken[row["_id"]] = row["text"]
                    seen.add(row["_id"])
            if delete and report.kept_missing is None:
                expected = {name: text for name, text in expected.items() if name in seen}
            expected |= taken
            stored = await index.get(list("abcdefgh"), fields=["text"], timeout_s=10)
            assert {name: one["text"] for name, one in stored.items()} == expected
        await cluster.close()

    asyncio.run(work())


class Gated(HashEncoder):
    """An encoder that tells of each step and waits until it may go on."""

    def __init__(self) -> None:
        super().__init__(dims=4, max_tokens=10)
        self.begun, self.go = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.begun.set()
        assert self.go.wait(120)
        return super().encode(texts)


async def test_a_job_that_is_to_stop_writes_what_is_encoded_and_no_more(bench: Bench) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    encoder = Gated()
    running = asyncio.create_task(bench.run(docs(*(f"d{at:02}" for at in range(40))), stop=stop, encoder=encoder))
    assert await asyncio.to_thread(encoder.begun.wait, 120)
    stop.set_result("SIGTERM was received")
    encoder.go.set()
    report = await running

    assert report.stopped == "SIGTERM was received"
    assert report.counts.written == 3  # the group that was being encoded
    assert report.unfinished > 0
    assert adds_up(report)
    assert await bench.ids() == ["d00", "d01", "d02"]
    assert (await bench.run(docs(*(f"d{at:02}" for at in range(40))))).counts.written == 37


async def test_of_a_long_group_what_is_encoded_is_written_and_the_rest_left(bench: Bench) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    encoder = Gated()
    rows = docs(*(f"d{at:03}" for at in range(3 * STEP_PASSAGES)))
    wide = SETTINGS.model_copy(update={"group_documents": len(rows)})
    running = asyncio.create_task(bench.run(rows, stop=stop, encoder=encoder, settings=wide))
    assert await asyncio.to_thread(encoder.begun.wait, 120)
    stop.set_result("stop")
    encoder.go.set()
    report = await running

    assert len(encoder.encoded) == STEP_PASSAGES
    assert (report.counts.written, report.unfinished) == (STEP_PASSAGES, len(rows) - STEP_PASSAGES)
    assert adds_up(report)
    assert (await bench.run(rows)).counts.unchanged == STEP_PASSAGES


async def test_a_document_of_which_some_passages_are_encoded_is_not_written(bench: Bench) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    encoder = Gated()
    long = " ".join(f"word{at}." for at in range(100 * STEP_PASSAGES))
    rows = [*docs("short"), {"_id": "long", "title": "Long", "text": long}]
    running = asyncio.create_task(bench.run(rows, stop=stop, encoder=encoder))
    assert await asyncio.to_thread(encoder.begun.wait, 120)
    stop.set_result("stop")
    encoder.go.set()
    report = await running

    assert len(encoder.encoded) == STEP_PASSAGES  # the short one and the first passages of the long one
    assert (await bench.ids(), report.unfinished) == (["short"], 1)


async def test_the_grace_ends_even_where_the_cluster_hangs(bench: Bench) -> None:
    class Hanging(Unsteady):
        async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
            hanging.set()
            await asyncio.Event().wait()
            return []

    hanging = asyncio.Event()
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    short = SETTINGS.model_copy(update={"grace_s": 0.2})
    running = asyncio.create_task(bench.run(docs(*"abc"), index=Hanging(bench.index), stop=stop, settings=short))
    await hanging.wait()
    stop.set_result("stop")
    report = await asyncio.wait_for(running, 120)

    assert (report.stopped, report.counts.written, report.unfinished) == ("stop", 0, 3)


@pytest.mark.parametrize("written", [0, 1])
async def test_the_end_of_a_stopped_job_waits_for_no_refresh(bench: Bench, written: int) -> None:
    class NeverRefreshed(Unsteady):
        async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
            if self.writes == written:
                raise ClusterUnavailable("no answer in time")
            return await super().write(documents)

        async def finish(self) -> None:
            await asyncio.Event().wait()

    index = NeverRefreshed(bench.index)
    short = SETTINGS.model_copy(update={"grace_s": 0.2, "group_documents": 1, "writers": 1})
    report = await asyncio.wait_for(bench.run(docs(*"abc"), index=index, settings=short), 120)

    assert (report.stopped, report.counts.written) == ("no answer in time", written)


async def test_a_stop_before_the_start_leaves_all_undone(bench: Bench) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop.set_result("stop")
    report = await bench.run(docs(*"abc"), stop=stop)

    assert (report.stopped, report.counts.read) == ("stop", 0)


async def test_a_job_that_ends_before_it_can_stop_is_whole(bench: Bench) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    report = await bench.run(docs(*"abc"), stop=stop)

    assert (report.stopped, report.counts.written, report.ok) == (None, 3, True)


async def test_vectors_stay_with_their_passages_though_they_are_encoded_by_length(bench: Bench) -> None:
    words = ["word " * (1 + at * 7 % 90) + f"end{at}." for at in range(2 * STEP_PASSAGES + 5)]
    rows = [{"_id": f"d{at:03}", "title": "T", "text": text} for at, text in enumerate(words)]
    wide = SETTINGS.model_copy(update={"group_documents": len(rows)})
    plain = HashEncoder(dims=4, max_tokens=200)
    await bench.run(rows, settings=wide, encoder=plain)
    for at in (0, 17, 64, 132):
        (best, *_) = await bench.index.dense(plain.encode_query("T\n" + words[at]), depth=1, filter=None, timeout_s=10)

        assert best.doc_id == f"d{at:03}"
        assert best.score == pytest.approx(1.0, abs=1e-5)


async def test_a_pause_is_as_long_as_the_cluster_asked_for(bench: Bench) -> None:
    class Busy(Unsteady):
        async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
            if not self.writes:
                self.writes += 1
                raise ClusterUnavailable("busy", status=429, retry_after_s=0.6)
            return await super().write(documents)

    report = await bench.run(docs("a"), index=Busy(bench.index))

    assert (report.counts.written, report.counts.retried) == (1, 1)
    assert report.seconds >= 0.6


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a file that is always full")
async def test_a_full_disk_for_the_rejects_stops_the_job_and_counts_nothing_that_was_not_kept(
    bench: Bench, tmp_path: Path
) -> None:
    class Filling(Rows):
        """The disk is full from the third row on."""

        def __iter__(self) -> Iterator[Row]:
            for number, row in enumerate(super().__iter__()):
                if number == 2:
                    bench.rejects_file.unlink(missing_ok=True)
                    bench.rejects_file.symlink_to("/dev/full")
                yield row

    report = await bench.run(Filling([*docs("a", "b"), {"_id": "c"}, *docs("d")]))

    assert "cannot keep a failed document" in str(report.stopped)
    assert "No space left on device" in str(report.stopped)
    assert "--rejects" in str(report.stopped)
    assert (report.counts.failed, report.counts.read) == (0, 3)
    assert adds_up(report)


async def test_rejects_that_cannot_be_kept_are_found_out_before_anything_is_read(bench: Bench, tmp_path: Path) -> None:
    bench.rejects_file = tmp_path / "no such folder" / "rejects.jsonl"

    with pytest.raises(DiskError, match="name another file: --rejects"):
        await bench.run(docs("a"))
