"""What an engine replies to a search of ours, and what comes that is no reply of an engine's."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connector.errors import ClusterError
from connector.gateway.exchange import BufferedReply
from connector.gateway.ordering.caller_client import CallerClient
from connector.gateway.reading.parameters import RequestKind
from connector.gateway.reading.raw_json import Raw
from connector.settings.sections import ClusterSettings

NOTHING_SHARED: Mapping[str, Raw] = {}


class NotAsked:
    """A sender; nothing is sent here."""

    async def ask(self, kind: RequestKind, body: bytes, more: bytes = b"") -> BufferedReply:
        raise AssertionError(kind)


def read(body: bytes) -> dict[str, object]:
    return CallerClient(NotAsked(), (), ClusterSettings(), NOTHING_SHARED).read(BufferedReply(200, (), body))


@pytest.mark.parametrize(
    "body",
    [
        *(b"<html>", b"", b"[]", b"{}", b'{"hits":7}', b'{"hits":{}}', b'{"hits":{"hits":null}}'),
        *(b'{"hits":{"hits":[1]}}', b'{"hits":{"hits":[{"_id":"p1"}]}}', b'{"hits":{"hits":[{"_score":"high"}]}}'),
    ],
)
def test_what_is_no_reply_to_a_search_is_an_error_of_the_cluster(body: bytes) -> None:
    with pytest.raises(ClusterError):
        read(body)


@pytest.mark.parametrize("score", [b"1.5", b"3", b"null"])
def test_hits_have_scores_or_none_where_the_engine_made_none(score: bytes) -> None:
    assert read(b'{"hits":{"hits":[{"_id":"p1","_score":%s}]}}' % score)
