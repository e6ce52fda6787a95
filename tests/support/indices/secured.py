"""Users, keys and tokens of a secured engine, made with its superuser's credentials, and the roles of
examples/security."""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from connector.settings.sections import ClusterSettings

ROLES = Path(__file__).parents[3] / "examples" / "security"
OPENSEARCH_API = "/_plugins/_security/api"


@dataclass(frozen=True)
class Secured:
    """A secured engine. What is made here carries the name of one index, and goes with the engine."""

    kind: str
    superuser: ClusterSettings
    secrets: list[str] = field(default_factory=list)

    @property
    def anonymous(self) -> ClusterSettings:
        """The way to the engine, without credentials."""
        return ClusterSettings(url=self.superuser.url, ca_cert=self.superuser.ca_cert)

    def settings(self, **credentials: Any) -> ClusterSettings:
        """The way to the engine with credentials of any kind; https from the private CA."""
        return ClusterSettings.model_validate(self.anonymous.model_dump() | credentials)

    def call(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        """The reply to the superuser's request. OpenSearch keeps all roles in one document, and all users in another:
        of two tests that write at once, it refuses one, which writes again."""
        reply = self._client.request(method, path, json=body)
        while reply.status_code == 409 and path.startswith(OPENSEARCH_API):
            reply = self._client.request(method, path, json=body)
        assert reply.status_code == expect if expect else reply.is_success, f"{path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    def role(self, name: str, index: str) -> dict[str, Any]:
        """A role of examples/security, for another index than kb."""
        text = re.sub(r"\bkb\b", index, (ROLES / self.kind / f"{name}.json").read_text())
        found: dict[str, Any] = json.loads(text)
        return found

    def add_user(self, name: str, *roles: dict[str, Any]) -> ClusterSettings:
        """A user of exactly these roles."""
        password = self._secret()
        names = [f"{name}-{at}" for at in range(len(roles))]
        for role_name, role in zip(names, roles, strict=True):
            self._put("role", role_name, role)
            if self.kind == "opensearch":
                self._put("rolesmapping", role_name, {"backend_roles": [name]})
        held = {"roles": names} if self.kind == "elasticsearch" else {"backend_roles": [name]}
        self._put("user", name, {"password": password} | held)
        return self.settings(username=name, password=password)

    def add_key(self, role: dict[str, Any] | None = None, **more: Any) -> dict[str, str]:
        """An API key of Elasticsearch: id, api_key, encoded."""
        body: dict[str, Any] = {"name": "test"} | more | ({"role_descriptors": {"test": role}} if role else {})
        key: dict[str, str] = self.call("POST", "/_security/api_key", body)
        self.secrets.extend((key["api_key"], key["encoded"]))
        return key

    def add_token(self, user: ClusterSettings) -> str:
        """A bearer token that stands for a user: an OAuth token of Elasticsearch, a JWT of OpenSearch."""
        assert user.username
        if self.kind == "elasticsearch":
            assert user.password
            asked = {"username": user.username, "password": user.password.get_secret_value()}
            token = self.call("POST", "/_security/oauth2/token", {"grant_type": "password"} | asked)["access_token"]
        else:
            token = self.sign({"sub": user.username, "roles": user.username})
        self.secrets.append(token)
        return str(token)

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWT that OpenSearch takes."""
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": "HS512", "typ": "JWT"}, claims))
        return f"{signed}.{_base64url(hmac.digest(self._jwt_key, signed.encode(), 'sha512'))}"

    @cached_property
    def _jwt_key(self) -> bytes:
        """The key of tokens, of which OpenSearch is told."""
        key = secrets.token_bytes(64)
        config = self.call("GET", f"{OPENSEARCH_API}/securityconfig")["config"]
        config["dynamic"]["authc"]["jwt_auth_domain"] = {
            "http_enabled": True,
            "order": 0,
            "http_authenticator": {
                "type": "jwt",
                "challenge": False,
                "config": {
                    "signing_key": base64.b64encode(key).decode(),
                    "jwt_header": "Authorization",
                    "roles_key": "roles",
                    "subject_key": "sub",
                },
            },
            "authentication_backend": {"type": "noop", "config": {}},
        }
        self.call("PUT", f"{OPENSEARCH_API}/securityconfig/config", config)
        return key

    def _put(self, object_kind: str, name: str, body: dict[str, Any]) -> None:
        folders = {"role": "roles", "user": "internalusers", "rolesmapping": "rolesmapping"}
        path = f"{OPENSEARCH_API}/{folders[object_kind]}" if self.kind == "opensearch" else f"/_security/{object_kind}"
        self.call("PUT", f"{path}/{name}", body)

    def _secret(self) -> str:
        made = f"{secrets.token_urlsafe(16)}-Aa1"  # OpenSearch judges passwords
        self.secrets.append(made)
        return made

    @cached_property
    def _client(self) -> httpx.Client:
        """One for all requests: a connection of its own for each costs the engine more than the request."""
        assert self.superuser.username
        assert self.superuser.password
        return httpx.Client(
            base_url=self.superuser.url,
            auth=(self.superuser.username, self.superuser.password.get_secret_value()),
            verify=ssl.create_default_context(cafile=self.superuser.ca_cert),
            timeout=60,
        )


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
