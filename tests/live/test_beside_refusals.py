"""Where no vectors can stand beside an index, or those that do are others; and what is asked of both for a caller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from support.backfills import WORDS, WordEncoder
from support.besides import SETTINGS, cluster_of, fill_beside, make_beside
from support.somebody import TEXT, Somebody

from connector.backfill.beside_plan import BesidePlan, open_beside, plan_beside, text_fields_of
from connector.credentials import Credentials
from connector.errors import SettingsError
from connector.settings.load import load_settings
from connector.settings.sections import Settings

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


async def test_both_indices_are_asked_for_a_caller_and_theirs_is_never_written_to(somebody: Somebody) -> None:
    index = somebody.make({"properties": {"title": TEXT}}, {"title": "cold rooms"}, {"title": "doors"})
    made = await make_beside(somebody, index, text=TITLE)
    await fill_beside(somebody, made, WordEncoder())
    for_caller = made.as_caller(Credentials(SecretStr("ApiKey their-key")))
    clients = [each._client for each in (for_caller, for_caller.vectors)]

    assert [client.has_credentials for client in clients] == [True, True]
    assert not made.vectors._client.has_credentials
    assert made.looks_like(for_caller)
    assert not made.looks_like(made.vectors)
    for refused in (made.write([]), made.remove(["d0"])):
        with pytest.raises(SettingsError, match="is somebody else's"):
            await refused
