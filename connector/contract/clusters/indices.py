"""Indexes are made, found, counted and dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.clusters.protocol import Cluster
from connector.contract.clusters.store import DOCUMENTS, StoreContract, on_store, write
from connector.contract.synthetic import DIMS, schema
from connector.errors import ClusterError, IndexMissing, SettingsError
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings


class IndicesContract(StoreContract):
    @on_store
    async def test_an_index_is_made_found_counted_and_dropped(self, cluster: Cluster, index_name: str) -> None:
        await cluster.create_index(index_name, schema())
        empty = await cluster.count(index_name)
        opened = await cluster.open_index(index_name)
        await write(opened, *DOCUMENTS[:12])
        counted = await cluster.count(index_name)
        await cluster.drop_index(index_name)

        assert (empty, counted) == (0, 12)
        with pytest.raises(IndexMissing):
            await cluster.open_index(index_name)

    @on_store
    async def test_a_second_index_of_that_name_is_refused_and_the_first_kept(
        self, cluster: Cluster, index_name: str
    ) -> None:
        await write(await cluster.create_index(index_name, schema()), DOCUMENTS[0])

        with pytest.raises(ClusterError, match="exists already; ingest into it as it is"):
            await cluster.create_index(index_name, schema())
        assert await cluster.count(index_name) == 1

    @on_store
    async def test_a_mistyped_name_is_answered_with_the_one_that_is_there(
        self, cluster: Cluster, index_name: str
    ) -> None:
        await cluster.create_index(index_name, schema())

        for mistyped in (f"{index_name}s", index_name.upper()):
            with pytest.raises(IndexMissing, match=f"did you mean '{index_name}'\\?$") as caught:
                await cluster.open_index(mistyped)
            assert caught.value.near == index_name

    @pytest.mark.parametrize("action", ["open_index", "drop_index", "count"])
    @on_store
    async def test_an_index_that_is_missing_is_named_with_what_makes_it(self, cluster: Cluster, action: str) -> None:
        with pytest.raises(
            IndexMissing, match=r"no index 'test-nowhere' at .*; create it with: connector index create"
        ):
            await getattr(cluster, action)("test-nowhere")

    @pytest.mark.parametrize("name", ["passages", "content_hash", "unit", "doc_id", "_own", "a.b", " "])
    @on_store
    async def test_a_field_name_that_is_taken_is_refused(self, cluster: Cluster, index_name: str, name: str) -> None:
        with pytest.raises(SettingsError, match="cannot be called"):
            await cluster.create_index(index_name, replace(schema(), fields=Fields({"text": 1.0}, {name: "keyword"})))
        with pytest.raises(SettingsError, match="cannot be called"):
            await cluster.create_index(index_name, replace(schema(), fields=Fields({name: 1.0})))
        with pytest.raises(IndexMissing):
            await cluster.open_index(index_name)

    @on_store
    async def test_a_vector_index_that_the_engine_lacks_is_refused(self, cluster: Cluster, index_name: str) -> None:
        with pytest.raises(SettingsError, match="no vector index 'magic'"):
            await cluster.create_index(index_name, schema(vectors="magic"))

    @pytest.mark.parametrize("name", ["with/slash", "with space", "", "with,comma"])
    @on_store
    async def test_a_name_that_no_index_can_have_is_refused(self, cluster: Cluster, name: str) -> None:
        with pytest.raises((ClusterError, SettingsError)):
            await cluster.create_index(name, schema())

    @on_store
    async def test_a_pattern_drops_nothing(self, cluster: Cluster, index_name: str) -> None:
        await write(await cluster.create_index(index_name, schema()), DOCUMENTS[0])

        for pattern in (f"{index_name[:-2]}*", f"{index_name},{index_name}"):
            with pytest.raises((ClusterError, SettingsError)):
                await cluster.drop_index(pattern)
        assert await cluster.count(index_name) == 1

    @on_store
    async def test_the_schema_is_read_back_as_it_was(self, cluster: Cluster, index_name: str) -> None:
        names = ["zulu", "alpha", "mike", "bravo", "yankee", "charlie", "x1", "delta", "whisky"]
        fields = Fields(
            {name: 1.0 + at / 4 for at, name in enumerate(names)}, {"n": "integer", "a": "keyword[]"}, "sku"
        )
        made = IndexSchema(
            fields,
            EncoderFingerprint("ünï/encoder", "f00", DIMS, 384, normalised=True),
            analyzer="german",
            passages=PassageSettings(128, 16),
            vectors=VectorSettings("auto", 24, 200),
            dims=DIMS,
        )
        await cluster.create_index(index_name, made)
        opened = (await cluster.open_index(index_name)).schema

        assert replace(opened, vectors=made.vectors) == made
        assert (opened.vectors.m, opened.vectors.ef_construction) == (24, 200)  # of auto, an engine says what it is
        assert list(opened.fields.text) == names  # their order is the order of reading
