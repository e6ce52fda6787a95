"""A source that a plug-in brings, held to what a source promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from connector.errors import PluginError, SourceError
from connector.ingest.sources.row import Row, Source
from connector.plugins import Plugin

MEMBERS = ("progress", "notes", "typed", "id_field", "alike", "__iter__")


class PluggedSource:
    """The plug-in's source: what it raises while it is read is a source that breaks off, with its own reason."""

    def __init__(self, plugin: Plugin, location: str, options: Mapping[str, Any]) -> None:
        """Raises PluginError where it cannot be opened, or is no source."""
        self._plugin = plugin
        opener = plugin.load()
        with plugin.blamed():
            self._source: Source = opener(location, options)
        plugin.check(self._source, *MEMBERS)
        self.typed, self.id_field = self._source.typed, self._source.id_field
        self.progress, self.notes = 0.0, Counter[str]()

    @property
    def alike(self) -> bool:
        return self._source.alike

    def __iter__(self) -> Iterator[Row]:
        with self._plugin.blamed(SourceError):
            rows = iter(self._source)
        while True:
            with self._plugin.blamed(SourceError):
                row = next(rows, None)
                self.progress, self.notes = float(self._source.progress), self._source.notes
            if row is None:
                return
            if not isinstance(row, Row):
                raise PluginError(
                    f"{self._plugin} gave a {type(row).__name__} where a Row of connector.ingest.sources is due"
                )
            yield row
