"""Which of the indices behind a name change over to another encoder."""

from __future__ import annotations

from dataclasses import replace

from support.backfills import WORDS

from connector.backfill.migrating import Encoders, choose_to_switch
from connector.backfilled import AddedNames, Backfilled
from connector.schema import PassageSettings

OLD = Backfilled(WORDS, {"title": 1.0}, PassageSettings(0, 4))
NEW = Backfilled(replace(WORDS, sha256="other"), {"title": 1.0}, PassageSettings(0, 4), AddedNames("passages_2"))


def test_all_change_over_and_a_switch_that_was_cut_off_is_brought_to_its_end() -> None:
    before = [Encoders(name, OLD, NEW) for name in ("a", "b", "c")]
    after = [Encoders(name, NEW, OLD) for name in ("a", "b", "c")]

    assert choose_to_switch(before) == before
    assert choose_to_switch([*after[:1], *before[1:]]) == before[1:]
    assert choose_to_switch(after) == after  # back again
