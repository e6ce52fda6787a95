"""What a proxy in front must know: which requests are the gateway's, where it is, and where the cluster is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from connector.errors import SettingsError
from connector.settings.sections import Settings

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


@dataclass(frozen=True, slots=True)
class Routes:
    """The proxy listens at `listen`. `pattern` matches the paths that go to the gateway."""

    listen: int
    gateway: NodeAddress
    nodes: tuple[NodeAddress, ...]
    pattern: str
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
    scheme = "https" if own.tls_cert else "http"
    url = gateway or f"{scheme}://{_in_url(_EVERYWHERE.get(own.host, own.host))}:{own.port}"
    return Routes(
        listen,
        _address(url),
        tuple(map(_address, urls)),
        pattern_of(own.indexes),
        settings.cluster.ca_cert,
        settings.cluster.verify_tls,
    )


def pattern_of(indexes: Iterable[str]) -> str:
    """A regular expression of the paths of searches in these indexes, and of `_msearch`, whose body names its own."""
    names = "|".join(re.escape(name).replace(r"\*", "[^/]*") for name in sorted(indexes))
    return rf"^/(?:(?:{names})/(?:{'|'.join(ENDPOINTS)})|_msearch)$"


def _address(url: str) -> NodeAddress:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{url!r} is no address; give http(s)://HOST:PORT")
    is_tls = parts.scheme == "https"
    return NodeAddress(parts.hostname, parts.port or (443 if is_tls else 80), is_tls)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
