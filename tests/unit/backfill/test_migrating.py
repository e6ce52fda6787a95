"""Which of the indices behind a name change over to another encoder, and what becomes of `_meta`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.indices.backfills import WORDS

from connector.backfill.migrating import IndexBackfills, choose_to_switch
from connector.backfilled import AddedNames, Backfilled, switch_to_other, without_other
from connector.errors import SettingsError
from connector.schema import PassageSettings

OLD = Backfilled(WORDS, {"title": 1.0}, PassageSettings(0, 4))
NEW = Backfilled(replace(WORDS, sha256="other"), {"title": 1.0}, PassageSettings(0, 4), AddedNames("passages_2"))


def test_all_change_over_and_a_switch_that_was_cut_off_is_brought_to_its_end() -> None:
    before = [IndexBackfills(name, OLD, NEW) for name in ("a", "b", "c")]
    after = [IndexBackfills(name, NEW, OLD) for name in ("a", "b", "c")]

    assert choose_to_switch(before) == before
    assert choose_to_switch([*after[:1], *before[1:]]) == before[1:]
    assert choose_to_switch(after) == after  # back again


def test_a_switch_that_was_cut_off_and_comes_through_late_is_none() -> None:
    switched = switch_to_other(NEW.to_meta_as_other(OLD.to_meta({"owner": "shop"})), "passages_2")

    assert Backfilled.from_meta(switched) == NEW
    assert Backfilled.others_from_meta(switched) == (OLD,)
    assert switch_to_other(switched, "passages_2") == switched
    with pytest.raises(SettingsError, match="taken out meanwhile"):
        switch_to_other(without_other(switched, "passages"), "passages")
