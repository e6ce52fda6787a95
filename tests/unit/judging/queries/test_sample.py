"""A log becomes the queries of a folder, and everything else in it is counted."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from support.programs.command import flat
from typer.testing import CliRunner

from connector.cli.app import app
from connector.errors import SettingsError, SourceError
from connector.evaluation.files.queries import read_queries
from connector.judging.folder import JudgingFolder
from connector.judging.logs.outcome import NoSearch, SearchedFor, Unreadable
from connector.judging.logs.read import Entry
from connector.judging.queries.fold import LoggedQuery
from connector.judging.queries.sample import QueryChoice, take_queries, write_queries

LOG = ["Red shoes", "red shoes", "hats", "hats", "hats", "mail anna@example.org", "mail bob@example.org", "???"]


def entries(texts: list[str]) -> Iterator[Entry]:
    return (Entry(SearchedFor(text), f"a.txt:{at}") for at, text in enumerate(texts, start=1))


def texts_of(taken: Any) -> dict[str, int]:
    return {sampled.query.text: sampled.query.frequency for sampled in taken.sample}


def test_what_is_the_same_is_one_query_and_personal_ones_are_left_out() -> None:
    taken = take_queries(entries(LOG), QueryChoice())

    assert texts_of(taken) == {"hats": 3, "red shoes": 2}
    assert taken.personal == {"mail address": 2}
    assert taken.left_out == {"no letter and no digit in it": 1}


def test_a_mask_or_nothing_in_its_place() -> None:
    masked = take_queries(entries(LOG), QueryChoice(personal="mask"))
    kept = take_queries(entries(LOG), QueryChoice(personal="keep"))

    assert texts_of(masked) == {"hats": 3, "red shoes": 2, "mail ***": 2}
    assert texts_of(kept)["mail anna@example.org"] == 1
    assert masked.personal == kept.personal == {"mail address": 2}


def test_every_entry_is_counted_once() -> None:
    log = [
        Entry(SearchedFor("hats"), "a:1"),
        Entry(NoSearch("a request without q="), "a:2"),
        *(Entry(Unreadable("no JSON"), f"a:{at}", "x" * 500) for at in range(3, 13)),
    ]
    heard: list[int] = []
    tally = take_queries(log, QueryChoice(), on_entries=heard.append).tally

    assert tally.entries == tally.searches + tally.no_search.total() + tally.unreadable == 12
    assert [entry.origin for entry in tally.examples] == ["a:3", "a:4", "a:5", "a:6", "a:7"]
    assert len(tally.examples[0].raw) < 200
    assert heard == [12]


def test_rare_queries_can_be_left_out() -> None:
    taken = take_queries(entries([*LOG, "a name"]), QueryChoice(min_frequency=2))

    assert texts_of(taken) == {"hats": 3, "red shoes": 2}
    assert taken.rare == 1


@pytest.mark.parametrize(
    ("log", "choice", "reason"),
    [
        ([], QueryChoice(), "it is empty"),
        ([Entry(NoSearch("a request without q="), "a:1")] * 3, QueryChoice(), "3 times: a request without q="),
        ([Entry(Unreadable("no JSON"), "a:1")], QueryChoice(), "the first at a:1: no JSON"),
        ([Entry(SearchedFor("hats"), "a:1")], QueryChoice(min_frequency=2), "1 were asked fewer than 2 times"),
        ([Entry(SearchedFor("anna@example.org"), "a:1")], QueryChoice(), "1 look as if"),
    ],
)
def test_where_nothing_is_left_it_says_why(log: list[Entry], choice: QueryChoice, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        take_queries(log, choice)


def test_memory_grows_with_the_different_queries_and_not_with_the_log() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        take_queries((Entry(SearchedFor(f"Query {at % 50}"), "a") for at in range(count)), QueryChoice())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = [peak(1_000) for _ in range(2)][1]  # what the first use of all prepares is kept

    assert peak(10_000) < 1.5 * few


def test_the_folder_s_queries_are_added_to_and_never_lost(tmp_path: Path) -> None:
    folder = JudgingFolder(tmp_path)
    first = take_queries(entries(["hats", "red shoes"]), QueryChoice()).sample
    second = take_queries(entries(["Hats?", "gloves"]), QueryChoice()).sample
    written = write_queries(folder, first)
    with pytest.raises(SettingsError, match="--add"):
        write_queries(folder, second)
    added = write_queries(folder, second, add=True)
    found = read_queries(folder.queries_file).queries

    assert (written, added) == (2, 1)
    assert [query.text for query in found] == ["hats", "red shoes", "gloves"]
    assert found[0].query_id == LoggedQuery("hats", "", 1).query_id


def test_more_queries_are_others_and_together_they_stand_for_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("query,count\n" + "".join(f"query {at},{1 + 300 // at}\n" for at in range(1, 201)))

    def draw(*flags: str) -> list[dict[str, Any]]:
        done = CliRunner().invoke(app, ["judge", "queries", str(log), "--out", str(tmp_path / "judged"), *flags])
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in (tmp_path / "judged" / "queries.jsonl").read_text().splitlines()]

    first, both = draw("-n", "60"), draw("-n", "60", "--add")

    assert (len(first), len({row["_id"] for row in both})) == (60, 120)
    assert [row["_id"] for row in both[:60]] == [row["_id"] for row in first]
    for band in ("head", "torso", "tail"):
        once, twice = (sum(row["stands_for"] for row in rows if row["band"] == band) for rows in (first, both))
        assert twice == pytest.approx(once, rel=0.1)


def test_a_text_with_a_line_separator_stays_one_query_when_others_are_added(tmp_path: Path) -> None:
    folder = JudgingFolder(tmp_path)
    folder.queries_file.write_text('\ufeff{"_id": "q1", "text": "red\u2028shoes"}\r\n{"_id": "q2", "text": "hats"}')
    write_queries(folder, take_queries(entries(["gloves"]), QueryChoice()).sample, add=True)

    assert [query.text for query in folder.queries()][1:] == ["hats", "gloves"]
    assert len(folder.queries_file.read_bytes().splitlines()) == 3


def test_of_two_commands_at_once_the_later_one_sees_what_the_first_wrote(tmp_path: Path) -> None:
    folder = JudgingFolder(tmp_path)
    with ThreadPoolExecutor() as threads:
        with folder.alone():
            later = threads.submit(write_queries, folder, take_queries(entries(["hats"]), QueryChoice()).sample)
            wait([later], timeout=0.2)
            folder.queries_file.write_text('{"_id": "q1", "text": "gloves"}\n')
        with pytest.raises(SettingsError, match="has queries already"):
            later.result()

    assert [query.text for query in folder.queries()] == ["gloves"]


def test_the_command_says_what_it_read_and_writes_what_eval_can_weigh_by(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    asked = [f"/search?q=query+{at}" for at in range(30) for _ in range(30 // (at + 1))]
    log.write_text(
        "".join(
            f'203.0.113.7 - - [29/Nov/2026:16:58:17 +0000] "GET {address} HTTP/1.1" 200 512\n'
            for address in [*asked, "/about", "/search?q=anna%40example.org"]
        )
        + "no line of a log\n"
    )
    out = tmp_path / "judged"
    done = CliRunner().invoke(
        app, ["judge", "queries", str(log), "--out", str(out), "-n", "12"], env={"COLUMNS": "120"}
    )
    again = CliRunner().invoke(app, ["judge", "queries", str(log), "--out", str(out)])
    rows = [json.loads(line) for line in (out / "queries.jsonl").read_text().splitlines()]

    assert done.exit_code == 0, done.output
    assert "access.log: read as access" in flat(done.stderr)
    assert "1 without one: a request without q=" in flat(done.stderr)
    assert "left out: queries with what looks like a person's data (mail address: 1)" in flat(done.stderr)
    assert f"access.log:{len(asked) + 3}: it is no line of the common" in flat(done.stderr)
    assert [set(row) for row in rows] == [{"_id", "text", "frequency", "band", "words", "stands_for"}] * 12
    assert rows[0] | {"_id": ""} == {
        "_id": "", "text": "query 0", "frequency": 30, "band": "head", "words": 2, "stands_for": 30.0,
    }  # fmt: skip
    assert isinstance(again.exception, SettingsError)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--format", "xml"], "lines, counted"),
        (["--personal", "drop"], "leave-out, mask, keep"),
        ([], "No such file"),
        (["--from-index", "x"], "name the logs, or"),
    ],
)
def test_a_wrong_flag_is_said_before_the_work(flags: list[str], reason: str, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["judge", "queries", "none.log", "--out", str(tmp_path / "out"), *flags])

    assert reason in str(refused.exception)
    assert not (tmp_path / "out").exists()
