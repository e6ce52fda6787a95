"""How an estimate reads."""

from __future__ import annotations

import pytest

from connector.backfill.facts import Facts
from connector.backfill.planning.dry_run import BackfillRehearsal
from connector.backfill.planning.estimate import estimate
from connector.backfill.planning.sampling import SampledWork
from connector.backfill.probe.judge import judge
from connector.cli.tables.backfill_estimate import print_rehearsal, spell_bytes, spell_time
from connector.clusters.indices.vector_choices import read_choices
from connector.clusters.protocol import Engine


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (123_456_789, "123 MB"), (9e13, "90.0 TB")],
)
def test_bytes_are_spelled_with_a_unit(count: float, words: str) -> None:
    assert spell_bytes(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(45.4, "45 s"), (600, "10 min"), (12_240, "3.4 h"), (181_440, "2.1 days")]
)
def test_times_are_spelled_with_a_unit(seconds: float, words: str) -> None:
    assert spell_time(seconds) == words


def test_each_figure_says_how_it_was_found(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    facts = Facts("kb", Engine("elasticsearch", "9.3.2"), {}, {"index.lifecycle.name": "weekly"}, documents=1_000)
    sample = SampledWork(10, 1, (0, *[2] * 9), tokens=900, text_bytes=3_600, encoded_tokens=450, encode_s=0.5)
    floats = read_choices("elasticsearch")["hnsw"]
    found = estimate(facts, sample, dims=100, m=16, chosen=floats, choices=(floats,), writers=2, index_bytes=5_000)
    print_rehearsal(BackfillRehearsal(judge(facts), {"properties": {"passages": {}}}, found))
    printed = capsys.readouterr().out

    assert "index kb would be filled where it is; nothing was written" in printed
    assert "- the life-cycle policy 'weekly' is set for it" in printed
    assert "900 tokens a second, measured here and now" in printed
    assert "hnsw (chosen)" in printed
