"""The configurations of proxies: nginx's is run; Envoy's is read."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine_security import make_certificates
from loopback_ports import held_port
from support.gateway.gateways import OK, SMALL, WAIT_S, ByteEngine, RunningGateway, ask_port, running_gateway
from support.runs.missing import skip_or_fail

from connector.errors import SettingsError
from connector.gateway.exchange import BufferedReply, BufferedRequest, Interception, Upstream
from connector.gateway.proxy_config.envoy import envoy_config
from connector.gateway.proxy_config.nginx import nginx_config
from connector.gateway.proxy_config.routes import NodeAddress, Routes, pattern_of, read_routes
from connector.settings.sections import Settings

INDEXES = {"products": {}, "docs.v1": {}, "logs-*": {}}
WHOLE = """
pid {folder}/pid; error_log {folder}/error.log; daemon off; worker_processes 1; user root;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/search.conf;
}}
"""


class Ours:
    """Answers every search."""

    def wants(self, method: str, raw_path: bytes) -> bool:
        return raw_path.endswith((b"/_search", b"/_msearch"))

    async def answer(self, asked: BufferedRequest, upstream: Upstream) -> Interception:
        return BufferedReply(200, (), b"ours:" + asked.raw_path + b":" + asked.body)

    async def close(self) -> None:
        pass


def routes(cluster: str = "http://10.0.0.1:9200", gateway: str = "http://10.0.0.5:9280", listen: int = 9200) -> Routes:
    settings = Settings.model_validate({"cluster": {"url": cluster}, "gateway": {"indexes": INDEXES}})
    return read_routes(settings, listen=listen, gateway=gateway)


def read(**own: Any) -> Routes:
    """Of these settings of the gateway's section."""
    settings = {"cluster": {"url": "http://10.0.0.1:9200"}, "gateway": {"indexes": INDEXES, **own}}
    return read_routes(Settings.model_validate(settings), listen=9200, gateway=None)


def connections(text: str) -> Any:
    """What Envoy is told about its callers' connections."""
    [listener] = yaml.safe_load(text)["static_resources"]["listeners"]
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def test_the_paths_of_searches_are_matched_and_no_others() -> None:
    pattern = re.compile(pattern_of(INDEXES))
    taken = ("/products/_search", "/products/_msearch", "/docs.v1/_search", "/logs-2026/_search", "/_msearch")
    left = (
        "/products/_search/template", "/products/_search/", "/docsxv1/_search", "/other/_search", "/_search",
        "/products/_doc/_search", "/products", "/products/_count", "/logs-a/b/_search", "/x/products/_search",
    )  # fmt: skip

    assert [path for path in taken if not pattern.match(path)] == []
    assert [path for path in left if pattern.match(path)] == []


def test_what_nothing_can_be_made_of_is_told() -> None:
    with pytest.raises(SettingsError, match=r"gateway\.indexes names no index"):
        read_routes(Settings(), listen=1, gateway=None)
    with pytest.raises(SettingsError, match=r"cluster\.url is no cluster's address"):
        read_routes(Settings.model_validate({"gateway": {"indexes": INDEXES}}), listen=1, gateway=None)
    for gateway in ("10.0.0.5:9280", "http://h:99999", "http://h:x", "http://h:0", "http://[::1", ""):
        with pytest.raises(SettingsError, match="is no address"):
            routes(gateway=gateway)
    with pytest.raises(SettingsError, match=r"'http://h/a' has a path, and a proxy hands paths on as they come"):
        routes(gateway="http://h/a")
    with pytest.raises(SettingsError, match="'http://h/search' has a path"):
        routes("http://h/search")
    with pytest.raises(SettingsError, match="an address holds credentials, which callers bring") as refusal:
        routes(gateway="http://u:secret@h:1")
    assert "secret" not in str(refusal.value)
    with pytest.raises(SettingsError, match=r"gateway\.upstream has http and https"):
        read(upstream=["http://a:9200", "https://b:9200"])
    with pytest.raises(SettingsError, match=r"never for an address, .* that of 10\.0\.0\.1; give a name: --cluster"):
        nginx_config(routes("https://10.0.0.1:9200"))
    with pytest.raises(SettingsError, match=r"gateway\.port 0 is any free port, .* give --gateway"):
        read(port=0)


