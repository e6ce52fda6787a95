"""What cannot be put into an engine's own search, and what is said then; nothing is left half done."""

from __future__ import annotations

import pytest
from support.indices.native import FOREIGN, ON_3, ON_OURS, fill, install, remove, settings_for, show, states
from support.indices.scratch import drop, engine_client, unique_name

from connector.errors import ClusterError, SettingsError
from connector.models.encoder import Encoder
from connector.native.plan import PartNames
from connector.settings.sections import ClusterSettings, Settings


@pytest.mark.parametrize(
    ("worker_url", "words"),
    [
        ("http://127.0.0.1:1", "the cluster itself calls http://127.0.0.1:1: name an address that its nodes reach"),
        (
            "http://10.9.8.7:1",
            r'"plugins.ml_commons.trusted_connector_endpoints_regex": ["^http://10\\.9\\.8\\.7:1/.*$"]',
        ),
    ],
)
@ON_3
async def test_a_worker_that_the_cluster_cannot_call_is_told_with_what_to_do(
    ml_opensearch: ClusterSettings, managed: str, worker_url: str, words: str
) -> None:
    settings = settings_for(ml_opensearch, managed, worker_url)
    with pytest.raises(ClusterError) as caught:
        await install(settings)
    left = await remove(settings)

    assert words in str(caught.value)
    assert not any("pipeline" in part for part in left), "no search can go through half an installation"


@ON_3
async def test_a_private_address_needs_leave(ml_opensearch: ClusterSettings, managed: str, worker_url: str) -> None:
    settings = settings_for(ml_opensearch, managed, worker_url)
    with engine_client(ml_opensearch) as engine:
        switch = "plugins.ml_commons.connector.private_ip_enabled"
        engine.put("/_cluster/settings", json={"transient": {switch: False}}).raise_for_status()
        try:
            with pytest.raises(ClusterError, match=f'PUT /_cluster/settings .*"{switch}": true'):
                await install(settings)
        finally:
            engine.put("/_cluster/settings", json={"transient": {switch: None}}).raise_for_status()
            await remove(settings)


@ON_3
@ON_OURS
async def test_what_is_said_where_no_node_may_call_models_lets_them(settings: Settings) -> None:
    with engine_client(settings.cluster) as engine:
        roles = "plugins.ml_commons.task_dispatcher.eligible_node_role.remote_model"
        engine.put("/_cluster/settings", json={"persistent": {roles: ["ml"]}}).raise_for_status()
        try:
            with pytest.raises(ClusterError, match="no node may call remote models: ") as caught:
                await install(settings)
            path, _, body = str(caught.value).rpartition("PUT ")[2].partition(" ")
            engine.put(path, content=body, headers={"content-type": "application/json"}).raise_for_status()
            again = await install(settings)
        finally:
            engine.put("/_cluster/settings", json={"persistent": {roles: None}}).raise_for_status()

    assert states(again.parts)["model rerank"] == "changed"


@ON_3
async def test_an_encoder_of_other_dimensions_is_refused(
    ml_opensearch: ClusterSettings, foreign: str, worker_url: str
) -> None:
    settings = settings_for(ml_opensearch, foreign, worker_url, **FOREIGN | {"index.vector_field": "tiny"})
    with pytest.raises(SettingsError, match=r"makes vectors of 384 dimensions, but index .* holds such of 3"):
        await install(settings)
    await remove(settings)


@ON_3
@ON_OURS
async def test_pipelines_that_the_index_uses_by_default_are_not_removed(settings: Settings) -> None:
    names = PartNames(settings.index.name)
    await install(settings)
    with engine_client(settings.cluster) as engine:
        default = f"/{names.index}/_settings"
        engine.put(default, json={"index.search.default_pipeline": names.search}).raise_for_status()
        with pytest.raises(SettingsError, match=f"uses {names.search} by default; first: PUT /{names.index}/_settings"):
            await remove(settings)
        engine.put(default, json={"index.search.default_pipeline": None}).raise_for_status()

    assert "search pipeline search" in await remove(settings)


@ON_3
@ON_OURS
async def test_a_pipeline_of_our_name_that_somebody_else_made_is_left_alone(settings: Settings) -> None:
    path = f"/_search/pipeline/{PartNames(settings.index.name).search}"
    with engine_client(settings.cluster) as engine:
        engine.put(path, json={"description": "mine"}).raise_for_status()
        for act in (install, remove):
            with pytest.raises(SettingsError, match="was not made by connector native install"):
                await act(settings)
        left = engine.get(path).json()
        engine.delete(path).raise_for_status()

    assert list(left.values()) == [{"description": "mine"}]


async def test_an_opensearch_without_ml_commons_is_told_as_such(
    secured_opensearch: ClusterSettings, encoder: Encoder
) -> None:
    name = unique_name()
    await fill(secured_opensearch, name, encoder)
    settings = settings_for(secured_opensearch, name, "http://127.0.0.1:1")
    settings = settings.model_copy(update={"cluster": secured_opensearch})
    for act in (install, show):
        with pytest.raises(ClusterError, match=r"has no ML Commons .* install the plugin opensearch-ml"):
            await act(settings)
    await drop(secured_opensearch, name)


async def test_an_elasticsearch_without_the_inference_api_is_told_as_such(
    elasticsearch: ClusterSettings, encoder: Encoder
) -> None:
    name = unique_name()
    await fill(elasticsearch, name, encoder)
    settings = settings_for(elasticsearch, name, "http://127.0.0.1:1")
    for act in (install, show, remove):
        with pytest.raises(ClusterError, match=r"has no inference API .* Enterprise licence.* connector search"):
            await act(settings)
    await drop(elasticsearch, name)


async def test_the_embedded_store_needs_nothing_of_the_kind(embedded: ClusterSettings) -> None:
    with pytest.raises(SettingsError, match="the embedded store nor a plug-in's cluster runs pipelines"):
        await show(settings_for(embedded, "kb", "http://127.0.0.1:1"))
