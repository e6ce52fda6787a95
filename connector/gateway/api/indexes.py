"""The indexes that the API searches: that of the settings, and those of `gateway.indexes`."""

from __future__ import annotations

from connector.gateway.lazy_connector import LazyConnector
from connector.gateway.ordering.site import settings_for
from connector.gateway.problems import ApiRefusal


class ServedIndexes:
    """Each is opened when it is first asked for."""

    def __init__(self, lazy: LazyConnector) -> None:
        """`lazy` is that of `index.name`."""
        settings = self.settings = lazy.settings
        self._first = lazy
        self._connectors = {settings.index.name: lazy}
        self._others = [name for name, index in settings.gateway.indexes.items() if index.mode != "off"]

    def get(self, name: str | None) -> LazyConnector:
        """That of an index, by the name that the settings give it; None: `index.name`. Raises ApiRefusal."""
        if name is None:
            return self._first
        if name not in self._connectors:
            if name not in self._others:
                served = ", ".join(dict.fromkeys((self.settings.index.name, *self._others)))
                message = f"this API does not search {name!r}, but {served}; name others in gateway.indexes"
                raise ApiRefusal(404, "index-not-served", message)
            self._connectors[name] = self._first.of(settings_for(self.settings, name))
        return self._connectors[name]