@pytest.mark.parametrize(
    ("own", "address"),
    [
        ({}, NodeAddress("127.0.0.1", 9280)),
        ({"host": "10.0.0.5", "port": 80}, NodeAddress("10.0.0.5", 80)),
        ({"host": "0.0.0.0"}, NodeAddress("127.0.0.1", 9280)),
        ({"host": "::", "tls_cert": "a.pem", "tls_key": "b.pem"}, NodeAddress("::1", 9280, is_tls=True)),
    ],
)
def test_the_gateway_is_where_its_settings_have_it_listen(own: dict[str, Any], address: NodeAddress) -> None:
    assert read(**own).gateway == address


def test_a_hosted_cluster_gets_its_own_name_from_the_proxy_too() -> None:
    hosted = read(upstream=["https://Search.example.com"], preserve_host=False)
    text = nginx_config(hosted)
    [host] = connections(envoy_config(hosted))["route_config"]["virtual_hosts"]

    assert "proxy_set_header Host Search.example.com;" in text
    assert "$http_host" not in text
    assert [route["route"]["host_rewrite_literal"] for route in host["routes"]] == ["Search.example.com"] * 2
    assert "host_rewrite_literal" not in envoy_config(routes())


@pytest.mark.parametrize(
    ("own", "authority", "is_tls"),
    [
        ({}, "127.0.0.1:9280", False),
        ({"host": "0.0.0.0", "port": 80}, "127.0.0.1:80", False),
        ({"host": "::", "tls_cert": "a", "tls_key": "b"}, "[::1]:9280", True),
        ({"host": "fd00::5"}, "[fd00::5]:9280", False),
    ],
)
def test_a_gateway_of_which_nothing_is_said_is_where_the_settings_have_it(
    own: dict[str, object], authority: str, is_tls: bool
) -> None:
    given = {"cluster": {"url": "http://[fd00::1]:9200"}, "gateway": {"indexes": INDEXES} | own}
    found = read_routes(Settings.model_validate(given), listen=9200, gateway=None)

    assert (found.gateway.authority, found.gateway.is_tls) == (authority, is_tls)
    assert f"server {authority}" in nginx_config(found)
    assert "server [fd00::1]:9200" in nginx_config(found)


def test_envoys_configuration_is_yaml_whose_routes_have_their_clusters() -> None:
    text = envoy_config(routes("https://search.example.com"))
    resources = yaml.safe_load(text)["static_resources"]
    [host] = connections(text)["route_config"]["virtual_hosts"]
    names = {cluster["name"] for cluster in resources["clusters"]}
    aggregate = next(cluster for cluster in resources["clusters"] if "cluster_type" in cluster)["cluster_type"][
        "typed_config"
    ]

    assert {route["route"]["cluster"] for route in host["routes"]} | set(aggregate["clusters"]) <= names
    assert re.match(host["routes"][0]["match"]["safe_regex"]["regex"], "/products/_search")
    assert "has not been\n# run" in text


def test_envoy_checks_that_a_certificate_is_the_clusters() -> None:
    def checked(routes: Routes) -> Any:
        cluster, gateway, _ = yaml.safe_load(envoy_config(routes))["static_resources"]["clusters"]
        assert "transport_socket" not in gateway
        return cluster["transport_socket"]["typed_config"].get("common_tls_context", {}).get("validation_context")

    assert checked(read(upstream=["https://search.example.com", "https://10.0.0.2:9200"])) == {
        "trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"},
        "match_typed_subject_alt_names": [
            {"san_type": "DNS", "matcher": {"exact": "search.example.com"}},
            {"san_type": "IP_ADDRESS", "matcher": {"exact": "10.0.0.2"}},
        ],
    }
    assert checked(replace(routes("https://h:9200"), verify_tls=False)) is None


def test_nginx_speaks_tls_to_a_cluster_that_does() -> None:
    text = nginx_config(routes("https://search.example.com"))

    assert "proxy_pass https://connector_cluster;" in text
    assert "proxy_ssl_name search.example.com;" in text
    assert "proxy_ssl_verify on;" in text
    assert "@" not in text.replace("@connector_cluster", "")


