"""Why a request is not answered here, and goes on to the engine as it came. That is never an error."""

from __future__ import annotations


class NotRecognised(ValueError):
    """The request passes through; `reason` is a few words for a reply's header."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
