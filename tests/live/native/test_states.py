"""The states of what is installed in OpenSearch: those of now, whatever a search of ML Commons still shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from support.indices.native import ON_3, ON_OURS, elsewhere, install, refresh, remove, show, states
from support.indices.scratch import engine_client, unique_name
from support.parts import wait_until

from connector.errors import ClusterError
from connector.native.plan import Installed
from connector.settings.sections import Settings

MODEL_SETTINGS = "/.plugins-ml-model/_settings"


@contextmanager
def searches_of_before(engine: httpx.Client) -> Iterator[None]:
    """Within the block, searches of ML Commons show what was before, as they do for a moment after each change."""
    engine.put(MODEL_SETTINGS, json={"index.refresh_interval": "1h"}).raise_for_status()
    try:
        yield
    finally:
        engine.put(MODEL_SETTINGS, json={"index.refresh_interval": None}).raise_for_status()


@contextmanager
def no_comparing(engine: httpx.Client) -> Iterator[None]:
    """Within the block, ML Commons does not compare states with nodes, as it does every ten seconds. A model whose
    undeployment it meets half done, gone from the node and not yet written down, it calls DEPLOY_FAILED."""
    interval = "plugins.ml_commons.sync_up_job_interval_in_seconds"
    engine.put("/_cluster/settings", json={"transient": {interval: 0}}).raise_for_status()
    try:
        yield
    finally:
        engine.put("/_cluster/settings", json={"transient": {interval: None}}).raise_for_status()


@ON_OURS
async def test_states_are_those_of_now_whatever_a_search_still_shows(settings: Settings) -> None:
    installed = await install(settings)
    with engine_client(settings.cluster) as engine, no_comparing(engine), searches_of_before(engine):
        for model in [part for part in installed.parts if part.kind == "model"]:
            engine.post(f"/_plugins/_ml/models/{model.id}/_undeploy").raise_for_status()
        parts, detail = await show(settings)
        changed = await install(settings)
        shown_again, detail_again = await show(settings)
        moved = await install(elsewhere(settings))
        await remove(settings)
        left, _ = await show(settings)

    assert {parts["model rerank"], parts["model embedding"]} == {"undeployed"}
    assert (detail["model rerank"], detail_again["model rerank"]) == ("connector native install deploys it", "")
    assert states(changed.parts)["model rerank"] == "changed"
    assert {shown_again["model rerank"], shown_again["model embedding"]} == {"deployed"}
    assert states(moved.parts)["connector rerank"] == "changed"
    assert set(left.values()) == {"not there"}


@ON_3
@ON_OURS
async def test_a_model_that_ml_commons_calls_failed_is_deployed_by_the_next_installation(settings: Settings) -> None:
    installed = await install(settings)
    model = next(part.id for part in installed.parts if part.kind == "model")
    with engine_client(settings.cluster) as engine, no_comparing(engine):
        engine.post(f"/_plugins/_ml/models/{model}/_undeploy").raise_for_status()
        written = {"doc": {"model_state": "DEPLOY_FAILED"}}  # what its comparison writes
        engine.post(f"/.plugins-ml-model/_update/{model}", json=written).raise_for_status()
        parts, detail = await show(settings)
        changed = await install(settings)
        shown_again, _ = await show(settings)

    assert (parts["model rerank"], parts["model embedding"]) == ("deploy_failed", "deployed")
    assert detail["model rerank"] == "connector native install deploys it"
    assert (states(changed.parts)["model rerank"], shown_again["model rerank"]) == ("changed", "deployed")


@contextmanager
def sharing_a_word(engine: httpx.Client, installed: Installed) -> Iterator[str]:
    """The ids of all connectors have a word in common, as they have on some nodes, and a model of somebody else's is
    deployed: its id."""
    action = {"action_type": "predict", "method": "POST", "url": "http://127.0.0.1:1/", "request_body": "{}"}
    body = {"name": "theirs", "description": "", "version": 1, "protocol": "http", "credential": {"key": "k"}}
    connector = engine.post("/_plugins/_ml/connectors/_create", json=body | {"actions": [action]}).json()
    asked = {"name": "theirs", "function_name": "remote", "connector_id": connector["connector_id"]}
    theirs = str(engine.post("/_plugins/_ml/models/_register", json=asked).json()["model_id"])
    group = engine.get(f"/_plugins/_ml/models/{theirs}").json()["model_group_id"]
    parts = {(part.kind, part.name): part.id for part in installed.parts}
    pairs = [(id, parts["model", name]) for (kind, name), id in parts.items() if kind == "connector"]
    word = unique_name().replace("-", "")
    refresh(engine)
    for at, (old, model) in enumerate([*pairs, (connector["connector_id"], theirs)]):
        source = engine.get(f"/.plugins-ml-connector/_doc/{old}").json()["_source"]
        engine.put(f"/.plugins-ml-connector/_doc/{at}-{word}", json=source).raise_for_status()
        engine.delete(f"/.plugins-ml-connector/_doc/{old}").raise_for_status()
        moved = {"doc": {"connector_id": f"{at}-{word}"}}
        engine.post(f"/.plugins-ml-model/_update/{model}", json=moved).raise_for_status()
    refresh(engine)
    engine.post(f"/_plugins/_ml/models/{theirs}/_deploy").raise_for_status()
    wait_until(lambda: engine.get(f"/_plugins/_ml/models/{theirs}").json()["model_state"] == "DEPLOYED")
    try:
        yield theirs
    finally:
        engine.post(f"/_plugins/_ml/models/{theirs}/_undeploy").raise_for_status()
        wait_until(lambda: engine.delete(f"/_plugins/_ml/models/{theirs}").status_code == 200)
        wait_until(lambda: engine.delete(f"/_plugins/_ml/model_groups/{group}").status_code == 200)
        engine.delete(f"/.plugins-ml-connector/_doc/{len(pairs)}-{word}").raise_for_status()
        refresh(engine)


@ON_3
@ON_OURS
async def test_a_connector_is_changed_though_ml_commons_takes_another_model_for_one_of_its(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.native.ml_commons.SETTLE_S", 3.0)
    installed = await install(settings)
    with engine_client(settings.cluster) as engine, no_comparing(engine):
        with sharing_a_word(engine, installed) as theirs, pytest.raises(ClusterError) as refused:
            await install(elsewhere(settings))
        moved = await install(elsewhere(settings))
        parts, _ = await show(settings)

    assert f"takes {theirs} for some of them, which are not of this index" in str(refused.value)
    assert f"POST /_plugins/_ml/models/{theirs}/_undeploy, then run" in str(refused.value)
    assert states(moved.parts)["connector embedding"] == "changed"
    assert {parts["model rerank"], parts["model embedding"]} == {"deployed"}


@ON_3
@ON_OURS
async def test_what_ml_commons_takes_for_used_by_another_model_is_removed_when_that_is_gone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.native.ml_commons.SETTLE_S", 1.0)
    installed = await install(settings)
    with engine_client(settings.cluster) as engine, no_comparing(engine):
        with sharing_a_word(engine, installed) as theirs:
            with pytest.raises(ClusterError) as refused:
                await remove(settings)
            parts, _ = await show(settings)
        removed = await remove(settings)
    left, _ = await show(settings)

    assert f"for as long as there is {theirs}, which is not of this index, there is connector 0-" in str(refused.value)
    assert {name for name, state in parts.items() if state == "there"} == {"connector rerank", "connector embedding"}
    assert removed == {"connector rerank": "removed", "connector embedding": "removed"}
    assert set(left.values()) == {"not there"}


@ON_3
@ON_OURS
async def test_a_model_whose_connector_is_gone_is_made_again_with_a_new_one(settings: Settings) -> None:
    installed = await install(settings)
    with engine_client(settings.cluster) as engine:
        for part in installed.parts:
            if part.kind == "connector":
                engine.delete(f"/.plugins-ml-connector/_doc/{part.id}?refresh=true").raise_for_status()
        parts, _ = await show(settings)
        again = await install(settings)
    shown_again, _ = await show(settings)

    assert parts["connector rerank"] == "not there"
    assert parts["model rerank"] == "deployed"
    made = states(again.parts)
    assert {made[f"{kind} {name}"] for kind in ("connector", "model") for name in ("rerank", "embedding")} == {"made"}
    assert {shown_again["model rerank"], shown_again["model embedding"]} == {"deployed"}
