"""Events of User Behavior Insights (UBI), as lines of JSON: `ubi_queries` and `ubi_events`, in one file or in several.

A line may be an engine's hit, with the event in `_source`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connector.errors import SourceError
from connector.evaluation.files.queries import parse_object, text_of
from connector.evaluation.files.text_file import numbered_lines
from connector.judging.formats.texts import fold

CLICKS = ("click", "click_through", "item_click")
IMPRESSIONS = ("impression", "item_impression", "view_impression")
HITS = ("query_response_hit_ids", "query_response_objects_ids", "query_response_object_ids")


@dataclass(frozen=True, slots=True)
class ClickCount:
    """How often a document stood at a rank (from 1) of a query's answer, and in how many of these answers it was
    clicked."""

    text: str
    doc_id: str
    rank: int
    impressions: int
    clicks: int


@dataclass(slots=True)
class _LoggedSearch:
    """One answer to one query of one user."""

    text: str = ""
    hits: Sequence[str] = ()
    seen: dict[str, int] = field(default_factory=dict)  # document -> rank, by events of impressions
    clicked: dict[str, int | None] = field(default_factory=dict)  # document -> rank, where the event has it


def is_ubi(row: Mapping[str, Any]) -> bool:
    """Whether a line is a query or an event of UBI."""
    source = row.get("_source", row)
    if not isinstance(source, Mapping) or "query_id" not in source:
        return False
    return "action_name" in source or "user_query" in source or any(name in source for name in HITS)


def read_ubi(
    paths: Sequence[Path], *, clicks: Sequence[str] = CLICKS, impressions: Sequence[str] = IMPRESSIONS
) -> tuple[tuple[ClickCount, ...], tuple[str, ...]]:
    """What was shown and clicked, and notes of what was passed over. `clicks` and `impressions` are names of actions.

    What an answer showed is what its events of impressions say; where it has none, the ids that its query keeps.
    Raises SourceError, with the line."""
    searches: dict[str, _LoggedSearch] = defaultdict(_LoggedSearch)
    passed: Counter[str] = Counter()
    for path in paths:
        for number, line in numbered_lines(path):
            row = parse_object(line, f"{path}:{number}", "query_id, and user_query or action_name")
            source = row.get("_source", row)
            if not isinstance(source, Mapping) or not is_ubi(source):
                passed["lines are neither a query nor an event with a query_id"] += 1
                continue
            search = searches[text_of(source["query_id"]) or ""]
            search.text = search.text or (text_of(source.get("user_query")) or "")
            if "action_name" in source:
                _add_event(search, source, clicks, impressions, passed)
            else:
                ids: list[Any] = next((source[name] for name in HITS if isinstance(source.get(name), list)), [])
                search.hits = [text for found in ids if (text := text_of(found))]
    showings = _count(searches.values(), passed)
    if not showings:
        raise SourceError(
            f"{', '.join(map(str, paths))}: no document was shown for a query whose text is known; give the file of "
            "ubi_queries beside that of ubi_events"
        )
    return showings, tuple(f"{count} {reason}" for reason, count in sorted(passed.items()))


def _add_event(
    search: _LoggedSearch,
    source: Mapping[str, Any],
    clicks: Sequence[str],
    impressions: Sequence[str],
    passed: Counter[str],
) -> None:
    action = source["action_name"]
    if action not in clicks and action not in impressions:
        passed["events are neither a click nor an impression"] += 1
        return
    attributes = _part(source, "event_attributes")
    doc_id = text_of(_part(attributes, "object").get("object_id")) or ""
    ordinal = _part(attributes, "position").get("ordinal")
    rank = ordinal.get("index") if isinstance(ordinal, Mapping) else ordinal
    place = rank if isinstance(rank, int) and not isinstance(rank, bool) and rank >= 0 else None
    if not doc_id:
        passed["events name no document"] += 1
    elif action in clicks:
        search.clicked.setdefault(doc_id, place)
    elif place is None:
        passed["impressions have no place"] += 1
    else:
        search.seen.setdefault(doc_id, place)


def _count(searches: Iterable[_LoggedSearch], passed: Counter[str]) -> tuple[ClickCount, ...]:
    counts: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0])
    spelled: dict[str, str] = {}
    for search in searches:
        if not search.text:
            passed["answers are to a query whose text is not there"] += 1
            continue
        text = spelled.setdefault(fold(search.text), search.text)
        ranks = search.seen or {doc_id: rank for rank, doc_id in reversed([*enumerate(search.hits, start=1)])}
        for doc_id, rank in search.clicked.items():
            if doc_id not in ranks and rank is not None:
                ranks = {**ranks, doc_id: rank}
            passed["clicks are on a document that was not shown"] += doc_id not in ranks
        for doc_id, rank in ranks.items():
            cell = counts[text, doc_id, rank]
            cell[0] += 1
            cell[1] += doc_id in search.clicked
    passed += Counter()  # without zeros
    return tuple(ClickCount(*key, *cell) for key, cell in counts.items())


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, Mapping) else {}
