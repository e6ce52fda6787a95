"""`connector gateway proxy-config`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from connector.cli.commands.gateway import gateway_app
from connector.errors import SettingsError

CLUSTER = ("--cluster", "http://10.0.0.1:9200")
INDEXES = ("--set", "gateway.indexes={products: {mode: auto}}")


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def proxy_config(*arguments: str) -> Result:
    return CliRunner().invoke(gateway_app, ["proxy-config", *arguments])


def test_nginxs_configuration_is_printed_by_the_flags() -> None:
    made = proxy_config("nginx", *CLUSTER, *INDEXES, "--gateway", "http://10.0.0.5:9281", "--listen", "8080")

    assert (made.exit_code, made.stderr) == (0, "")
    for line in ("server 10.0.0.1:9200;", "server 10.0.0.5:9281;", "listen 8080;"):
        assert f"    {line}\n" in made.stdout


def test_envoys_configuration_is_printed_by_the_settings_file(tmp_path: Path) -> None:
    gateway = {"indexes": {"products": {}}, "upstream": ["http://a:9200", "http://b:9200"], "host": "0.0.0.0"}
    (tmp_path / "connector.yaml").write_text(yaml.safe_dump({"gateway": gateway}))

    made = proxy_config("envoy")

    assert (made.exit_code, made.stderr) == (0, "")
    resources = yaml.safe_load(made.stdout)["static_resources"]
    at = {
        cluster["name"]: [
            tuple(endpoint["endpoint"]["address"]["socket_address"].values())
            for endpoint in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        ]
        for cluster in resources["clusters"]
        if "load_assignment" in cluster
    }
    assert at == {"cluster": [("a", 9200), ("b", 9200)], "gateway": [("127.0.0.1", 9280)]}
    assert resources["listeners"][0]["address"]["socket_address"]["port_value"] == 9200


def test_what_it_cannot_make_it_refuses() -> None:
    nameless, away = proxy_config("nginx", *CLUSTER), proxy_config("nginx", *INDEXES)
    unknown, nowhere = proxy_config("haproxy", *INDEXES), proxy_config("nginx", *INDEXES, "--listen", "0")

    assert isinstance(nameless.exception, SettingsError)
    assert "gateway.indexes names no index" in str(nameless.exception)
    assert isinstance(away.exception, SettingsError)
    assert "give --cluster http(s)://HOST:PORT" in str(away.exception)
    assert "'haproxy' is not one of 'nginx', 'envoy'" in " ".join(unknown.stderr.replace("│", " ").split())
    assert "--listen" in nowhere.stderr
    assert {run.stdout for run in (nameless, away, unknown, nowhere)} == {""}
