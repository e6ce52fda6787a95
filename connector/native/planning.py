"""Settings and an index -> what is to be installed for it, or why it cannot be."""

from __future__ import annotations

from connector.errors import SettingsError
from connector.native.plan import NativePlan
from connector.schema import IndexSchema
from connector.settings.search import KINDS, LegKind, LegSettings
from connector.settings.sections import Settings


def build_plan(settings: Settings, schema: IndexSchema) -> NativePlan:
    """What is to be installed for an index. Raises SettingsError for a field that it has not."""
    if schema.layout.members.names:
        raise SettingsError(f"{settings.index.name!r} stands for several indices; name the one to install it for")
    if not schema.managed and schema.vector_field and schema.vector_field not in schema.layout.vector_fields:
        raise SettingsError(
            f"the vectors of {settings.index.name!r} are in an index of their own, which no search of the engine "
            "joins; search through the connector or its gateway, or back-fill the index in place"
        )
    named, names = settings.native.field, list(schema.fields.text)
    if named is not None and named not in names:
        raise SettingsError(f"native.field is {named!r}, which is none of the index's text fields: {', '.join(names)}")
    lexical, dense = (_only_leg(settings, kind) for kind in KINDS)
    if lexical.query:
        raise SettingsError(
            "an engine's own search gets its query with each request, so none is installed; send that query yourself, "
            "and leave the template out with --set search.legs.lexical.query=null"
        )
    key = settings.first_reranker.api_key
    return NativePlan(
        index=settings.index.name,
        schema=schema,
        worker_url=find_worker_url(settings),
        api_key=key.get_secret_value() if key else None,
        fusion=settings.search.fusion,
        weights=(lexical.weight, dense.weight),
        k=settings.search.k,
        window=settings.first_stage.window,
        depth=settings.search.depth,
        embeddings=settings.native.embeddings and schema.vector_field is not None,
        encoder=settings.encoder.model,
        field=named or (names[0] if len(names) == 1 else None),
        model_group=settings.native.model_group,
    )


def find_worker_url(settings: Settings) -> str:
    """The worker's address as the cluster's nodes reach it."""
    return (settings.native.worker_url or settings.first_reranker.url).rstrip("/")


def _only_leg(settings: Settings, kind: LegKind) -> LegSettings:
    """The leg of a kind; an engine's own search takes one of each."""
    legs = {name: leg for name, leg in settings.search.legs.items() if leg.kind == kind}
    if len(legs) > 1:
        raise SettingsError(
            f"an engine's own search takes one {kind} leg, not {', '.join(legs)}; leave others out with "
            f"--set search.legs.{list(legs)[-1]}=off"
        )
    return next(iter(legs.values()), LegSettings(kind=kind, weight=0))
