"""Which settings load but are pointed at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from connector.settings.load import load
from connector.settings.names import env_name
from connector.settings.warnings import SettingsWarning, find_warnings, is_loopback


def cautions(text: str = "", environ: Mapping[str, str] | None = None, *, mode: int = 0o600) -> list[SettingsWarning]:
    file = Path("connector.yaml")
    file.write_text(text)
    file.chmod(mode)
    return find_warnings(load(file=file, environ=environ or {}))


def paths(found: list[SettingsWarning]) -> list[str]:
    return [warning.path for warning in found]


def test_defaults_are_fine() -> None:
    assert cautions() == []


def test_a_secret_in_the_settings_file_is_pointed_at() -> None:
    (found,) = cautions("cluster:\n  username: me\n  password: hunter2\n")

    assert str(found) == (
        "connector.yaml:3: cluster.password: a secret stands in the settings file; set CONNECTOR_CLUSTER_PASSWORD, "
        "name a file in CONNECTOR_CLUSTER_PASSWORD_FILE, or write {file: PATH} here"
    )


@pytest.mark.parametrize(("mode", "open_to_others"), [(0o600, False), (0o640, True), (0o604, True), (0o400, False)])
def test_a_secret_that_others_can_read_is_pointed_at(mode: int, open_to_others: bool) -> None:
    secret = Path("key")
    secret.write_text("abc")
    os.chmod(secret, mode)
    in_yaml = cautions("cluster: {api_key: abc}", mode=mode)
    in_its_own_file = cautions("", {"CONNECTOR_CLUSTER_API_KEY_FILE": "key"})

    assert [warning.advice for warning in in_yaml[1:]] == ["chmod 600 connector.yaml"] * open_to_others
    assert [warning.advice for warning in in_its_own_file] == ["chmod 600 key"] * open_to_others


def test_a_secret_from_the_environment_or_named_in_the_file_is_fine() -> None:
    secret = Path("key")
    secret.write_text("abc")
    secret.chmod(0o600)

    assert cautions("", {"CONNECTOR_CLUSTER_API_KEY": "abc"}, mode=0o644) == []
    assert cautions("cluster: {api_key: {file: key}}", mode=0o644) == []
    assert cautions("cluster: {api_key: {env: MINE}}", {"MINE": "abc"}, mode=0o644) == []


@pytest.mark.parametrize(
    ("url", "pointed_at"),
    [
        ("http://db.example:9200", ["cluster.url"]),
        ("http://10.0.0.1:9200", ["cluster.url"]),
        ("https://db.example:9200", []),
        ("http://localhost:9200", []),
        ("http://127.0.0.1:9200", []),
        ("http://[::1]:9200", []),
    ],
)
def test_credentials_over_http_are_pointed_at(url: str, pointed_at: list[str]) -> None:
    environ = {"CONNECTOR_CLUSTER_URL": url}

    assert paths(cautions("", environ)) == []
    assert paths(cautions("", environ | {"CONNECTOR_CLUSTER_API_KEY": "abc"})) == pointed_at


@pytest.mark.parametrize("section", ["encoder", "rerankers.local", "judge"])
@pytest.mark.parametrize(
    ("url", "is_pointed_at"), [("http://gpu:8787", True), ("https://gpu", False), ("http://[::1]", False)]
)
def test_a_workers_key_over_http_is_pointed_at(section: str, url: str, is_pointed_at: bool) -> None:
    environ = {env_name(f"{section}.url"): url}

    assert paths(cautions("", environ)) == []
    key = {env_name(f"{section}.api_key"): "abc"}
    assert paths(cautions("", environ | key)) == [f"{section}.url"] * is_pointed_at


@pytest.mark.parametrize(
    ("environ", "pointed_at"),
    [
        ({"URL": "https://db:9200", "VERIFY_TLS": "false"}, ["cluster.verify_tls"]),
        ({"URL": "http://db:9200", "VERIFY_TLS": "false"}, []),
        ({"CA_CERT": "/nowhere/ca.pem"}, ["cluster.ca_cert"]),
        ({"USERNAME": "me"}, ["cluster.username"]),
        ({"PASSWORD": "abc"}, ["cluster.password"]),
        ({"USERNAME": "me", "PASSWORD": "abc"}, []),
        ({"API_KEY": "abc", "USERNAME": "me", "PASSWORD": "abc"}, ["cluster.password"]),
        ({"API_KEY": "abc", "BEARER_TOKEN": "abc"}, ["cluster.bearer_token"]),
    ],
    ids=str,
)
def test_settings_that_do_not_go_together_are_pointed_at(environ: dict[str, str], pointed_at: list[str]) -> None:
    found = cautions("", {f"CONNECTOR_CLUSTER_{name}": value for name, value in environ.items()})

    assert paths(found) == pointed_at
    assert all(warning.seen and warning.advice for warning in found)


@pytest.mark.parametrize("url", ["http://localhost", "https://127.8.8.8:1", "http://[::1]/", "http://es.localhost:92"])
def test_loopback_is_known(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url", ["http://localhost.example", "http://0.0.0.0", "http://192.168.0.1", "embedded:x", "", "http://[x"]
)
def test_what_is_not_loopback_is_known(url: str) -> None:
    assert not is_loopback(url)


def test_a_reranker_that_no_stage_uses_is_pointed_at() -> None:
    text = "rerankers: {local: {}, spare: {url: 'http://spare:1'}}"

    assert paths(cautions(text)) == ["rerankers.spare"]
    assert paths(cautions(f"{text}\nsearch: {{rerank: [local, {{reranker: spare, window: 20}}]}}")) == []
    assert paths(cautions(f"{text}\nsearch: {{rerank: off}}")) == []
