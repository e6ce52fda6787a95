"""An index by the vectors of one encoder, and whether its vectors can be compared with that encoder's."""

from __future__ import annotations

import copy

from connector.clusters.protocol import Index
from connector.errors import EncoderMismatch, SettingsError
from connector.schema import EncoderFingerprint


def by_encoder(index: Index, encoder: EncoderFingerprint) -> Index:
    """The index by the vectors that this encoder made, where it has those of several, as while it changes from one to
    the other."""
    found = (
        alternative
        for alternative in index.schema.alternatives
        if alternative.encoder and alternative.encoder.same_vectors(encoder)
    )
    schema = next(found, None)
    if schema is None:
        return index
    other = copy.copy(index)
    other.schema = schema
    return other


def check_encoder(index: Index, encoder: EncoderFingerprint, field: str | None = None) -> None:
    """Refuse an encoder whose vectors cannot be compared with those of a vector field of the index (None: its own).

    Raises EncoderMismatch, or SettingsError also where there is no such field."""
    schema = by_encoder(index, encoder).schema.searched_by(field)
    if schema.encoder is not None and not schema.encoder.same_vectors(encoder):
        raise EncoderMismatch(
            index.name, index_encoder=str(schema.encoder), configured=str(encoder), backfilled=not schema.managed
        )
    if schema.vector_field and schema.dims and schema.dims != encoder.dims:
        raise SettingsError(
            f"field {schema.vector_field!r} of index {index.name!r} holds vectors of {schema.dims} "
            f"dimensions, but {encoder} makes others; set encoder.model to the one that filled it"
        )
