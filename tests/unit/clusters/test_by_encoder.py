"""An index by the vectors of one encoder: found among those that it has, and refused where they are another's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.parts import HashEncoder, schema_of

from connector.clusters.by_encoder import by_encoder, check_encoder
from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.protocol import Index
from connector.errors import EncoderMismatch, SettingsError

ENCODER = HashEncoder()
OURS = ENCODER.fingerprint
OTHER = replace(OURS, name="other", sha256="1" * 64)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    cluster = await EmbeddedCluster.open(tmp_path)
    yield await cluster.create_index("kb", schema_of(ENCODER))
    await cluster.close()


async def test_an_index_with_the_vectors_of_one_encoder_is_itself(index: Index) -> None:
    assert by_encoder(index, OURS) is index
    assert by_encoder(index, OTHER) is index


async def test_of_an_index_that_changes_its_encoder_the_vectors_of_the_other_one_are_found(index: Index) -> None:
    own = index.schema
    index.schema = replace(own, alternatives=(replace(own, encoder=OTHER, vector_field="passages.vector_2"),))
    found = by_encoder(index, replace(OTHER, name="a copy of it"))

    assert found.schema.vector_field == "passages.vector_2"
    assert index.schema.vector_field == own.vector_field
    check_encoder(index, OTHER)


async def test_an_encoder_of_which_the_index_has_no_vectors_is_refused(index: Index) -> None:
    check_encoder(index, OURS)

    with pytest.raises(EncoderMismatch, match="'kb'"):
        check_encoder(index, OTHER)


async def test_an_encoder_of_other_dimensions_is_refused_where_nobody_knows_the_indexs_own(index: Index) -> None:
    index.schema = replace(index.schema, encoder=None)
    check_encoder(index, OTHER)

    with pytest.raises(SettingsError, match="vectors of 16 dimensions"):
        check_encoder(index, replace(OTHER, dims=8))
