"""Settings -> legs. A new kind of leg is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from connector.errors import SettingsError
from connector.search.legs.dense import DenseLeg, QueryEncoder
from connector.search.legs.leg import Leg
from connector.search.legs.lexical import LexicalLeg
from connector.settings.search import LegSettings


def build_legs(legs: Mapping[str, LegSettings], encoder: QueryEncoder | None) -> list[Leg]:
    """The legs in the order of the settings; without an encoder there are no dense ones.

    Raises SettingsError where none is left."""
    built: list[Leg] = []
    lexical = [name for name, leg in legs.items() if leg.kind == "lexical"]
    main = "lexical" if "lexical" in lexical else next(iter(lexical), "")  # the one that takes a request's own query
    for name, leg in legs.items():
        if leg.kind == "lexical":
            built.append(LexicalLeg(name, leg, brings_page=name == main))
        elif encoder:
            built.append(DenseLeg(name, leg, encoder))
    if not built:
        raise SettingsError(
            "search.legs has dense legs only, and the index has no vectors; add a lexical one: search.legs.lexical={}"
        )
    return built
