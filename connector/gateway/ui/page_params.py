"""The parameters of an address of the page: the query, filters, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import ImmutableMultiDict

AS_SET = "as set"  # the settings as they are
NO_RERANK = "no rerank"
MAX_FILTERS = 20


@dataclass(frozen=True, slots=True)
class PageParams:
    """One address of the page. `searched` and `against` are pipelines; `against` is "" where nothing is compared."""

    query: str = ""
    filters: tuple[str, ...] = ()
    searched: str = AS_SET
    against: str = ""

    def without(self, filter: str) -> str:
        """The address with one filter less."""
        return replace(self, filters=tuple(other for other in self.filters if other != filter)).address

    def narrowed(self, field: str, value: str) -> str:
        """The address with a filter more: the field has that value."""
        return replace(self, filters=tuple(dict.fromkeys((*self.filters, exactly(field, value))))).address

    @property
    def address(self) -> str:
        """Relative to the page."""
        pairs = [("q", self.query), *(("f", filter) for filter in self.filters)]
        pairs += [("a", self.searched)] if self.searched != AS_SET else []
        pairs += [("b", self.against)] if self.against else []
        return "?" + urlencode(pairs)


def exactly(field: str, value: str) -> str:
    """The filter that asks for this value."""
    return f"{field}={value}"


def read_page_params(given: ImmutableMultiDict[str, str]) -> PageParams:
    """Of an address. A filter may be written field:value too; what was typed last joins those that are there."""
    typed = [*given.getlist("f"), given.get("add", "")]
    filters = dict.fromkeys(_spelled(text.strip()) for text in typed if text.strip())
    return PageParams(
        " ".join(given.get("q", "").split()),
        tuple(filters)[:MAX_FILTERS],
        given.get("a", "") or AS_SET,
        given.get("b", ""),
    )


def _spelled(filter: str) -> str:
    """`region:emea` in the filter language, which writes region=emea; all else as it is."""
    field, colon, value = filter.partition(":")
    is_value = colon and not set(field) & set("=<>!?{ ")
    return exactly(field, value.strip()) if is_value and value.strip() else filter
