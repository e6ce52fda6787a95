"""The configuration of nginx."""

from __future__ import annotations

from connector.errors import SettingsError
from connector.gateway.proxy_config.routes import Routes

_TEXT = """\
# Made by `connector gateway proxy-config nginx`. Put it into nginx's http block: /etc/nginx/conf.d/search.conf
#
# Searches of the named indexes go to the gateway, all else straight to the cluster. Where the gateway cannot be
# reached, the cluster answers the searches too: nobody sees more than another order of the hits.
upstream connector_gateway {
    server @gateway@;
    keepalive 64;
}
upstream connector_cluster {
@nodes@
    keepalive 64;
}
server {
    listen @listen@;

    # what the engine allows; beyond it nginx would say no in words that no client of the engine reads
    client_max_body_size 100m;
    client_header_buffer_size 8k;
    large_client_header_buffers 8 64k;
    underscores_in_headers on;
    merge_slashes off;
    gzip off;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host @host@;
    proxy_set_header X-Forwarded-For $remote_addr;
    # OpenSearch may believe these of a proxy
    proxy_set_header X-Proxy-User "";
    proxy_set_header X-Proxy-Roles "";
    proxy_read_timeout 1h; # a reindex takes its time
    proxy_send_timeout 1h;
    proxy_max_temp_file_size 0; # nothing on disk: who reads slowly holds the engine back@tls@

    location / {
        proxy_request_buffering off;
        proxy_pass @scheme@://connector_cluster;
    }
    location ~ "@pattern@" {
        client_body_buffer_size 1m; # kept, so that the cluster can be asked in the gateway's place
        proxy_connect_timeout 300ms;@gateway_tls@
        proxy_pass @gateway_scheme@://connector_gateway;
        error_page 502 504 = @connector_cluster;
    }
    location @connector_cluster {
        proxy_pass @scheme@://connector_cluster;
    }
}
"""
_GATEWAY_TLS = """
        proxy_ssl_server_name on;
        proxy_ssl_name @name@;
        proxy_ssl_verify off; # "on" needs proxy_ssl_trusted_certificate FILE; here, with what signed the gateway's"""
_TLS = """
    proxy_ssl_server_name on;
    proxy_ssl_name @name@;
    proxy_ssl_verify @verify@;"""


def nginx_config(routes: Routes) -> str:
    """A file for nginx's http block. Raises SettingsError."""
    values = {
        "gateway": routes.gateway.authority,
        "gateway_scheme": "https" if routes.gateway.is_tls else "http",
        "nodes": "\n".join(f"    server {node.authority};" for node in routes.nodes),
        "gateway_tls": _GATEWAY_TLS.replace("@name@", routes.gateway.host) if routes.gateway.is_tls else "",
        "host": routes.host or "$http_host",
        "listen": str(routes.listen),
        "scheme": "https" if routes.is_tls else "http",
        "pattern": routes.pattern.replace("\\", "\\\\").replace('"', '\\"'),
        "tls": _tls(routes) if routes.is_tls else "",
    }
    text = _TEXT
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _tls(routes: Routes) -> str:
    if routes.verify_tls and not routes.nodes[0].has_name:
        raise SettingsError(
            f"nginx looks for names in a certificate, never for an address, and would not accept that of "
            f"{routes.nodes[0].host}; give a name: --cluster https://NAME:PORT, or --set cluster.verify_tls=false"
        )
    text = _TLS.replace("@name@", routes.nodes[0].host).replace("@verify@", "on" if routes.verify_tls else "off")
    if routes.verify_tls and len({node.host for node in routes.nodes}) > 1:
        text += "\n    # this one name is looked for on every node: every certificate has to have it"
    trusted = routes.ca_cert or "/etc/ssl/certs/ca-certificates.crt"
    return text + f"\n    proxy_ssl_trusted_certificate {trusted};"
