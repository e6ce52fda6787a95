"""Models of clicks on simulated users, whose true taste and habit of looking are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connector.errors import SourceError
from connector.judging.clicks.judged import judge_clicks
from connector.judging.clicks.models import clicks_over_expected, position_based
from connector.judging.formats.ubi import ClickCount, read_ubi

LOOKS = np.array([1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08])  # the share of users who look at each rank


def simulate(
    *, users: int, mixed: bool, queries: int = 12, seed: int = 3, looks: Any = LOOKS
) -> tuple[dict[Any, float], list[ClickCount]]:
    """Users who click what they look at and find attractive. `mixed`: answers are in any order; else each document has
    moved by two places at most, as it does over the weeks of a real log."""
    random = np.random.default_rng(seed)
    truth, showings = {}, []
    for query in range(queries):
        attraction = random.beta(0.6, 1.2, len(LOOKS))
        counts: dict[tuple[int, int], list[int]] = {}
        for _ in range(users):
            places = (
                random.permutation(len(LOOKS)) if mixed else np.argsort(np.arange(len(LOOKS)) + 2 * random.random(8))
            )
            clicked = (random.random(8) < looks) & (random.random(8) < attraction[places])
            for rank, document in enumerate(places):
                cell = counts.setdefault((int(document), rank + 1), [0, 0])
                cell[0] += 1
                cell[1] += int(clicked[rank])
        truth |= {(f"query {query}", f"d{at}"): value for at, value in enumerate(attraction)}
        showings += [ClickCount(f"query {query}", f"d{at}", rank, *cell) for (at, rank), cell in counts.items()]
    return truth, showings


@pytest.mark.parametrize("mixed", [True, False])
def test_the_position_based_model_recovers_what_users_find_attractive(mixed: bool) -> None:
    truth, showings = simulate(users=1500, mixed=mixed)
    found = {(judgment.text, judgment.doc_id): judgment for judgment in position_based(showings)}
    errors = np.array([found[pair].value - value for pair, value in truth.items()])
    rates = np.array([found[pair].clicks / found[pair].impressions - value for pair, value in truth.items()])

    assert np.abs(errors).mean() < 0.04
    assert np.abs(errors).mean() < np.abs(rates).mean() / 3  # of the plain share of clicks
    assert np.corrcoef([*truth.values()], [found[pair].value for pair in truth])[0, 1] > 0.97


def test_the_rank_that_is_looked_at_most_counts_as_looked_at_always() -> None:
    truth, counts = simulate(users=1500, mixed=True, looks=LOOKS / 2)
    found = {(judgment.text, judgment.doc_id): judgment.value for judgment in position_based(counts)}

    assert np.mean([*found.values()]) == pytest.approx(np.mean([*truth.values()]) / 2, rel=0.05)


def test_looks_are_what_users_looked_at() -> None:
    _, showings = simulate(users=1500, mixed=True)
    found = position_based(showings)

    assert sum(judgment.looks for judgment in found) == pytest.approx(12 * 1500 * LOOKS.sum(), rel=0.1)


def test_clicks_over_expected_clicks_order_documents_as_they_attract() -> None:
    truth, showings = simulate(users=1500, mixed=True)
    found = {(judgment.text, judgment.doc_id): judgment.value for judgment in clicks_over_expected(showings)}
    expected = [value / np.mean([*truth.values()]) for value in truth.values()]

    assert np.corrcoef(expected, [found[pair] for pair in truth])[0, 1] > 0.98
    assert np.mean([*found.values()]) == pytest.approx(1, abs=0.05)


def test_a_document_far_down_that_nobody_looked_at_gets_no_grade_rather_than_a_bad_one() -> None:
    _, showings = simulate(users=200, mixed=False)
    file = judge_clicks([*showings, ClickCount("query 0", "last", 8, 20, 0)], model="pbm")

    assert "last" not in {judged.doc_id for judged in file.judged}
    assert "looked at less than 10 times, and get no grade" in file.notes[-1]
    assert {judged.by for judged in file.judged} == {"pbm"}
    assert set(file.judged[0].about) == {"value", "looks", "impressions", "clicks"}


@pytest.mark.parametrize("model", ["pbm", "coec"])
def test_without_a_click_nothing_is_known(model: str) -> None:
    assert judge_clicks([ClickCount("q", "d", 1, 1000, 0)], model=model).judged == ()


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def query(query_id: str, text: str, *hits: Any) -> dict[str, Any]:
    return {"query_id": query_id, "user_query": text, "client_id": "c", "query_response_hit_ids": [*hits]}


def event(query_id: str, action: str, doc_id: Any = None, ordinal: Any = None, **more: Any) -> dict[str, Any]:
    attributes = {"object": {"object_id": doc_id}, "position": {"ordinal": ordinal}}
    return {"query_id": query_id, "action_name": action, "event_attributes": attributes, **more}


def test_queries_and_events_of_ubi_become_what_was_shown_and_clicked(tmp_path: Path) -> None:
    queries, events = tmp_path / "ubi_queries.ndjson", tmp_path / "ubi_events.ndjson"
    queries.write_text(
        lines(query("1", "Red Fish", "a", 7), {"_source": query("2", "red  fish", "b", "a")}, query("3", "blue", "z"))
    )
    events.write_text(
        lines(
            event("1", "click", "7", 2),
            event("1", "click", "7", 2),  # the second click of one user is no second user
            event("1", "add_to_cart", "7", 2),
            event("2", "impression", "a", {"index": 1}),
            event("2", "impression", "b", 3),
            event("2", "click_through", "c", 4),  # shown, though no impression was sent
            event("2", "click", "d"),
            event("9", "click", "a", 1),
            event("1", "click"),
            {"hello": "world"},
        )
    )
    showings, notes = read_ubi([queries, events])

    assert sorted(
        (showing.text, showing.doc_id, showing.rank, showing.impressions, showing.clicks) for showing in showings
    ) == [
        ("Red Fish", "7", 2, 1, 1),
        ("Red Fish", "a", 1, 2, 0),
        ("Red Fish", "b", 3, 1, 0),
        ("Red Fish", "c", 4, 1, 1),
        ("blue", "z", 1, 1, 0),
    ]
    assert notes == (
        "1 answers are to a query whose text is not there",
        "1 clicks are on a document that was not shown",
        "1 events are neither a click nor an impression",
        "1 events name no document",
        "1 lines are neither a query nor an event with a query_id",
    )


def test_events_without_any_query_say_what_is_missing(tmp_path: Path) -> None:
    events = tmp_path / "events"
    events.write_text(lines(event("1", "click", "a", 1)))

    with pytest.raises(SourceError, match="give the file of ubi_queries"):
        read_ubi([events])
