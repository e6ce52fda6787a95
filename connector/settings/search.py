"""The sections of one search: its legs, how they become one ranking, and the stages that rerank it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from connector.errors import QueryError
from connector.own_query.read import read_own_query
from connector.own_query.template import check_template
from connector.settings.secrets import SigningKey
from connector.settings.section import Section

FusionKind = Literal["rrf", "linear"]
Normalisation = Literal["minmax", "zscore"]
LegKind = Literal["lexical", "dense"]
KINDS: tuple[LegKind, ...] = ("lexical", "dense")
OFF = (False, "off", "false", "no")
# of the final order; the legs share the rest alike
BEFORE_WEIGHT = 0.2
RERANK_WEIGHT = {"late-interaction": 0.3, "cross-encoder": 0.4}
# what times, degradations, rankings and pipelines are called beside legs and stages
TAKEN = frozenset(
    ("before", "rerank", "fused", "reranked", "search", "encode", "fuse", "term_weights", "fields", "total", "view")
) | {"facets", "collapse", "highlight"}


def _check_name(name: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name[:40]!r} is no name: take small letters, digits and _, a letter first")
    return name


Name = Annotated[str, AfterValidator(_check_name)]  # of a reranker, a leg, a stage


class LegSettings(Section):
    """A leg: something that finds documents for a query."""

    kind: LegKind | None = Field(None, description="what it asks; not needed if its name is a kind")
    weight: float = Field(1.0, ge=0, description="how much it counts in the fusion; linear: its share of all weights")
    depth: int | None = Field(None, ge=1, le=10_000, description="hits it returns; search.depth when not given")
    query: dict[str, Any] | None = Field(
        None,
        description="lexical: the application's own query, as the engine words it, with {{query}} where the text goes",
    )
    fields: dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="lexical: the text fields that it looks in, with boosts; all of the index when not given"
    )
    field: str | None = Field(
        None, description="dense: the vector field that it looks in; that of the index when not given"
    )

    @model_validator(mode="after")
    def _check_query(self) -> Self:
        if self.query is None:
            return self
        if self.fields is not None:
            raise ValueError("a leg has either fields or a query of its own, which names its fields")
        if self.kind == "dense":
            raise ValueError("a dense leg has no query; the engine's own goes to a lexical one")
        try:
            check_template(self.query)
            read_own_query(self.query)
        except QueryError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "dense" and self.fields is not None:
            raise ValueError("fields are those of a lexical leg; a dense one looks in one field")
        if self.kind == "lexical" and self.field is not None:
            raise ValueError("field is that of a dense leg; a lexical one has fields, with boosts")
        if self.fields is not None and not self.fields:
            raise ValueError("fields must name one at least")
        return self


class FusionSettings(Section):
    """How the legs become one ranking. How much each counts is its weight."""

    kind: FusionKind = Field("rrf", description="reciprocal ranks, or sums of scores made comparable")
    rank_constant: int = Field(60, ge=1, description="rrf: the 60 in 1 / (60 + rank)")
    normalisation: Normalisation = Field("minmax", description="linear: how scores become comparable")


class WhenSettings(Section):
    """When a stage runs: where all that is given holds. Else it is left out, and the answer says why."""

    gap_below: float | None = Field(
        None,
        gt=0,
        description="the score of the last of the k hits and that of the next document differ by less than this, in "
        "standard deviations of the window's scores",
    )
    agree_below: int | None = Field(
        None, ge=1, description="of the first k documents of each leg, fewer than this are in all of them"
    )
    query_words_at_least: int | None = Field(None, ge=1, description="the query has at least so many words")
    facts: dict[str, Any] = Field(
        default_factory=dict, description="the request's facts are these: each a value, or a list of allowed ones"
    )


class StageSettings(Section):
    """A stage that reranks the best of the order that comes in."""

    name: Name | None = Field(None, description="what answers call it; its reranker's name when not given")
    reranker: str | None = Field(None, description="one of rerankers; the first when not given")
    window: int = Field(50, ge=1, description="how many documents it sees, the best that come in")
    passages: int = Field(2, ge=1, le=4, description="passages of a document that are scored; the best one counts")
    max_pairs: int = Field(200, ge=1, description="most (query, passage) pairs sent for one query")
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = Field(
        None,
        description="final order: how much before (the order that came in), each leg and rerank count; one not named "
        f"counts 0; not given: before {BEFORE_WEIGHT:g}, rerank {RERANK_WEIGHT['late-interaction']:g} "
        f"({RERANK_WEIGHT['cross-encoder']:g}: a cross-encoder), and the legs share the rest",
    )
    term_weights: bool = Field(True, description="late interaction: weigh query words by their rarity in the index")
    share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="its part of the time for all stages; those that name none share the rest equally",
    )
    when: WhenSettings | None = Field(
        None, description="rules by which it is left out: gap_below, agree_below, query_words_at_least, facts"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weights is not None and not self.weights.get("before") and not self.weights.get("rerank"):
            raise ValueError("weights of before and rerank must not both be 0")  # a leg does not know all of the window
        return self

    def weights_with(self, legs: Collection[str], kind: str) -> dict[str, float]:
        """What each signal counts in the final order by a reranker of this kind; all of them are z-scores there."""
        if self.weights is None:
            rerank = RERANK_WEIGHT.get(kind, RERANK_WEIGHT["cross-encoder"])
            leg = round((1 - BEFORE_WEIGHT - rerank) / max(len(legs), 1), 4)
            return {"before": BEFORE_WEIGHT, **dict.fromkeys(legs, leg), "rerank": rerank}
        return {name: self.weights.get(name, 0.0) for name in ("before", *legs, "rerank")}


class BreakerSettings(Section):
    """When a reranker or the encoder, having failed again and again, is left alone for a while."""

    failures: int = Field(5, ge=1, description="failures in a row after which it is left alone")
    rest_s: float = Field(2.0, gt=0, description="for how long at first; doubles with each further failure")
    max_rest_s: float = Field(30.0, gt=0, description="for how long at most")


class SearchSettings(Section):
    """How one query is searched: legs, fusion, rerank."""

    k: int = Field(10, ge=1, description="hits the caller gets")
    depth: int = Field(100, ge=1, le=10_000, description="hits that a leg returns if it has no depth of its own")
    deadline_s: float = Field(10.0, gt=0, description="the time that one search has, with all of its stages")
    tries: int = Field(
        2, ge=1, le=5, description="how often a leg or a reranker that breaks off is asked, within the deadline"
    )
    legs: dict[Name, LegSettings] = Field(
        {name: LegSettings(kind=name) for name in KINDS},
        description="what finds documents, by name; these two are there unless NAME: off leaves one out",
    )
    fusion: FusionSettings = FusionSettings()
    rerank: tuple[StageSettings, ...] = Field(
        (StageSettings(),),
        description="the stages, one after the other: each {reranker: NAME, window: 50, ...}; one stage alone needs no "
        "list; off: no stage",
    )
    breaker: BreakerSettings = BreakerSettings()
    cursor_key: SigningKey | None = Field(
        None,
        description="signs the cursors of pages; give all processes that serve them the same, else each makes its own",
    )
    cursor_s: int = Field(300, ge=1, le=86_400, description="how long a cursor can be used, and pages hold still")

    @field_validator("legs", mode="before")
    @classmethod
    def _read_legs(cls, given: Any) -> Any:
        """The two that always are, and others; without those that are off."""
        if not isinstance(given, Mapping):
            return given
        legs = {**{name: {} for name in KINDS}, **given}
        return {name: _with_kind(name, leg) for name, leg in legs.items() if leg not in OFF}

    @field_validator("rerank", mode="before")
    @classmethod
    def _read_stages(cls, given: Any) -> Any:
        """A list of stages, from any of its short forms."""
        if given is None or given in OFF:
            return ()
        if given in (True, "on", "true"):
            return (StageSettings(),)
        stages = given if isinstance(given, list | tuple) else [given]
        return [{"reranker": stage} if isinstance(stage, str) else stage for stage in stages]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.legs or not any(leg.weight for leg in self.legs.values()):
            raise ValueError("legs need one at least whose weight is not 0")
        given = [stage.share for stage in self.rerank if stage.share]
        if sum(given) > 1 or (sum(given) == 1 and len(given) < len(self.rerank)):
            raise ValueError(
                "the shares of the stages in rerank must leave something to each, and be 1 at most together"
            )
        for name, leg in self.legs.items():
            if leg.kind is None:
                raise ValueError(f"legs.{name} must say its kind: {' or '.join(KINDS)}")
            if name in TAKEN or (name in KINDS and leg.kind != name):
                raise ValueError(f"legs.{name} needs another name, which means nothing else here")
        return self

    @property
    def vector_fields(self) -> list[str]:
        """The vector fields that dense legs name."""
        return [leg.field for leg in self.legs.values() if leg.kind == "dense" and leg.field]

    @property
    def stage_shares(self) -> list[float]:
        """The part of each stage of the time that they have together."""
        given = [stage.share for stage in self.rerank if stage.share]
        rest = (1 - sum(given)) / max(len(self.rerank) - len(given), 1)
        return [stage.share or rest for stage in self.rerank]

    @property
    def reach(self) -> int:
        """How many documents the legs find at most."""
        return reach(self.legs, self.depth)


def reach(legs: Mapping[str, LegSettings], depth: int) -> int:
    """How many documents legs find at most, with a depth for those that name none."""
    return sum(leg.depth or depth for leg in legs.values())


def _with_kind(name: str, leg: Any) -> Any:
    """What is given of a leg; its name may be its kind."""
    if name not in KINDS:
        return leg
    if isinstance(leg, LegSettings):
        return leg if leg.kind else leg.model_copy(update={"kind": name})
    return {"kind": name, **(leg or {})} if isinstance(leg, Mapping | None) else leg
