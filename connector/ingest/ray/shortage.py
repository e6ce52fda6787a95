"""A cluster that has become too small for a job: what is on its way to a process that nothing can start again waits for
ever, and Ray says nothing of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import ray


class Shortage:
    """Whether a job waits for room that its cluster has not, since a node was lost or was never there."""

    def __init__(self, needed: Mapping[str, float], wait_s: float) -> None:
        self._needed = {name: number for name, number in needed.items() if number}
        self._wait_s = wait_s
        self._done: Any = None
        self._since = time.monotonic()

    def reason(self, done: Any) -> str | None:
        """Why the job is to end, if for `wait_s` nothing was done (`done` stayed as it is) and there was too little
        room for it."""
        now, lacking = time.monotonic(), self._lacking()
        if done != self._done or not lacking:
            self._since, self._done = now, done
            return None
        if now - self._since < self._wait_s:
            return None
        return f"the Ray cluster {lacking}, and no node came for {self._wait_s:g} s; run it again to go on without"

    def _lacking(self) -> str | None:
        has = ray.cluster_resources()
        for name, number in self._needed.items():
            if has.get(name, 0.0) < number:
                return f"has {has.get(name, 0.0):g} {name} and the job needs {number:g}"
        return None
