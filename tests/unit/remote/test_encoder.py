"""A server that is to encode has to describe an encoder."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from support.parts import serving

from connector.errors import WorkerError
from connector.remote.encoder import RemoteEncoder

FINGERPRINT = {"name": "m", "sha256": "0" * 64, "dims": 2, "max_tokens": 8}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"fingerprint": FINGERPRINT},
        {"fingerprint": {"name": "m"}, "tokenizer": "{}"},
        {"fingerprint": FINGERPRINT, "tokenizer": "{}"},
        {"fingerprint": FINGERPRINT, "tokenizer": 1},
    ],
    ids=str,
)
def test_a_server_that_describes_no_encoder_is_told_of(body: Any) -> None:
    app = Starlette(routes=[Route("/encoder", lambda request: JSONResponse(body))])

    with serving(app) as url, pytest.raises(WorkerError, match="describes no encoder; is a connector worker running"):
        RemoteEncoder(url, "m").token_offsets(["a deal"])
