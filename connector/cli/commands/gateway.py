"""`connector gateway`: the drop-in gateway."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated

import typer

from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import LogFormat, SettingsFlags
from connector.cli.stopping import SERVED, say_when_stopped
from connector.extras import needs

gateway_app = typer.Typer(
    help="Serve the cluster's own HTTP API, with the searches of named indexes reranked.", rich_markup_mode="markdown"
)


@dataclass(frozen=True, slots=True)
class GatewayFlags:
    """Settings of the section `gateway`, by their names."""

    host: Annotated[str | None, typer.Option(help="Address to listen on. [CONNECTOR_GATEWAY_HOST]")] = None
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 for any free one. [CONNECTOR_GATEWAY_PORT]")
    ] = None
    processes: Annotated[
        int | None, typer.Option(help="Processes that share the port. [CONNECTOR_GATEWAY_PROCESSES]")
    ] = None
    api_port: Annotated[
        int | None,
        typer.Option(
            help="Port of the connector's own HTTP API (/v1) and page (/ui); 0 for any free one. "
            "[CONNECTOR_GATEWAY_API_PORT]"
        ),
    ] = None
    grades: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Judging folder that takes the grades which people give on the page. [CONNECTOR_GATEWAY_GRADES]",
        ),
    ] = None


@gateway_app.callback(invoke_without_command=True)
@with_flag_groups
def gateway(context: typer.Context, flags: GatewayFlags, shared: SettingsFlags, log_format: LogFormat = None) -> None:
    """Serve the cluster's own HTTP API, with the searches of named indexes reranked.

    Applications call the gateway instead of the cluster, with their own clients and credentials. Every request passes
    through byte for byte, except `_search` and `_msearch` on the indexes of the setting `gateway.indexes`. The gateway
    knows no users: the cluster decides, by the credentials that come with each request.

    SIGTERM lets what is under way end, for at most `gateway.drain_s`. Exit code: 2 the settings or the address cannot
    be used, 143 ended by SIGTERM, 130 by Ctrl-C.

    On a second port, given with `--api-port`, it serves an HTTP API of its own over the index of `--index`: searches
    as JSON, events of users, its health, metrics, OpenAPI, and a page for people at /ui. With the embedded store, which
    has no API to pass on, that is all it serves.

    Examples:

        connector gateway --cluster http://localhost:9200                          # all passes through

        connector gateway --set 'gateway.indexes={products: {mode: auto}}'         # searches of products are reranked

        connector gateway --cluster http://localhost:9200 --index products --api-port 9281   # and POST /v1/search, /ui

        connector gateway --cluster embedded:./connector-store                     # POST /v1/search and /ui alone
    """
    if context.invoked_subcommand:
        return
    settings = shared.read(
        **{f"gateway__{name}": value for name, value in asdict(flags).items()}, log__format=log_format
    )
    from connector.logs import configure_logging

    with needs("gateway", "connector gateway"):
        from connector.gateway.serve import serve
    configure_logging(settings.log)
    say_when_stopped(SERVED)
    serve(settings)


class ProxyKind(StrEnum):
    """The proxies that a configuration is made for."""

    NGINX = "nginx"
    ENVOY = "envoy"


@gateway_app.command()
@with_flag_groups
def proxy_config(
    proxy: Annotated[ProxyKind, typer.Argument(help="Which proxy stands in front.")],
    flags: SettingsFlags,
    listen: Annotated[int, typer.Option(min=1, max=65_535, help="The port that the proxy listens on.")] = 9200,
    gateway: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The gateway as the proxy reaches it; when not given, at gateway.host and gateway.port."
        ),
    ] = None,
) -> None:
    """Print a proxy's configuration: searches of gateway.indexes go to the gateway, all else straight to the cluster.

    If the gateway is away, the cluster answers the searches too.

    Examples:

        connector gateway proxy-config nginx --cluster http://10.0.0.1:9200 > /etc/nginx/conf.d/search.conf

        connector gateway proxy-config envoy --gateway http://10.0.0.5:9280 --listen 80
    """
    from connector.gateway.proxy_config.envoy import envoy_config
    from connector.gateway.proxy_config.nginx import nginx_config
    from connector.gateway.proxy_config.routes import read_routes

    routes = read_routes(flags.read(), listen=listen, gateway=gateway)
    print((nginx_config if proxy is ProxyKind.NGINX else envoy_config)(routes), end="")
