"""Where the processes of a job tell how far they are, and hear that it is to stop. A board that is lost loses nothing
of the account: it is for the bar, and for the reason of a stop."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ASK_TIMEOUT_S = 5.0


class _BoardActor:
    """Counts so far, and the first reason to stop."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._parts: dict[int, dict[str, int]] = {}
        self._reason: str | None = None
        self._denied = False

    def add(self, counts: dict[str, int]) -> None:
        for name, number in counts.items():
            self._counts[name] = self._counts.get(name, 0) + number

    def put(self, part: int, counts: dict[str, int]) -> None:
        self._parts[part] = counts

    def stop(self, reason: str, denied: bool) -> None:
        if self._reason is None:
            self._reason, self._denied = reason, denied

    def state(self) -> tuple[dict[str, int], str | None, bool]:
        total = Counter(self._counts)
        for counts in self._parts.values():
            total.update(counts)
        return dict(total), self._reason, self._denied


class Board:
    """The board as every process sees it. No call raises: a job does not end because its bar is gone. It is on the node
    of the process that began the job, so that the loss of another node takes nothing from it."""

    def __init__(self) -> None:
        self._home = ray.get_runtime_context().get_node_id()
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_BoardActor)
        at_home = NodeAffinitySchedulingStrategy(self._home, soft=False)
        self._actor: Any = actor.options(scheduling_strategy=at_home).remote()

    def add(self, **counts: int) -> None:
        with contextlib.suppress(RayError):
            self._actor.add.remote({name: number for name, number in counts.items() if number})

    def put(self, part: int, counts: dict[str, int]) -> None:
        """The counts of a part of the job, in place of those that it told before."""
        with contextlib.suppress(RayError):
            self._actor.put.remote(part, counts)

    def stop(self, reason: str, *, denied: bool = False) -> None:
        """`denied`: the credentials were not accepted."""
        with contextlib.suppress(RayError):
            ray.get(self._actor.stop.remote(self.located(reason), denied), timeout=ASK_TIMEOUT_S)

    def located(self, reason: str) -> str:
        """A reason with the node that it is of, where that is another than the job's own."""
        if ray.get_runtime_context().get_node_id() == self._home:
            return reason
        return f"{reason} (on the Ray node {ray.util.get_node_ip_address()})"

    def state(self) -> tuple[dict[str, int], str | None, bool]:
        """The counts so far, why the job is to stop (None: it is not), and whether credentials were not accepted."""
        with contextlib.suppress(RayError):
            counts, reason, denied = ray.get(self._actor.state.remote(), timeout=ASK_TIMEOUT_S)
            return counts, reason, denied
        return {}, None, False

    @property
    def stopping(self) -> bool:
        return self.state()[1] is not None
