"""What every source promises (`Source` in connector/ingest/sources/row.py)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from connector.errors import ConnectorError
from connector.ingest.sources import Row, Source, open_source
from connector.settings.sections import Settings


class SourceContract:
    """Inherit it, and give the fixtures `location`, of a source with two rows or more, and `missing`, a location of
    its kind where there is nothing. Override `settings` where the source needs some."""

    @pytest.fixture
    def settings(self) -> Settings:
        """The settings that the source is opened with."""
        return Settings()

    @pytest.fixture
    def source(self, location: str, settings: Settings) -> Source:
        """The source at the location, as a job opens it."""
        return open_source(location, settings)

    def test_it_gives_the_same_rows_in_the_same_order_each_time(self, source: Source) -> None:
        first, second = list(source), list(source)

        assert len(first) >= 2, "give the contract a location with two rows or more"
        assert _contents(first) == _contents(second)

    def test_a_reading_that_was_left_off_does_not_shorten_the_next(self, source: Source) -> None:
        everything = _contents(list(source))
        list(itertools.islice(source, 1))

        assert _contents(list(source)) == everything

    def test_each_row_says_where_it_is_and_has_named_values(self, source: Source) -> None:
        rows = list(source)
        origins = [row.origin for row in rows]

        assert all(origins)
        assert len(set(origins)) == len(origins), "two rows have the same origin, so a reject cannot be found again"
        assert all(isinstance(name, str) for row in rows for name in row.values)

    def test_a_row_that_cannot_be_read_keeps_what_was_there(self, source: Source) -> None:
        unreadable = [row for row in source if row.error is not None]

        assert all(row.error and (row.raw is not None or row.values) for row in unreadable)

    def test_progress_rises_from_0_to_1_at_most_and_starts_anew(self, source: Source) -> None:
        for _ in range(2):
            shares = [source.progress for _ in source]

            assert shares == sorted(shares)
            assert all(0.0 <= share <= 1.0 for share in shares)
            assert 0.0 <= source.progress <= 1.0

    def test_notes_start_anew(self, source: Source) -> None:
        list(source)
        first = dict(source.notes)
        list(source)

        assert dict(source.notes) == first
        assert all(isinstance(note, str) and count > 0 for note, count in first.items())

    def test_the_column_of_the_id_is_in_each_row_where_the_source_knows_it(self, source: Source) -> None:
        rows = [row for row in source if row.error is None]

        assert source.id_field is None or all(source.id_field in row.values for row in rows)

    def test_rows_that_are_said_to_be_alike_have_the_same_columns(self, source: Source) -> None:
        columns = {frozenset([*row.values, *row.faults]) for row in source if row.error is None}

        assert not source.alike or len(columns) == 1

    def test_a_source_that_knows_text_only_gives_text_only(self, source: Source) -> None:
        values = [value for row in source for value in row.values.values()]

        assert source.typed or all(value is None or isinstance(value, str) for value in values)

    def test_what_is_not_there_is_an_error_that_says_so(self, missing: str, settings: Settings) -> None:
        with pytest.raises(ConnectorError) as refused:
            list(open_source(missing, settings))

        assert str(refused.value)


def _contents(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [(row.values, row.origin, row.error, row.raw, dict(row.faults)) for row in rows]