def test_nginx_looks_for_one_name_on_all_nodes_and_the_file_says_so() -> None:
    two = read(upstream=["https://a.example.com", "https://b.example.com:9243"])
    lines = "proxy_ssl_name a.example.com;\n    proxy_ssl_verify on;\n    # this one name is looked for on every node"

    assert lines in nginx_config(two)
    assert "looked for" not in nginx_config(replace(two, verify_tls=False))
    assert "looked for" not in nginx_config(read(upstream=["https://a.example.com", "https://a.example.com:9243"]))


def find_nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    return found or skip_or_fail("there is no nginx (Debian: apt-get install nginx-light)")


@contextmanager
def nginx(folder: Path, text: str, port: int) -> Iterator[None]:
    (folder / "search.conf").write_text(text)
    (folder / "nginx.conf").write_text(WHOLE.format(folder=folder))
    process = subprocess.Popen([find_nginx(), "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), WAIT_S).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read().decode()
                assert time.monotonic() < end
        yield
    finally:
        process.terminate()
        process.wait(WAIT_S)


def test_nginx_sends_searches_to_the_gateway_and_to_the_cluster_where_it_is_away(tmp_path: Path) -> None:
    search = b"POST /products/_search?q=a%2Fb HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
    other = b"GET /other%2Fx/_search?q=a+b HTTP/1.1\r\nHost: h\r\nX-Proxy-User: admin\r\n\r\n"
    bulk = b"POST /_bulk HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with held_port() as port, ByteEngine().running() as engine:
        with running_gateway(engine.url, interceptor=Ours()) as gateway:
            with nginx(tmp_path, nginx_config(routes(engine.url, gateway.url, port)), port):
                ours = ask_port(port, search)
                passed = [ask_port(port, request) for request in (other, bulk)]
                seen = list(engine.seen)
                gateway.stop()
                away = ask_port(port, search)

    assert ours.endswith(b"ours:/products/_search:{}")
    assert [reply.partition(b"\r\n\r\n")[2] for reply in passed] == [b"ok", b"ok"]
    assert seen[0].startswith(b"GET /other%2Fx/_search?q=a+b HTTP/1.1\r\n")
    assert b"admin" not in seen[0]
    assert b"abc" in seen[1]
    assert away.startswith(OK[:15])
    assert engine.seen[-1].startswith(b"POST /products/_search?q=a%2Fb HTTP/1.1\r\n")
    assert engine.seen[-1].endswith(b"{}")


def test_nginx_asks_a_gateway_that_serves_https_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    """Beside a cluster whose certificate it checks, and one of another CA."""
    ca, other_ca = (make_certificates(tmp_path / name) for name in ("cluster", "gateway"))
    search = b"POST /products/_search HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
    with held_port() as port, ByteEngine().running() as engine, serving_tls(ca, engine.url) as cluster:
        with serving_tls(other_ca, engine.url, interceptor=Ours()) as gateway:
            settings = {
                "cluster": {"url": f"https://localhost:{cluster.port}", "ca_cert": str(ca)},
                "gateway": {"indexes": INDEXES, "port": gateway.port, "tls_cert": "own.pem", "tls_key": "own.key"},
            }
            made = read_routes(Settings.model_validate(settings), listen=port, gateway=None)
            with nginx(tmp_path, nginx_config(made), port):
                replies = [ask_port(port, request) for request in (search, SMALL)]
        with nginx(tmp_path, nginx_config(replace(made, ca_cert=str(other_ca))), port):
            stranger = ask_port(port, SMALL)

    assert replies[0].endswith(b"ours:/products/_search:{}")
    assert replies[1].endswith(b"ok")
    assert stranger.startswith(b"HTTP/1.1 502 ")


@contextmanager
def serving_tls(ca: Path, *urls: str, **more: Any) -> Iterator[RunningGateway]:
    """A gateway in front of these, with the certificate for localhost that this CA signed."""
    files = {"tls_cert": str(ca.with_name("node.crt")), "tls_key": str(ca.with_name("node.key"))}
    with running_gateway(*urls, tls=ssl.create_default_context(cafile=ca), **files, **more) as running:
        yield running
