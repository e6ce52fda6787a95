"""Every spelling of a cluster's URL that is right leads to it, on each engine."""

from __future__ import annotations

import pytest
from support.servers.proxy import Proxy

from connector.clusters.connect import connect
from connector.errors import IndexMissing
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("host", "prefix", "end"),
    [
        ("::1", "", ""),
        ("::1", "", "/"),
        ("127.0.0.1", "/search", ""),
        ("127.0.0.1", "/a/b", "/"),
        ("::1", "/search", ""),
    ],
)
async def test_an_address_or_a_path_is_taken_as_it_is_written(
    engine: ClusterSettings, host: str, prefix: str, end: str
) -> None:
    async with Proxy(engine.url, host=host, prefix=prefix) as proxy:
        cluster = await connect(ClusterSettings(url=proxy.url + end))
        try:
            with pytest.raises(IndexMissing):
                await cluster.count("no-such-index-here")
        finally:
            await cluster.close()

    assert [seen.path for seen in proxy.seen][-1].startswith(f"{prefix}/")
