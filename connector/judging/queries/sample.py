"""Logs -> the queries of a judging folder: counted, without what looks like a person's data, and a sample of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from connector.errors import DiskError, SettingsError, SourceError
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.files.text_file import numbered_lines
from connector.judging.defaults import SAMPLE, SEED, TREATMENT
from connector.judging.folder import JudgingFolder
from connector.judging.logs.outcome import NoSearch, SearchedFor, Unreadable
from connector.judging.logs.read import Entry
from connector.judging.queries.bands import Band, SampledQuery, assign_bands, draw_sample
from connector.judging.queries.fold import LoggedQuery, QueryCounter, fold_key
from connector.judging.queries.personal import find_personal, mask_personal
from connector.whole_file import write_whole

Personal = Literal["leave-out", "mask", "keep"]
PERSONAL: tuple[Personal, ...] = get_args(Personal)
SHOWN = 5  # entries that cannot be read
SHOWN_CHARS = 120
REPORT_EVERY = 1_000  # entries


@dataclass(frozen=True, slots=True)
class QueryChoice:
    """Which queries are taken. `size` 0: all; `min_frequency`: those that were asked at least so often."""

    size: int = SAMPLE
    seed: int = SEED
    min_frequency: int = 1
    personal: Personal = TREATMENT


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of everything that was read: `entries` = `searches` + those that hold none, by reason, + those that
    cannot be read, the first of which are in `examples`."""

    entries: int
    searches: int
    no_search: Counter[str]
    unreadable: int
    examples: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class TakenQueries:
    """The sample, and what it was drawn from: the different queries and their searches, each by band.

    `left_out` counts searches by why they are no query, `rare` the queries that too few people asked, `personal` the
    queries by what looks like a person's data in them."""

    sample: tuple[SampledQuery, ...]
    tally: Tally
    queries: Counter[Band] = field(default_factory=Counter)
    searches: Counter[Band] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    rare: int = 0
    personal: Counter[str] = field(default_factory=Counter)


def take_queries(
    entries: Iterable[Entry],
    choice: QueryChoice,
    *,
    held: Collection[str] = (),
    on_entries: Callable[[int], None] = lambda count: None,
) -> TakenQueries:
    """Read the entries to their end, and draw the sample beside the queries with the `held` keys, which are in it too.
    `on_entries` hears now and then how many were read.

    Raises SourceError where no entry holds a query, or every one of them is left out."""
    counter = QueryCounter()
    tally = _count(entries, counter, on_entries)
    if not len(counter):
        raise SourceError(f"no entry of the log holds a query; {_why_none(tally, counter)}")
    queries, personal = _without_personal(counter.queries(), choice.personal)
    frequent = [query for query in queries if query.frequency >= choice.min_frequency]
    if not frequent:
        raise SourceError(
            f"every query of the log was left out: {len(queries)} were asked fewer than {choice.min_frequency} times "
            f"(--min-frequency), {personal.total()} look as if they held a person's data (--personal mask keeps the "
            "rest of them)"
        )
    bands = assign_bands(frequent)
    return TakenQueries(
        sample=tuple(draw_sample(frequent, choice.size, seed=choice.seed, held=held)),
        tally=tally,
        queries=Counter(bands[query.key] for query in frequent),
        searches=sum((Counter({bands[query.key]: query.frequency}) for query in frequent), Counter()),
        left_out=counter.left_out,
        rare=len(queries) - len(frequent),
        personal=personal,
    )


def write_queries(folder: JudgingFolder, sample: Sequence[SampledQuery], *, add: bool = False) -> int:
    """The sample as the folder's queries, or beside those that are there; how many are new.

    Raises SettingsError where there are queries already and `add` is not said, DiskError."""
    with folder.alone():
        return _write(folder, sample, add)


