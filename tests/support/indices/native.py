"""The worker put into an engine's own search: articles to find there, and what is installed, shown and removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from support.indices.scratch import write_documents

from connector.models.encoder import Encoder
from connector.native.ml_commons import HOLDINGS
from connector.native.plan import Installed, Part
from connector.native.planning import build_plan
from connector.schema import Fields
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings
from connector.types import Document
from connector.wiring import open_cluster, open_index, open_native

ARTICLES = {
    "refund": ("Returning hardware", "Opened sensors can be returned for a refund within two weeks."),
    "cold": ("Cold rooms", "The temperature of a cold room is checked twice a day."),
    "deal": ("Partner programme", "A registered deal is protected for ninety days, for each tier of partner."),
    "holiday": ("Holiday calendar", "Offices are closed between Christmas and New Year."),
    "firmware": ("Gateway firmware", "A gateway must run the current firmware to be supported."),
    "invoice": ("Invoices", "An invoice is paid within thirty days of its date."),
    "carrier": ("Carriers", "A parcel that a carrier has lost is sent again at no cost."),
    "alarm": ("Alarms", "An alarm that nobody confirms is passed on after ten minutes."),
}
WINDOW = 6
SIZES = {"search.k": 3, "search.rerank": {"window": WINDOW}}
FOREIGN = {
    "index.text_fields": {"headline": 2.0, "body": 1.0},
    "index.vector_field": "embedding",
    "native.field": "body",
}
# what need not be seen on each server, and on each kind of index
ON_3 = pytest.mark.parametrize("ml_opensearch", [pytest.param("os3", marks=pytest.mark.live)], indirect=True)
ON_OURS = pytest.mark.parametrize("settings", ["managed"], indirect=True)


async def fill(settings: ClusterSettings, name: str, encoder: Encoder) -> None:
    """An index of ours with the articles."""
    documents = [Document(doc_id, {"title": title, "text": text}) for doc_id, (title, text) in ARTICLES.items()]
    await write_documents(settings, name, documents, Fields({"title": 2.0, "text": 1.0}), encoder)


def settings_for(
    cluster: ClusterSettings, index: str, worker_url: str, environ: dict[str, str] | None = None, **given: Any
) -> Settings:
    overrides = {"cluster.url": cluster.url, "index.name": index, "native.worker_url": worker_url} | SIZES | given
    return load_settings(environ=environ or {}, overrides=overrides)


def settings_with(settings: Settings, *, worker_url: str) -> Settings:
    return settings.model_copy(update={"native": settings.native.model_copy(update={"worker_url": worker_url})})


def elsewhere(settings: Settings) -> Settings:
    """The same worker under another address."""
    return settings_with(settings, worker_url=str(settings.native.worker_url).replace("127.0.0.1", "localhost"))


async def install(settings: Settings) -> Installed:
    """What `connector native install` does."""
    cluster = await open_cluster(settings)
    try:
        index = await open_index(cluster, settings)
        return await open_native(cluster, settings).install(build_plan(settings, index.schema))
    finally:
        await cluster.close()


async def show(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """The state of each part by kind and name, and what else is said of it."""
    cluster = await open_cluster(settings)
    try:
        parts = await open_native(cluster, settings).show()
    finally:
        await cluster.close()
    return states(parts), {_label(part): part.detail for part in parts}


async def remove(settings: Settings) -> dict[str, str]:
    """What became of each part, as of `states`."""
    cluster = await open_cluster(settings)
    try:
        return states(await open_native(cluster, settings).remove())
    finally:
        await cluster.close()


def states(parts: Sequence[Part]) -> dict[str, str]:
    """By kind, and the last word of the name."""
    return {_label(part): part.state for part in parts}


def _label(part: Part) -> str:
    return f"{part.kind} {part.name.rsplit('-', 1)[-1]}"


def refresh(engine: httpx.Client) -> None:
    """Let searches of ML Commons, which come after writes by up to a second, see all that is there."""
    engine.post(f"{HOLDINGS}/_refresh", params={"ignore_unavailable": "true"}).raise_for_status()
