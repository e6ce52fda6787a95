"""What an ingest job writes, leaves as it is, removes and rejects, over the real embedded store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ingest.ingest_jobs import FIELDS, SETTINGS, IngestJobs, Rows, Unsteady, adds_up, docs
from support.parts import HashEncoder, schema_of
from support.runs.effort import tries

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.ingest.encoding import STEP_PASSAGES
from connector.ingest.report import Counts
from connector.ingest.sources import Row
from connector.lexical import LexicalQuery
from connector.settings.sections import IngestSettings


@pytest.fixture
def encoder(jobs: IngestJobs) -> HashEncoder:
    return jobs.encoder


async def test_a_first_run_writes_everything(jobs: IngestJobs) -> None:
    report = await jobs.run(docs(*"abcdefgh"))

    assert report.counts == Counts(read=8, written=8, passages=8, progress=1.0)
    assert (report.ok, report.rejects, report.stopped, report.unfinished) == (True, None, None, 0)
    assert await jobs.ids() == list("abcdefgh")


async def test_what_was_written_is_found_by_both_legs(jobs: IngestJobs, encoder: HashEncoder) -> None:
    await jobs.run(docs("a", "b", year=7))

    lexical = (await jobs.index.lexical(LexicalQuery("b"), depth=5, filter=None, timeout_s=10)).ranking
    dense = await jobs.index.dense(encoder.encode_query("Title b\nThe text of b."), depth=5, filter=None, timeout_s=10)

    assert (lexical[0].doc_id, dense[0].doc_id) == ("b", "b")
    assert await jobs.index.get(["b"], fields=["year", "title"], timeout_s=10) == {"b": {"year": 7, "title": "Title b"}}


async def test_a_second_run_writes_nothing_and_encodes_nothing(jobs: IngestJobs, encoder: HashEncoder) -> None:
    await jobs.run(docs(*"abcde"))
    encoder.encoded.clear()

    report = await jobs.run(docs(*"abcde"))

    assert report.counts == Counts(read=5, unchanged=5, progress=1.0)
    assert (report.ok, encoder.encoded) == (True, [])


async def test_a_changed_document_replaces_its_passages(jobs: IngestJobs, encoder: HashEncoder) -> None:
    long = [{"_id": "a", "title": "T", "text": "one two three four. five six seven eight. nine ten eleven twelve."}]
    first = await jobs.run([*long, *docs("b")])
    second = await jobs.run([{"_id": "a", "title": "T", "text": "only one"}, *docs("b")])

    hits = await jobs.index.dense(encoder.encode_query("twelve."), depth=5, filter=None, timeout_s=10)
    passages = {passage.passage_id: passage.text for hit in hits for passage in hit.passages}
    assert (first.counts.passages, second.counts.passages) == (4, 1)
    assert second.counts == Counts(read=2, written=1, unchanged=1, passages=1, progress=1.0)
    assert passages == {"a#0": "T\nonly one", "b#0": "Title b\nThe text of b."}


async def test_what_the_index_has_no_field_for_is_counted_by_column(jobs: IngestJobs) -> None:
    rows: list[Any] = [
        {"_id": "a", "title": "A", "supplier": "Orsk", "empty": ""},
        {"_id": "b", "title": "B", "supplier": "Orsk"},
        Row({"_id": "c", "title": "C"}, "rows:3", faults={"when": "too far away"}),
    ]
    first = await jobs.run(rows)
    again = await jobs.run(rows)

    assert first.unused == again.unused == {"supplier": 2, "when": 1}
    assert (first.counts.written, again.counts.unchanged) == (3, 3)


async def test_a_repeated_id_is_rejected_and_the_first_row_stays(jobs: IngestJobs) -> None:
    report = await jobs.run([*docs("a", "b", "c", "d"), {"_id": "a", "text": "another"}])

    assert (report.counts.written, report.counts.failed) == (4, 1)
    assert "repeats" in jobs.rejects()[0]["reason"]
    assert (await jobs.index.get(["a"], fields=["text"], timeout_s=10))["a"]["text"] == "The text of a."


async def test_what_fails_is_kept_with_its_reason(jobs: IngestJobs) -> None:
    rows = [
        *docs("a"),
        {"title": "no id", "text": "x"},
        {"_id": "empty", "text": " "},
        {"_id": "bad", "text": "x", "year": "soon"},
        Row({}, "file:5", error="the line is not JSON", raw="{broken"),
        {"_id": "\ud800", "text": "half a pair"},
        {"_id": "extra", "text": "x", "extra": {"a": "\ud800"}},
    ]

    report = await jobs.run(rows)

    assert (report.counts.read, report.counts.written, report.counts.failed) == (7, 1, 6)
    assert (report.ok, report.rejects) == (False, jobs.rejects_file)
    found = jobs.rejects()
    assert [reject["origin"] for reject in found] == ["rows:2", "rows:3", "rows:4", "file:5", "rows:6", "rows:7"]
    assert found[2] == {
        "reason": "field 'year' is an integer but holds 'soon'",
        "origin": "rows:4",
        "document": {"_id": "bad", "text": "x", "year": "soon"},
    }
    assert found[3] == {"reason": "the line is not JSON", "origin": "file:5", "raw": "{broken"}


async def test_the_rejects_of_an_earlier_run_are_gone(jobs: IngestJobs) -> None:
    await jobs.run([{"text": "no id"}])
    report = await jobs.run(docs("a"))

    assert (report.rejects, jobs.rejects_file.exists()) == (None, False)


async def test_progress_is_told_and_never_goes_back(jobs: IngestJobs) -> None:
    await jobs.run([*docs(*"abcdefg"), {"text": "no id"}])

    assert [counts.read for counts in jobs.progress] == sorted(counts.read for counts in jobs.progress)
    assert [counts.progress for counts in jobs.progress] == sorted(counts.progress for counts in jobs.progress)
    assert jobs.progress[-1].read == 8


async def test_documents_that_are_gone_are_removed_on_demand_only(jobs: IngestJobs) -> None:
    await jobs.run(docs(*"abcdefgh"))
    kept = await jobs.run(docs(*"abc"))
    before = await jobs.ids()
    removed = await jobs.run(docs(*"abc"), delete_missing=True)

    assert (kept.counts.removed, before) == (0, list("abcdefgh"))
    assert (removed.counts.removed, removed.ok, removed.kept_missing) == (5, True, None)
    assert await jobs.ids() == list("abc")


async def test_a_document_that_fails_today_is_not_removed(jobs: IngestJobs) -> None:
    await jobs.run(docs(*"abc"))

    report = await jobs.run([*docs("a"), {"_id": "b", "text": "x", "year": "soon"}], delete_missing=True)

    assert report.counts.removed == 1
    assert await jobs.ids() == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "the source is empty"),
        ([*docs("a"), Row({}, "x", error="not JSON", raw="{")], "1 rows had no readable id"),
        ([*docs("a"), {"text": "no id"}], "1 rows had no readable id"),
    ],
)
async def test_nothing_is_removed_where_the_source_cannot_be_trusted(
    jobs: IngestJobs, rows: list[Any], words: str
) -> None:
    await jobs.run(docs("a", "b"))

    report = await jobs.run(rows, delete_missing=True)

    assert words in (report.kept_missing or "")
    assert (report.ok, report.counts.removed) == (False, 0)
    assert await jobs.ids() == ["a", "b"]


async def test_nothing_is_removed_after_a_job_that_stopped(jobs: IngestJobs) -> None:
    await jobs.run(docs(*"abcdef"))

    report = await jobs.run(Rows(docs(*"abc"), breaks_after=1), delete_missing=True)

    assert (report.stopped, report.kept_missing) == ("the source broke off", "the source broke off")
    assert await jobs.ids() == list("abcdef")


async def test_groups_are_cut_by_bytes_too(jobs: IngestJobs) -> None:
    unsteady = Unsteady(jobs.index)

    await jobs.run(docs(*"abcdef"), index=unsteady, settings=IngestSettings(group_documents=100, group_bytes=40))

    assert unsteady.writes == 3


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


@settings(max_examples=tries(8))
@given(first=rows, second=rows, outages=st.integers(0, 2), delete=st.booleans())
def test_counts_add_up_and_the_index_holds_what_was_taken(
    tmp_path_factory: pytest.TempPathFactory, first: list[Any], second: list[Any], outages: int, delete: bool
) -> None:
    async def work() -> None:
        folder = tmp_path_factory.mktemp("job")
        encoder = HashEncoder(dims=4, max_tokens=10)
        cluster = await EmbeddedCluster.open(folder / "store")
        index = await cluster.create_index("docs", schema_of(encoder, **FIELDS))
        jobs = IngestJobs(index, encoder, folder / "rejects.jsonl")
        expected: dict[str, str] = {}
        for batch in (first, second):
            report = await jobs.run(batch, index=Unsteady(index, outages=outages), delete_missing=delete)
            assert adds_up(report)
            assert (report.unfinished, report.stopped) == (0, None)
            assert report.counts.read == len(batch)
            assert report.counts.failed == (len(jobs.rejects()) if report.rejects else 0)
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
            assert {name: document["text"] for name, document in stored.items()} == expected
        await cluster.close()

    asyncio.run(work())


async def test_vectors_stay_with_their_passages_though_they_are_encoded_by_length(jobs: IngestJobs) -> None:
    words = ["word " * (1 + at * 7 % 90) + f"end{at}." for at in range(2 * STEP_PASSAGES + 5)]
    rows = [{"_id": f"d{at:03}", "title": "T", "text": text} for at, text in enumerate(words)]
    wide = SETTINGS.model_copy(update={"group_documents": len(rows)})
    plain = HashEncoder(dims=4, max_tokens=200)
    await jobs.run(rows, settings=wide, encoder=plain)
    for at in (0, 17, 64, 132):
        (best, *_) = await jobs.index.dense(plain.encode_query("T\n" + words[at]), depth=1, filter=None, timeout_s=10)

        assert best.doc_id == f"d{at:03}"
        assert best.score == pytest.approx(1.0, abs=1e-5)
