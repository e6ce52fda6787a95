"""`connector judge pool` as a user runs it: pipelines on the embedded store, and grades between two pools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.evaluation.slices import queries_of, write_slice
from support.programs.command import Finished, Launcher, flat

from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade
from connector.judging.pooling.next_pairs import NextPairs

SMALL = ("--set", "search.depth=20", "--set", "search.deadline_s=60", "--set", "search.rerank=off")
LINEAR = "linear: {stage: fused, search.fusion.kind: linear}\n"


@pytest.fixture(scope="module")
def place(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of what six queries have judgments for, and a log in which they stand."""
    place = tmp_path_factory.mktemp("judging")
    queries = queries_of(("code", "paraphrase", "negation"), 2)
    write_slice(place / "slice", queries, chars=120, least_grade=1)
    (place / "log.txt").write_text("".join(f"{query['text']}\n" * (at + 1) for at, query in enumerate(queries)))
    (place / "pipelines.yaml").write_text(LINEAR)
    assert launcher.run("ingest", "slice", cwd=place).code == 0
    return place


def pool(launcher: Launcher, place: Path, *flags: str) -> Finished:
    return launcher.run("judge", "pool", "judged", *flags, *SMALL, cwd=place)


def test_a_log_becomes_a_pool_that_grades_change_and_eval_takes(launcher: Launcher, place: Path) -> None:
    taken = launcher.run("judge", "queries", "log.txt", "--out", "judged", cwd=place)
    first = pool(launcher, place, "-p", "lexical", "-p", "dense", "-k", "3")
    folder = JudgingFolder(place / "judged")
    pairs = folder.pairs()
    graded = [pair.key for pair in pairs[:5]]
    for at, key in enumerate(graded):
        folder.grades().append(Grade(*key, at % 2 * 3, "anna"))
    second = pool(launcher, place, "-p", "pipelines.yaml", "-k", "4", "--order", "decide", "--json")
    third = pool(launcher, place, "--json")
    listing = pool(launcher, place)
    facts, after = json.loads(second.stdout), folder.pairs()

    assert (taken.code, first.code, second.code) == (0, 0, 0), first.stderr + second.stderr
    assert len(folder.queries()) == 6
    assert [pair.order for pair in pairs] == list(range(len(pairs)))
    assert all({"title", "text"} <= set(pair.fields) for pair in pairs)
    assert sorted(folder.runs()) == ["dense", "lexical", "linear"]
    assert facts["graded"] == 5
    assert facts["left"] == len(after) - 5 == NextPairs.open(folder).left
    assert facts["new"] == len({pair.key for pair in after} - {pair.key for pair in pairs}) > 0
    assert [pair.key for pair in after[-5:]] == sorted(graded, key=[pair.key for pair in after].index)
    assert {(pair["ahead"], pair["behind"]) for pair in facts["expected"]} & {
        ("lexical", "dense"),
        ("dense", "lexical"),
    }
    assert NextPairs.open(folder).next(3) == tuple(pair.key for pair in after[:3])
    assert (folder.pool_facts().order, folder.pool_facts().depth) == ("decide", 4)
    assert flat(listing.stdout).count("ahead ┃ behind ┃ nDCG@4 expected ┃ how sure") == 1
    surest = max(facts["expected"], key=lambda pair: pair["certainty"])
    cells = (surest["ahead"], surest["behind"], f"+{surest['difference']:.4f}", f"{surest['certainty']:.0%}")
    assert flat(listing.stdout).endswith(" │ ".join(cells))
    # what is not said stays as it was
    assert json.loads(third.stdout) == facts | {"new": 0, "failed": {}, "degraded": {}}


def test_what_cannot_be_pooled_is_refused_before_the_work(launcher: Launcher, place: Path) -> None:
    (place / "bare").mkdir(exist_ok=True)
    (place / "bare" / "queries.jsonl").write_text('{"_id": "q1", "text": "a deal"}\n')
    for flags, reason in (
        (("bare",), "has no runs to pool"),
        (("bare", "--order", "chance"), "--order takes depth, move-to-front, decide"),
        (("bare", "-p", "nothing"), "unknown pipeline 'nothing'"),
        (("bare", "-p", "lexical", "-p", "lexical"), "two pipelines are called 'lexical'"),
        (("none", "-p", "lexical"), "connector judge queries"),
    ):
        refused = launcher.run("judge", "pool", *flags, *SMALL, cwd=place)

        assert refused.code == 2
        assert reason in refused.stderr