def _write(folder: JudgingFolder, sample: Sequence[SampledQuery], add: bool) -> int:
    kept: list[str] = []
    known: set[str] = set()
    if folder.queries_file.is_file():
        if not add:
            raise SettingsError(
                f"{folder.path} has queries already, and grades may hang on them; add to them with --add, or choose "
                "another folder"
            )
        kept = [line for _, line in numbered_lines(folder.queries_file)]
        known = {name for query in folder.queries() for name in _names(query)}
    new = [sampled for sampled in sample if not {sampled.query.query_id, sampled.query.key} & known]
    stand_for = {name: sampled.stands_for for sampled in sample for name in (sampled.query.query_id, sampled.query.key)}
    try:
        lines = [*(_standing_for(line, stand_for) for line in kept), *map(_line, new)]
        write_whole(folder.queries_file, (line + "\n" for line in lines))
    except OSError as error:
        raise DiskError(f"cannot write {folder.queries_file} ({error.strerror}); choose another place") from None
    return len(new)


def _count(entries: Iterable[Entry], counter: QueryCounter, on_entries: Callable[[int], None]) -> Tally:
    read = searches = unreadable = 0
    no_search: Counter[str] = Counter()
    examples: list[Entry] = []
    for read, entry in enumerate(entries, start=1):
        match entry.outcome:
            case SearchedFor():
                searches += 1
                counter.add(entry.outcome)
            case NoSearch(reason):
                no_search[reason] += 1
            case Unreadable():
                unreadable += 1
                if len(examples) < SHOWN:
                    examples.append(Entry(entry.outcome, entry.origin, entry.raw[:SHOWN_CHARS]))
        if not read % REPORT_EVERY:
            on_entries(read)
    on_entries(read)
    return Tally(read, searches, no_search, unreadable, tuple(examples))


def _why_none(tally: Tally, counter: QueryCounter) -> str:
    """What its entries are instead."""
    if not tally.entries:
        return "it is empty"
    reasons = [f"{count:,} times: {reason}" for reason, count in (tally.no_search + counter.left_out).most_common(3)]
    if tally.unreadable:
        first = tally.examples[0]
        assert isinstance(first.outcome, Unreadable)
        reasons.append(f"{tally.unreadable:,} cannot be read, the first at {first.origin}: {first.outcome.reason}")
    return "; ".join(reasons)


def _without_personal(queries: Sequence[LoggedQuery], treat: Personal) -> tuple[list[LoggedQuery], Counter[str]]:
    """The queries that may be kept, masked where that is asked for; and how many have what kind of data in them."""
    found: Counter[str] = Counter()
    kept: list[LoggedQuery] = []
    masked: dict[str, LoggedQuery] = {}
    for query in queries:
        parts = find_personal(query.text)
        found.update({part.kind for part in parts})
        if not parts or treat == "keep":
            kept.append(query)
        elif treat == "mask" and fold_key(text := mask_personal(query.text, parts)):
            key = fold_key(text)
            before = masked.get(key)
            frequency = query.frequency + (before.frequency if before else 0)
            masked[key] = LoggedQuery(key, before.text if before else text, frequency)
    return kept + list(masked.values()), found


def held_keys(folder: JudgingFolder) -> frozenset[str]:
    """What the texts of the folder's queries have in common with those of a log; none where it has no queries."""
    return (
        frozenset(fold_key(query.text) for query in folder.queries()) if folder.queries_file.is_file() else frozenset()
    )


def _standing_for(line: str, stand_for: Mapping[str, float]) -> str:
    """A query's line; where more queries were drawn of its kind, each of them stands for fewer searches."""
    row = json.loads(line)
    found = stand_for.get(str(row.get("_id")), stand_for.get(fold_key(str(row.get("text")))))
    if found is None or "stands_for" not in row:
        return line
    return json.dumps(row | {"stands_for": round(found, 3)}, ensure_ascii=False)


def _names(query: JudgedQuery) -> tuple[str, str]:
    """What a query is known by: its id, and what is equal for the same text."""
    return query.query_id, fold_key(query.text)


def _line(sampled: SampledQuery) -> str:
    query = sampled.query
    row = {"_id": query.query_id, "text": query.text, "frequency": query.frequency, "band": sampled.band}
    return json.dumps(row | {"words": query.words, "stands_for": round(sampled.stands_for, 3)}, ensure_ascii=False)
