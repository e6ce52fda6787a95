"""The configuration of Envoy, as one YAML file."""

from __future__ import annotations

from typing import Any

import yaml

from connector.gateway.proxy_config.routes import NodeAddress, Routes

HEADER = """\
# Made by `connector gateway proxy-config envoy`; start it with: envoy -c FILE
#
# Searches of the named indexes go to the gateway, all else straight to the cluster. Where the gateway does not answer
# its health check, the cluster answers the searches too. It was read against Envoy's documentation and has not been
# run by those who made it: try it before you rely on it.
"""
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_HEALTH = {
    "timeout": "1s",
    "interval": "2s",
    "unhealthy_threshold": 1,
    "healthy_threshold": 1,
    "http_health_check": {"path": "/_gateway/health"},
}
_ROUTER = f"{_EXTENSIONS}.filters.http.router.v3.Router"
NO_TIME_OUT = "0s"


def envoy_config(routes: Routes) -> str:
    """Envoy's whole bootstrap file."""
    listener = {
        "name": "search",
        "address": _socket(NodeAddress("0.0.0.0", routes.listen)),
        "filter_chains": [{"filters": [_connections(routes)]}],
    }
    gateway = _cluster("gateway", (routes.gateway,), None) | {"health_checks": [_HEALTH]}
    first_the_gateway = {
        "name": "gateway_else_cluster",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "0.3s",
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.clusters.aggregate.v3.ClusterConfig",
                "clusters": ["gateway", "cluster"],
            },
        },
    }
    clusters = [_cluster("cluster", routes.nodes, routes), gateway, first_the_gateway]
    return HEADER + yaml.safe_dump(
        {"static_resources": {"listeners": [listener], "clusters": clusters}}, sort_keys=False, width=110
    )


def _connections(routes: Routes) -> dict[str, Any]:
    retry = {
        "retry_on": "connect-failure,reset-before-request",
        "num_retries": 1,
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
    }
    always = {"timeout": NO_TIME_OUT} | ({"host_rewrite_literal": routes.host} if routes.host else {})
    searches = {
        "match": {"safe_regex": {"regex": routes.pattern}},
        "route": {"cluster": "gateway_else_cluster", **always, "retry_policy": retry},
    }
    rest = {"match": {"prefix": "/"}, "route": {"cluster": "cluster", **always}}
    host = {
        "name": "search",
        "domains": ["*"],
        "request_headers_to_remove": ["x-proxy-user", "x-proxy-roles"],
        "routes": [searches, rest],
    }
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "search",
        "codec_type": "HTTP1",
        "use_remote_address": True,
        "normalize_path": False,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "server_header_transformation": "PASS_THROUGH",
        "max_request_headers_kb": 64,
        "stream_idle_timeout": "3600s",
        "route_config": {"name": "search", "virtual_hosts": [host]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _cluster(name: str, nodes: tuple[NodeAddress, ...], trust: Routes | None) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": _socket(node)}} for node in nodes]
    cluster: dict[str, Any] = {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }
    if nodes[0].is_tls:
        tls: dict[str, Any] = {
            "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": nodes[0].host,
        }
        if trust is not None and trust.verify_tls:
            authorities = {"filename": trust.ca_cert or "/etc/ssl/certs/ca-certificates.crt"}
            names = [
                {"san_type": "DNS" if node.has_name else "IP_ADDRESS", "matcher": {"exact": node.host}}
                for node in nodes
            ]
            # without names, any certificate that one of the authorities ever signed would do
            checked = {"trusted_ca": authorities, "match_typed_subject_alt_names": names}
            tls["common_tls_context"] = {"validation_context": checked}
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    return cluster


def _socket(address: NodeAddress) -> dict[str, Any]:
    return {"socket_address": {"address": address.host, "port_value": address.port}}
