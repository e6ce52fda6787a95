"""Content codings: the one that the engines choose, and replies taken out of one and put into it."""

from __future__ import annotations

import gzip
import zlib

import pytest

from connector.errors import ClusterError
from connector.gateway.exchange import BufferedReply
from connector.gateway.reading.coding import IN_THREAD_BYTES, chosen_coding, decoded, encoded


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        *((text, b"gzip") for text in (b"gzip", b"gzip, deflate", b"deflate;q=0.5, gzip", b"br, gzip", b"x-gzip")),
        *((text, b"gzip") for text in (b"identity;q=1, gzip;q=0.5", b"gzip, *;q=0", b"gzip ; q=0.5")),
        *((text, b"deflate") for text in (b"deflate", b"deflate, gzip;q=0.5", b"deflate;q=0.5")),
        *((text, b"") for text in (b"", b"identity", b"br", b"zstd", b"*;q=0", b"gzip;q=0", b"GZIP", b"gzip;q=abc")),
        *((text, b"") for text in (b"*", b"snappy, gzip")),  # the engines take snappy, which is not ours to write
    ],
)
def test_the_engines_choice_is_known(accepted: bytes, chosen: bytes) -> None:
    assert chosen_coding(((b"accept-encoding", accepted),)) == chosen


def test_several_headers_are_one_list() -> None:
    assert chosen_coding(((b"Accept-Encoding", b"deflate;q=0.1"), (b"accept-Encoding", b"gzip"))) == b"gzip"
    assert chosen_coding(()) == b""


@pytest.mark.parametrize("size", [2, IN_THREAD_BYTES])
async def test_a_reply_is_coded_as_its_header_says(size: int) -> None:
    plain = b"x" * size
    for coding, unpack in ((b"gzip", gzip.decompress), (b"deflate", zlib.decompress)):
        headers = (b"content-type", b"a"), (b"content-encoding", coding)
        encoded_reply = await encoded(BufferedReply(200, headers, plain))
        back = decoded(encoded_reply)

        assert unpack(encoded_reply.body) == plain == back.body
        assert back.headers == ((b"content-type", b"a"),)


async def test_without_that_header_it_stays_as_it_is() -> None:
    plain = BufferedReply(200, (), b"{}")

    assert await encoded(plain) == plain == decoded(plain)


def test_a_coding_that_nobody_asked_for_is_an_error() -> None:
    for coding in (b"br", b"gzip"):
        with pytest.raises(ClusterError, match="coding"):
            decoded(BufferedReply(200, ((b"content-encoding", coding),), b"{}"))
