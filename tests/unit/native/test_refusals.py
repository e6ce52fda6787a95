"""The words of refusals as the engines' sources have them; tests/live/native hears some of them."""

from __future__ import annotations

import re

import pytest

from connector.errors import AccessDenied, ClusterError
from connector.native.refusals import explain_opensearch, explain_trial

URL = "http://10.0.0.5:8787"


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (
            f"Connector URL is not matching the trusted connector endpoint regex, URL is: {URL}/v2/rerank",
            r'"plugins.ml_commons.trusted_connector_endpoints_regex": ["^http://10\\.0\\.0\\.5:8787/.*$"]',
        ),
        ("Remote inference host name has private ip address: 10.0.0.5", "connector.private_ip_enabled"),
        (
            "No eligible node found to execute this request. It's best practice to ...",
            "eligible_node_role.remote_model",
        ),
        ("User doesn't have privilege to perform this operation on this model", "--model-group ID"),
        ("The name you provided is already being used by a model group with ID: x.", "--model-group ID"),
        ("no handler found for uri [/_plugins/_ml/connectors/_search] and method [POST]", "has no ML Commons"),
        ("provided parameter for combination technique is not supported", "the same search.legs.NAME.weight"),
        ("provided normalization technique is not supported", "search.fusion.normalisation=minmax"),
        ("ML encryption master key not initialized yet", "run the same command again"),
    ],
)
def test_a_refusal_of_opensearch_says_what_to_do(reason: str, advice: str) -> None:
    explained = explain_opensearch(ClusterError(reason, status=400), URL)

    assert reason in str(explained)
    assert advice in str(explained)
    assert explained.status == 400


def test_the_pattern_that_is_advised_lets_the_worker_be_called_and_nobody_else() -> None:
    message = str(explain_opensearch(ClusterError("not matching the trusted connector endpoint regex"), URL))
    pattern = re.search(r'regex": \["(.*?)"\]', message)

    assert pattern
    regex = re.compile(pattern[1].replace("\\\\", "\\"))
    assert regex.fullmatch(f"{URL}/v2/rerank")
    assert not regex.fullmatch("http://10.0.0.50:8787/v2/rerank")
    assert not regex.fullmatch("http://10x0.0.5:8787/v2/rerank")


def test_a_missing_privilege_stays_what_it_is() -> None:
    explained = explain_opensearch(AccessDenied("user [ann] may not do it", status=403), URL)

    assert isinstance(explained, AccessDenied)
    assert "ml_full_access" in str(explained)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "Error from remote service: {'message': 'bring one of the keys'} (HTTP 401); check it",
            "which refused: {'message'",
        ),
        ("Error communicating with remote model: Connection refused (HTTP 500)", "--worker-url"),
        ("Remote inference host name has private ip address: 10.0.0.5 (HTTP 400)", "private_ip_enabled"),
    ],
)
def test_a_worker_that_cannot_be_called_is_told_from_one_that_refuses(reason: str, words: str) -> None:
    assert words in str(explain_trial(ClusterError(reason, status=500), URL))


def test_what_is_not_known_stays_as_it_was_said() -> None:
    error = ClusterError("something else", status=500)

    assert explain_opensearch(error, URL) is error
    assert explain_trial(error, URL) is error
