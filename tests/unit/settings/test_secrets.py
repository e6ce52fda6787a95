"""Secrets are taken letter by letter, and no error, representation or traceback says one."""

from __future__ import annotations

import pytest
from support.given_settings import SECRETS, load, value_at

from connector.errors import SettingsError
from connector.settings.given import GivenValue
from connector.settings.load import load as load_layers
from connector.settings.load import load_settings, setting_names, setting_paths
from connector.settings.names import env_name
from connector.settings.sections import ClusterSettings


@pytest.mark.parametrize("path", SECRETS)
@pytest.mark.parametrize(
    "secret", ["hunter2-[x-and-more", "[hunter2-x-and-more]", "{hunter2:and-more}", "12345hunter2-and-more"]
)
def test_a_secret_is_taken_letter_by_letter_and_shown_nowhere(path: str, secret: str) -> None:
    settings = load_settings(environ={env_name(path): secret})

    assert value_at(settings, path) == secret
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize("name", ["password", "api_key", "bearer_token"])
@pytest.mark.parametrize("value", ["[hunter2]", "{hunter2: 1}", "{a: hunter2}", "0x6875", "[[hunter2]]"])
def test_a_secret_of_a_wrong_type_is_not_in_the_error(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(f"cluster: {{{name}: {value}}}")

    assert f"cluster.{name}" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert str(0x6875) not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'cluster:\n  password: "hunter2\n',
        "cluster:\n  password: hunter2\n bad indent: x\n",
        "cluster: {password: hunter2\nindex: {}",
        "cluster: {passwort: hunter2}",
        "cluster: hunter2",
        "cluster:\n\tpassword: hunter2",
        "cluster: {password: hunter2, url: {}}",
        "cluster: {password:hunter2}",
        "cluster: {password hunter2: 1}",
        "cluster: {password: *hunter2}",
        "cluster: {password: !hunter2 x}",
        "cluster: {password: !!int hunter2}",
        "cluster: {password: !!int ''}",
        "cluster: {password: !!bool hunter2}",
        "cluster: {password: !!timestamp hunter2}",
        "cluster: {password: !!timestamp 2024-99-99}",
        "cluster: {password: !!binary hunter2é}",
        "cluster: {password: {file: hunter2}}",
        "cluster: {password: {env: hunter2}}",
        "cluster: {password: {file: a, hunter2: b}}",
        "cluster: {password: hunter2, password: hunter2}",
        "? [hunter2]\n: 1",
        "cluster: {url: 'https://me:hunter2@db:9200'}",
        "cluster: {url: 'https://me:hun/ter2@db:9200'}",
        "cluster: {url: 'me:hunter2@db:9200'}",
        "rerankers: {gpu: {url: 'http://me:hunter2@gpu:8787'}}",
    ],
)
def test_a_secret_beside_a_mistake_is_not_in_the_error(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(text)

    assert "hun" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_credentials_in_the_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="username and password") as refused:
        load_settings(environ={"CONNECTOR_CLUSTER_URL": "https://me:hunter2@search.example:9200"})

    assert "hunter2" not in str(refused.value)


def test_secrets_are_told_from_other_settings() -> None:
    assert {path for path in setting_paths() if setting_names().is_secret(path)} == set(SECRETS)


@pytest.mark.parametrize("secret", ["hunter2\nX-Evil: \x01", "hunter2\r", "hunter2\x00", "hun\u2028ter2"])
@pytest.mark.parametrize("path", SECRETS)
def test_a_secret_with_control_characters_is_refused(path: str, secret: str) -> None:
    with pytest.raises(SettingsError, match=f"{path}: .*check how it was copied") as refused:
        load_settings(environ={env_name(path): secret})

    assert "hun" not in str(refused.value)


def test_a_password_may_hold_any_letters_and_blanks() -> None:
    settings = load_settings(environ={"CONNECTOR_CLUSTER_PASSWORD": " größe “日本” 🙂 "})

    assert value_at(settings, "cluster.password") == " größe “日本” 🙂 "


def test_what_is_given_does_not_print_its_value() -> None:
    loaded = load_layers(environ={"CONNECTOR_CLUSTER_PASSWORD": "hunter2"})

    assert "hunter2" not in f"{loaded!r} {loaded.given['cluster.password']}"
    assert loaded.given["cluster.password"] == GivenValue("hunter2", "CONNECTOR_CLUSTER_PASSWORD")


def test_the_traceback_of_a_refused_setting_quotes_no_secret() -> None:
    with pytest.raises(SettingsError) as refused:
        ClusterSettings(url="http://someone:hunter2@db.example:9200")

    assert "url holds credentials" in str(refused.value.__cause__)
    assert "hunter2" not in str(refused.value.__cause__)
