"""What a proxy in front must know: which requests are the gateway's, where it is, and where the cluster is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from connector.errors import SettingsError
from connector.settings.gateway import GatewaySettings
from connector.settings.sections import Settings
from connector.settings.urls import why_no_address

ENDPOINTS = ("_search", "_msearch")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A server behind the proxy."""

    host: str
    port: int
    is_tls: bool = False

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def has_name(self) -> bool:
        """Whether its host is a name, and no IP address."""
        try:
            ip_address(self.host)
        except ValueError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Routes:
    """The proxy listens at `listen`. `pattern` matches the paths that go to the gateway. `host` is what the cluster is
    sent as `Host`; None: what the caller wrote."""

    listen: int
    gateway: NodeAddress
    nodes: tuple[NodeAddress, ...]
    pattern: str
    host: str | None
    ca_cert: str | None
    verify_tls: bool

    @property
    def is_tls(self) -> bool:
        """Whether the cluster is spoken to in TLS."""
        return self.nodes[0].is_tls


def read_routes(settings: Settings, *, listen: int, gateway: str | None) -> Routes:
    """`gateway`: its URL as the proxy reaches it; None: at its host and port of the settings. Raises SettingsError."""
    own = settings.gateway
    if not own.indexes:
        raise SettingsError(
            "gateway.indexes names no index, so nothing would go to the gateway; name one: "
            "--set 'gateway.indexes={products: {mode: auto}}'"
        )
    urls = own.upstream or (settings.cluster.url,)
    if not all(url.startswith(("http://", "https://")) for url in urls):
        raise SettingsError("cluster.url is no cluster's address; give --cluster http(s)://HOST:PORT")
    nodes = tuple(map(_address, urls))
    if len({node.is_tls for node in nodes}) > 1:
        raise SettingsError("gateway.upstream has http and https; a proxy speaks one of them to all nodes")
    return Routes(
        listen,
        _gateway(own) if gateway is None else _address(gateway),
        nodes,
        pattern_of(own.indexes),
        None if own.preserve_host else urlsplit(urls[0]).netloc,
        settings.cluster.ca_cert,
        settings.cluster.verify_tls,
    )


def pattern_of(indexes: Iterable[str]) -> str:
    """A regular expression of the paths of searches in these indexes, and of `_msearch`, whose body names its own."""
    names = "|".join(re.escape(name).replace(r"\*", "[^/]*") for name in sorted(indexes))
    return rf"^/(?:(?:{names})/(?:{'|'.join(ENDPOINTS)})|_msearch)$"


def _gateway(own: GatewaySettings) -> NodeAddress:
    """Where its settings have it listen."""
    if own.port == 0:
        raise SettingsError(
            "gateway.port 0 is any free port, which no proxy can know; give --gateway http(s)://HOST:PORT"
        )
    return NodeAddress(_EVERYWHERE.get(own.host, own.host), own.port, own.tls_cert is not None)


def _address(url: str) -> NodeAddress:
    if "@" in url:
        raise SettingsError("an address holds credentials, which callers bring themselves; leave them out")
    if why := why_no_address(url):
        raise SettingsError(f"{url!r} is no address ({why}); give http(s)://HOST:PORT")
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(f"{url!r} has a path, and a proxy hands paths on as they come; give http(s)://HOST:PORT")
    assert parts.hostname
    is_tls = parts.scheme == "https"
    return NodeAddress(parts.hostname, parts.port or (443 if is_tls else 80), is_tls)
