"""What the engines say, word for word as they said it, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from connector.clusters.failures import explain_denial, explain_error, refusal
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable
from connector.settings.sections import ClusterSettings

SETTINGS = ClusterSettings(url="https://search.example:9200")


def security(reason: str, **more: str) -> dict[str, Any]:
    return {"error": {"type": "security_exception", "reason": reason} | more, "status": 403}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "action [indices:data/read/search] is unauthorized for user [ann] with effective roles [a,b] on indices "
            "[kb], "
            "this action is granted by the index privileges [read,all]",
            (
                "user [ann] may not read index 'kb' (indices:data/read/search); grant one of the index privileges "
                "read, all"
            ),
        ),
        (
            "action [indices:data/write/bulk[s]] is unauthorized for API key id [x1] of user [ann] on indices [kb], "
            "this action is granted by the index privileges [create_doc,index]",
            "API key id [x1] of user [ann] may not write to index 'kb' (indices:data/write/bulk[s]); "
            "grant one of the index privileges create_doc, index",
        ),
        (
            "action [indices:data/write/bulk] is unauthorized for user [ann] with effective roles [a], "
            "this action is granted by the index privileges [index]",
            (
                "user [ann] may not write to index 'named' (indices:data/write/bulk); grant one of the index "
                "privileges index"
            ),
        ),
        (
            "action [cluster:monitor/health] is unauthorized for user [ann] with effective roles [a], "
            "this action is granted by the cluster privileges [monitor,manage,all]",
            "user [ann] may not do cluster:monitor/health; grant one of the cluster privileges monitor, manage, all",
        ),
        (
            "no permissions for [indices:admin/mappings/get] and User [name=ann, backend_roles=[], "
            "requestedTenant=null]",
            "user [ann] may not read the mapping of index 'named' (indices:admin/mappings/get); "
            "grant the permission indices:admin/mappings/get",
        ),
        (
            "no permissions for [indices:data/write/bulk[s], indices:data/write/index] and User [name=ann, "
            "backend_roles=[x], requestedTenant=null]",
            "user [ann] may not write to index 'named' (indices:data/write/bulk[s], indices:data/write/index); "
            "grant the permission indices:data/write/bulk[s], indices:data/write/index",
        ),
    ],
)
def test_a_missing_privilege_is_named_with_what_grants_it(reason: str, words: str) -> None:
    error = refusal(SETTINGS, 403, security(reason), asker="the configured API key", index="named")

    assert isinstance(error, AccessDenied)
    assert str(error) == f"https://search.example:9200: {words}; docs/how-to/secure.md has roles to copy"


@pytest.mark.parametrize(
    "body",
    [
        security("current license is non-compliant for [field and document level security]"),
        {"Message": "User: anonymous is not authorized to perform: es:ESHttpGet"},
        "<html>Forbidden</html>",
        {},
    ],
    ids=str,
)
def test_another_refusal_is_told_in_its_own_words(body: Any) -> None:
    error = refusal(SETTINGS, 403, body, asker="the caller's API key", index="kb")
    reason = body if isinstance(body, str) else body.get("Message", body.get("error", {}).get("reason", "refused"))

    assert isinstance(error, AccessDenied)
    assert str(error) == f"https://search.example:9200 forbids this to the caller's API key: {reason} (HTTP 403)"


def test_a_block_is_no_want_of_a_privilege() -> None:
    block = {"type": "cluster_block_exception", "reason": "index [kb] blocked by: [FORBIDDEN/8/index write (api)];"}

    error = refusal(SETTINGS, 403, {"error": block}, asker="the configured API key")

    assert isinstance(error, ClusterUnavailable)
    assert "takes no writes" in str(error)


@pytest.mark.parametrize(
    ("credentials", "asker", "words"),
    [
        (
            "API key: api key is expired",
            "the caller's API key",
            "no longer accepts the caller's API key: api key is expired; make a new one",
        ),
        (
            "API key: api key [x] has been invalidated",
            "the configured API key (cluster.api_key)",
            (
                "no longer accepts the configured API key (cluster.api_key): api key [x] has been invalidated; make a "
                "new one"
            ),
        ),
        (
            "API key: unable to find apikey with id x",
            "the caller's API key",
            (
                "does not accept the caller's API key: unable to find apikey with id x; check it, and whether it has "
                "expired"
            ),
        ),
        (
            "oauth2 token: invalid token",
            "the caller's bearer token",
            (
                "does not accept the caller's bearer token: oauth2 token: invalid token; check it, and whether it has "
                "expired"
            ),
        ),
    ],
)
def test_credentials_that_are_not_accepted_say_why(credentials: str, asker: str, words: str) -> None:
    body = security("unable to authenticate", additional_unsuccessful_credentials=credentials)

    error = refusal(SETTINGS, 401, body, asker=asker)

    assert (str(error), error.status) == (f"https://search.example:9200 {words}", 401)


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_any_other_status_is_a_refusal(status: int) -> None:
    error = refusal(SETTINGS, status, {"error": "no"}, asker="")

    assert type(error) is ClusterError
    assert error.status == status


@pytest.mark.parametrize(
    "reason", ["", "no permissions", "action [x] is unauthorized", "[" * 10_000 + "no permissions for ["]
)
def test_what_is_not_understood_is_left_as_it_is(reason: str) -> None:
    assert explain_denial(reason, index="kb") is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"error": {"reason": "all shards failed", "caused_by": {"caused_by": {"reason": "deep"}}}},
            "deep (HTTP 500)",
        ),
        ({"error": "no handler"}, "no handler (HTTP 500)"),
        ("<html>", "<html> (HTTP 500)"),
        ({}, "refused (HTTP 500)"),
        (None, "refused (HTTP 500)"),
    ],
)
def test_an_engines_error_is_told_in_its_own_words(body: Any, words: str) -> None:
    assert explain_error(body, 500) == words
