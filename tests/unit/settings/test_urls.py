"""Which URLs are an address."""

from __future__ import annotations

import pytest

from connector.errors import SettingsError
from connector.settings.load import load_settings


@pytest.mark.parametrize("path", ["cluster.url", "rerankers.local.url", "encoder.url", "native.worker_url"])
@pytest.mark.parametrize(
    "url", ["http://", "https://:9200", "http://127.0.0.1:99999", "http://h:0", "http://[::1", "http://h:x"]
)
def test_a_url_without_an_address_is_refused(path: str, url: str) -> None:
    with pytest.raises(SettingsError, match=r"is no address .*; give http\(s\)://HOST:PORT"):
        load_settings(environ={}, overrides={path: url})


@pytest.mark.parametrize("url", ["http://", "http://h:99999", "http://h:0", "http://[::1"])
def test_a_node_behind_the_gateway_without_an_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"upstream .* is no address .*; give http\(s\)://HOST:PORT"):
        load_settings(environ={}, overrides={"gateway.upstream": [url]})


@pytest.mark.parametrize(
    "url", ["http://[::1]:9200", "https://[fe80::1]/search", "http://h", "http://h:/a", "embedded:a@b"]
)
def test_any_address_is_taken(url: str) -> None:
    assert load_settings(environ={}, overrides={"cluster.url": url}).cluster.url == url
