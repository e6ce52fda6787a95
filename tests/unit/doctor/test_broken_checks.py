"""A check that breaks off: the others go on, and the log says where."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.http_server import QuietHandler, listening

from connector.doctor.checkup import examine
from connector.settings.load import load

ROOT = {"version": {"number": "9.3.0"}, "tagline": "You Know, for Search"}


class Between(QuietHandler):
    """Something that answers for a cluster, in JSON of its own."""

    def do_GET(self) -> None:
        body = json.dumps(ROOT if self.path == "/" else {"status": "fine"}).encode()
        self.send_response(200)
        for name, value in (("x-elastic-product", "Elasticsearch"), ("content-type", "application/json"),
                            ("content-length", str(len(body)))):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_HEAD = do_GET


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with listening(Between) as listened:
        yield listened


async def test_a_check_that_breaks_off_ends_no_other_and_is_not_put_on_the_cluster_alone(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"cluster.url": url, "search.rerank": "off", "encoder.url": "http://127.0.0.1:9"}
    with caplog.at_level(logging.DEBUG, "connector.doctor"):
        findings = {found.check: found for found in await examine(load(environ={}, overrides=given))}
    health = findings["health"]
    kept = [record.exc_text or "" for record in caplog.records if "the check of health broke off" in record.message]

    assert (health.status, health.seen) == ("fail", "the check broke off (KeyError: 'number_of_data_nodes')")
    assert "fault of the connector: connector doctor --set log.level=debug shows where" in health.advice
    assert "in judge_health" in "".join(kept)
    assert findings["encoder"].status == "fail"  # which was still looked at
