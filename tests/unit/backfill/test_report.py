"""Every document is counted once, however often a back-fill meets it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.backfill import report
from connector.backfill.in_place.own_writes import OwnWrites
from connector.backfill.report import OTHER_REASONS, BackfillCounts, Ledger, count_reasons
from connector.backfill.scan import FoundDocument


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger(expected=10)
    yield made
    made.close()


def document(doc_id: str, seq_no: int = 0, shard: int = 0) -> FoundDocument:
    return FoundDocument("shop", doc_id, None, seq_no, 1, 1, {}, shard=shard)


def counts(ledger: Ledger) -> dict[str, int]:
    names = BackfillCounts.__dataclass_fields__
    return {name: getattr(ledger.counts, name) for name in names if name != "expected" and getattr(ledger.counts, name)}


def test_each_document_counts_as_what_became_of_it(ledger: Ledger) -> None:
    for doc_id, kind in (("a", "written"), ("b", "unchanged"), ("c", "gone"), ("d", "refused"), ("e", "without_text")):
        ledger.settle(document(doc_id), kind)  # type: ignore[arg-type]

    assert counts(ledger) == {"found": 5, "written": 1, "unchanged": 1, "gone": 1, "refused": 1, "without_text": 1}
    assert ledger.counts.progress == 0.5


def test_what_is_settled_at_last_counts_no_longer_as_contested(ledger: Ledger) -> None:
    ledger.settle(document("a", 1), "contested")
    ledger.settle(document("a", 2), "contested")

    assert counts(ledger) == {"found": 1, "contested": 1}

    ledger.settle(document("a", 3), "written")

    assert counts(ledger) == {"found": 1, "written": 1}


def test_what_changed_after_it_was_done_is_done_again_or_behind(ledger: Ledger) -> None:
    ledger.settle(document("a", 1), "written")
    ledger.settle(document("a", 5), "contested")

    assert counts(ledger) == {"found": 1, "written": 1, "behind": 1}

    ledger.settle(document("a", 6), "written")

    assert counts(ledger) == {"found": 1, "written": 1, "again": 1}

    ledger.settle(document("a", 8), "unchanged")
    ledger.settle(document("a", 9), "gone")
    ledger.settle(document("a", 9), "contested")

    assert counts(ledger) == {"found": 1, "written": 1, "again": 1, "behind": 1}


def test_documents_of_one_id_in_two_shards_are_two(ledger: Ledger) -> None:
    ledger.settle(document("a", shard=0), "written")
    ledger.settle(document("a", shard=1), "written")

    assert counts(ledger) == {"found": 2, "written": 2}


def test_a_refused_state_of_a_document_is_remembered(ledger: Ledger) -> None:
    ledger.settle(document("a", 4), "refused")

    assert ledger.was_refused(document("a", 4))
    assert not ledger.was_refused(document("a", 5))
    assert not ledger.was_refused(document("b", 4))


def test_a_ledger_of_a_job_without_end_does_not_grow_without_end(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_UNSETTLED", 2)
    monkeypatch.setattr(report, "MOST_REASONS", 2)
    for number in range(4):
        ledger.settle(document(f"d{number}", number, shard=number % 2), "refused")
    reasons: dict[str, int] = {}
    count_reasons(reasons, ("a", "b", "c", "a", "d"))

    assert ledger.refused(2) == [[2], [3]]
    assert ledger.counts.refused == 4
    assert reasons == {"a": 2, "b": 1, OTHER_REASONS: 2}

    ledger.keep_within(4)
    ledger.settle(document("d9"), "written")
    ledger.settle(document("d9"), "written")

    assert ledger.counts.again == 1

    ledger.keep_within(4)
    ledger.settle(document("d9"), "written")

    assert (ledger.counts.written, ledger.counts.again) == (2, 1)


def test_numbers_that_follow_each_other_are_one_interval() -> None:
    own = OwnWrites()
    for number in (5, 7, 6, 1, 6, 9, 8, 20):
        own.add(number)

    assert own.longest(9) == [(5, 9), (1, 1), (20, 20)]
    assert own.longest(1) == [(5, 9)]
    assert [number for number in range(25) if number in own] == [1, 5, 6, 7, 8, 9, 20]
