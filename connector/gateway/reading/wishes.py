"""What a caller wishes for one request, by the header `X-Rerank`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from connector.gateway.exchange import RERANK_KEY, Headers
from connector.gateway.reading.not_recognised import NotRecognised


@dataclass(frozen=True, slots=True)
class Wishes:
    """`mode` and `pipeline` in place of the settings'; `fresh`: nothing that is remembered of an order."""

    mode: Literal["bounded", "union"] | None = None
    pipeline: str = ""
    fresh: bool = False


def read_wishes(headers: Headers, pipelines: Collection[str]) -> Wishes:
    """The words of the header, with commas. Raises NotRecognised for `off`, and for a pipeline that there is not."""
    values = [value.decode("latin-1") for key, value in headers if key.lower() == RERANK_KEY]
    mode: Literal["bounded", "union"] | None = None
    pipeline, fresh = "", False
    for word in filter(None, (word.strip() for word in ",".join(values).split(","))):
        if word == "off":
            raise NotRecognised("off")
        if word == "bounded":
            mode = "bounded"
        elif word == "union":
            mode = "union"
        elif word == "fresh":
            fresh = True
        elif word in pipelines:
            pipeline = word
        else:
            raise NotRecognised("unknown pipeline")
    return Wishes(mode, pipeline, fresh)
