"""Whose credentials a request of the API, or of its page, brings along."""

from __future__ import annotations

from fastapi import Request
from pydantic import SecretStr

from connector.clusters.clients import service_credentials
from connector.credentials import Credentials
from connector.gateway.problems import ApiRefusal
from connector.settings.sections import Settings

CHALLENGE = {"www-authenticate": 'Basic realm="search", ApiKey, Bearer'}


def read_credentials(request: Request, settings: Settings) -> Credentials | None:
    """Who asks. Raises ApiRefusal where nobody does and the service has credentials of its own, which are not lent."""
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise ApiRefusal(400, "several-authorizations", "send one header Authorization, not several")
    if given:
        return Credentials(SecretStr(given[0].strip()))
    if service_credentials(settings.cluster):
        raise ApiRefusal(401, "no-credentials", "send the header Authorization that the cluster asks for", CHALLENGE)
    return None
