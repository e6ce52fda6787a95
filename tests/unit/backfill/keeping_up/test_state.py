"""What a follower keeps between two runs, and when nothing may be concluded from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connector.backfill.keeping_up.checkpoints import IndexCheckpoints, ShardCheckpoint
from connector.backfill.keeping_up.state import StateFile, begin_anew, moved_to, moved_within
from connector.errors import SettingsError

SHARD = ShardCheckpoint("h1", 10, 12)
NOW = IndexCheckpoints("u1", (SHARD, replace(SHARD, history="h2")))
STATE = moved_to(begin_anew("shop", "g1", NOW), [10, 10], [[3, 7], []], 1000.0)


@pytest.mark.parametrize(
    ("generation", "now", "why"),
    [
        ("g1", replace(NOW, uuid="u2"), "made anew"),
        ("g1", replace(NOW, shards=(SHARD,)), "has 1 shards now, and had 2"),
        ("g2", NOW, "the encoder"),
        ("g1", replace(NOW, shards=(SHARD, replace(SHARD, history="h3"))), "another history"),
        ("g1", replace(NOW, shards=(replace(SHARD, newest=9), NOW.shards[1])), "lost operations"),
    ],
)
def test_a_state_is_void_where_it_may_say_too_much(generation: str, now: IndexCheckpoints, why: str) -> None:
    assert why in str(STATE.why_void(generation, now))


def test_a_state_holds_while_the_index_only_grows() -> None:
    grown = replace(NOW, shards=tuple(replace(shard, safe=30, newest=40) for shard in NOW.shards))

    assert STATE.why_void("g1", grown) is None


def test_a_state_is_read_as_it_was_kept(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state.json")

    assert file.read() is None

    file.keep(STATE)

    assert file.read() == STATE
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_amid_a_round_the_state_moves_forth_alone_and_forgets_no_refusal() -> None:
    state = moved_within(replace(STATE, lacking_after=(4, 4)), [5, 12], [[11], [7]])

    assert (state.upto, state.refused) == ((10, 12), ((3, 7, 11), (7,)))
    assert (state.swept_at, state.lacking_after) == (1000.0, (4, 4))
    assert moved_to(state, [20, 20], [[], [9, 8]], None).refused == ((), (8, 9))
    assert moved_to(state, [20, 20], [[], []], None).lacking_after == ()


@pytest.mark.parametrize(("seconds", "is_due"), [(1000.0, False), (1059.0, False), (1060.0, True), (999.0, True)])
def test_a_sweep_is_due_so_long_after_the_last_one_whatever_was_restarted(seconds: float, is_due: bool) -> None:
    assert STATE.is_sweep_due(seconds, 60.0) is is_due
    assert begin_anew("shop", "g1", NOW).is_sweep_due(seconds, 60.0)


def test_a_state_is_kept_by_one_follower_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with StateFile(path).held():
        with pytest.raises(SettingsError, match="another connector follow"), StateFile(path).held():
            pass
        with StateFile(tmp_path / "other.json").held():
            pass
        (tmp_path / "link").symlink_to(path)
        with pytest.raises(SettingsError, match="another connector follow"), StateFile(tmp_path / "link").held():
            pass
    with StateFile(path).held():
        pass
    with pytest.raises(SettingsError, match="name another --state"), StateFile(tmp_path / "no" / "state.json").held():
        pass


def test_a_link_to_a_state_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "state.json")
    file = StateFile(tmp_path / "link")
    for _ in range(2):
        file.keep(STATE)
        file.forget()

    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "index": "shop"}'])
def test_another_file_is_not_taken_for_a_state_nor_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match="is not the state of connector follow"):
        StateFile(path).read()

    assert path.read_text() == text
