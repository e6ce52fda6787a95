"""Where no vectors can stand beside an index, or those that do are others; and what is asked of both for a caller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from support.indices.backfills import WORDS, BrokenEncoder, WordEncoder
from support.indices.besides import SETTINGS, cluster_of, fill_beside, make_beside
from support.indices.somebody import TEXT, Somebody

from connector.backfill.beside.plan import BesidePlan, open_beside, plan_beside, text_fields_of
from connector.backfill.encoding import NO_NUMBER
from connector.clusters.beside import index as beside
from connector.clusters.beside.index import BesideIndex
from connector.clusters.beside.vectors_index import vectors_name
from connector.clusters.protocol import ForeignFields
from connector.credentials import Credentials
from connector.errors import IndexMissing, SettingsError
from connector.filters import check_filter, parse_filter
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.types import Ranking

pytestmark = pytest.mark.live
TITLE = {"title": 1.0}


async def plan(somebody: Somebody, index: str, settings: Settings = SETTINGS, **options: Any) -> BesidePlan:
    return await plan_beside(cluster_of(somebody), index, settings, WORDS, **{"text": TITLE} | options)


async def test_vectors_of_another_kind_are_not_gone_on_with(somebody: Somebody) -> None:
    properties = {"title": TEXT, "body": TEXT, "price": {"type": "long", "index": False, "doc_values": False}}
    index, other = somebody.make({"properties": properties}), somebody.make({"properties": properties})
    made = await make_beside(somebody, index, text=TITLE)
    cut = SETTINGS.model_copy(update={"passages": SETTINGS.passages.model_copy(update={"max_tokens": 8})})
    named = SETTINGS.model_copy(update={"index": SETTINGS.index.model_copy(update={"beside": made.vectors.name})})
    again = await plan(somebody, index)
    encoder = replace(WORDS, sha256="fedcba9876543210")
    drop = f"; drop it with connector index drop --index {made.vectors.name}, or name another one"

    assert again.exists
    for wanted, words in (
        (plan(somebody, index, cut), "are cut in another way (passages.max_tokens 0)"),
        (plan(somebody, other, named), f"are those of index '{index}'"),
        (plan(somebody, index, text={"body": 1.0}), "are of other text fields (title)"),
        (plan_beside(cluster_of(somebody), index, SETTINGS, encoder, text=TITLE), "are of another encoder (words"),
    ):
        with pytest.raises(SettingsError) as caught:
            await wanted
        assert words in str(caught.value)
        assert str(caught.value).endswith(drop)
    with pytest.raises(SettingsError, match="'price' cannot be copied: it is not indexed"):
        await plan(somebody, other, copied=["price"])
    with pytest.raises(SettingsError, match="'size' cannot be copied: the index has no such field"):
        await plan(somebody, other, copied=["size"])


async def test_an_index_that_cannot_be_read_gets_none(somebody: Somebody) -> None:
    sourceless = somebody.make({"properties": {"title": TEXT}, "_source": {"enabled": False}}, {"title": "a"})
    several = somebody.alias(f"{sourceless},{somebody.make({'properties': {'title': TEXT}})}")
    with pytest.raises(SettingsError, match=f"'{sourceless}'"):
        await plan(somebody, sourceless)
    with pytest.raises(SettingsError, match=f"'{several}' stands for 2 indices .* name one of them"):
        await text_fields_of(cluster_of(somebody), load_settings(environ={}, overrides={"index.name": several}))


async def test_an_index_of_vectors_that_another_job_makes_meanwhile_is_taken(somebody: Somebody) -> None:
    index = somebody.make({"properties": {"title": TEXT}}, {"title": "a"})
    planned = await plan(somebody, index)
    somebody.drop_later(planned.name)
    await open_beside(cluster_of(somebody), planned)
    second = await open_beside(cluster_of(somebody), planned)

    assert (await fill_beside(somebody, second, WordEncoder())).counts.written == 1


async def test_an_index_that_holds_no_vectors_is_not_taken_for_one_that_does(somebody: Somebody) -> None:
    titled = {"properties": {"title": TEXT}}
    index, other = somebody.make(titled, {"title": "cold rooms"}), somebody.make(titled)
    somebody.make(titled, name=vectors_name(index))
    named = SETTINGS.model_copy(update={"index": SETTINGS.index.model_copy(update={"beside": other})})
    opened = await somebody.cluster.open_index(index, ForeignFields(TITLE))

    assert not isinstance(opened, BesideIndex)
    with pytest.raises(SettingsError, match=f"'{other}' holds no vectors of another one; choose another name"):
        await plan(somebody, index, named)
    with pytest.raises(SettingsError, match=f"'{other}' holds no vectors of another one"):
        await somebody.cluster.open_index(index, ForeignFields(TITLE, beside=other))
    with pytest.raises(IndexMissing, match="nothing-here"):
        await somebody.cluster.open_index(index, ForeignFields(TITLE, beside="nothing-here"))


async def test_vectors_of_another_version_of_the_connector_are_refused(somebody: Somebody) -> None:
    index = somebody.make({"properties": {"title": TEXT}}, {"title": "cold rooms"})
    made = await make_beside(somebody, index, text=TITLE)
    meta = made.origin.to_meta(made.vectors.schema)
    later = {key: content | {"version": 99} for key, content in meta.items()}
    somebody.send("PUT", f"/{made.vectors.name}/_mapping", {"_meta": later})
    with pytest.raises(SettingsError, match=r"_meta version 99, .*drop the index, and make it anew"):
        await plan(somebody, index)


async def test_a_text_of_which_the_encoder_makes_no_numbers_is_counted_and_a_block_named(somebody: Somebody) -> None:
    index = somebody.make({"properties": {"title": TEXT}}, {"title": "cold rooms"}, {"title": "broken"})
    made = await make_beside(somebody, index, text=TITLE)
    somebody.send("PUT", f"/{made.vectors.name}/_settings", {"index.blocks.write": True})
    blocked = await fill_beside(somebody, made, WordEncoder())
    somebody.send("PUT", f"/{made.vectors.name}/_settings", {"index.blocks.write": None})
    report = await fill_beside(somebody, made, BrokenEncoder())

    assert "takes no writes" in str(blocked.stopped)
    assert blocked.counts.written == 0
    assert (report.counts.written, report.reasons) == (1, {NO_NUMBER: report.counts.failed})
    assert report.counts.failed >= 1


async def test_where_a_filter_lets_too_few_of_the_nearest_through_it_is_said_what_to_copy(
    somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = {"properties": {"title": TEXT, "tier": {"type": "keyword"}}}
    near = [{"title": f"cold rooms {at}", "tier": "tin"} for at in range(8)]
    index = somebody.make(mapping, *near, *({"title": f"doors {at}", "tier": "gold"} for at in range(3)))
    made = await make_beside(somebody, index, text=TITLE, copied=[])
    await fill_beside(somebody, made, WordEncoder())
    only = check_filter(parse_filter("tier=gold"), made.schema.fields.metadata)
    vector = WordEncoder().encode_query("cold rooms")
    notes: list[str] = []

    async def search() -> Ranking:
        notes.clear()
        return await made.dense(vector, depth=2, filter=only, timeout_s=60, note=notes.append)

    monkeypatch.setattr(beside, "MAX_NAMED", 1)  # more than those are let through, so they are not named
    monkeypatch.setattr(beside, "WITH_PASSAGES", 0)
    whole, first_notes = await search(), [*notes]
    monkeypatch.setattr(beside, "MAX_K", 4)

    assert [hit.passages[0].text.split()[0] for hit in whole] == ["doors", "doors"]
    assert first_notes == []
    assert await search() == ()
    assert notes == [
        "0 of 2 documents: no more of the nearest 4 are let through by the filter; copy its fields: connector backfill "
        "--beside --copy FIELD"
    ]


async def test_both_indices_are_asked_for_a_caller_and_theirs_is_never_written_to(somebody: Somebody) -> None:
    index = somebody.make({"properties": {"title": TEXT}}, {"title": "cold rooms"}, {"title": "doors"})
    made = await make_beside(somebody, index, text=TITLE)
    await fill_beside(somebody, made, WordEncoder())
    for_caller = made.as_caller(Credentials(SecretStr("ApiKey their-key")))
    clients = [cluster._client for cluster in (for_caller, for_caller.vectors)]

    assert [client.has_credentials for client in clients] == [True, True]
    assert not made.vectors._client.has_credentials
    assert made.looks_like(for_caller)
    assert not made.looks_like(made.vectors)
    for refused in (made.write([]), made.remove(["d0"])):
        with pytest.raises(SettingsError, match="is somebody else's"):
            await refused
