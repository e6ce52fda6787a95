"""Who counts the versions of documents, from their versions and sequence numbers."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from connector.backfill.versions import CountedDocument, CountedShard, CountedVersions


def shard(*documents: tuple[int, int], total: int | None = None, count: int | None = None) -> CountedShard:
    """A shard whose sample is these (version, sequence number)."""
    sample = tuple(CountedDocument(version, seq_no) for version, seq_no in documents)
    highest = max(seq_no for _, seq_no in documents)
    return CountedShard(0, len(sample) if count is None else count, highest, total, sample)


def why(*shards: CountedShard, merged: bool = False) -> str:
    return CountedVersions(shards, merged).why_external


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=60), st.booleans())
def test_what_an_engine_counts_is_never_taken_for_an_applications(writes: list[tuple[int, bool]], sums: bool) -> None:
    """Writes and deletes of five documents; one that comes again after its delete counts on, or begins anew."""
    live: dict[int, CountedDocument] = {}
    last: dict[int, int] = {}
    for seq_no, (document, deleted) in enumerate(writes):
        last[document] = last.get(document, 0) + 1
        live[document] = CountedDocument(last[document], seq_no)
        if deleted:
            del live[document]
            last[document] *= seq_no % 2  # collected meanwhile, or not
    if live:
        seen = tuple((kept.version, kept.seq_no) for kept in live.values())
        counted = shard(*seen, total=sum(version for version, _ in seen) if sums else None)

        assert why(counted) == ""


def test_a_version_above_every_count_is_an_applications() -> None:
    assert "version 1700 and sequence number 4" in why(shard((1, 0), (1700, 4)))


def test_version_0_is_given_by_no_engine() -> None:
    assert "version 0" in why(shard((0, 7)))


def test_versions_that_are_small_show_by_their_sum() -> None:
    """Rows of a table, each at its fifth revision, written once."""
    late = [(5, 100 + at) for at in range(10)]

    assert why(shard(*late, total=550, count=110)) == (
        "the versions of the documents in shard 0 sum up to 550 or more, but it has seen only 110 writes"
    )


def test_a_sum_is_reckoned_from_a_sample_where_the_engine_tells_none() -> None:
    drawn = random.Random(1)
    sample = [(drawn.randint(3, 7), 1000 + at) for at in range(100)]

    assert why(shard(*sample, count=1100))
    assert why(shard(*sample, count=150)) == ""  # for which there were writes enough


def test_a_sample_with_few_large_versions_proves_nothing() -> None:
    sample = [(1, 1000 + at) for at in range(99)] + [(700, 1099)]

    assert why(shard(*sample, count=1100)) == ""


def test_shards_that_were_merged_are_not_summed_up() -> None:
    counted = shard((5, 9), (5, 8), total=10_000, count=2)

    assert why(counted)
    assert why(counted, merged=True) == ""
    assert "version 50" in why(replace(counted, sample=(CountedDocument(50, 9),)), merged=True)
