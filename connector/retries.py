"""When to try again, and when to stop asking: pauses with jitter, Retry-After, a circuit breaker."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from connector.errors import CircuitOpen

T = TypeVar("T")
MAX_DOUBLINGS = 30  # a job that tries for ever comes beyond what a float holds
MAX_PAUSE_S = 30.0
MAX_RETRY_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class Retry:
    """So many `attempts` at what fails with one of these errors, with pauses between them; but none of `never`.

    A pause takes `first_s` and more, or as long as the error's `retry_after_s` asks for."""

    errors: tuple[type[Exception], ...]
    attempts: int
    first_s: float
    allows: Callable[[float], bool] = lambda wait_s: True  # whether it is worth waiting so long
    on_retry: Callable[[Exception, float], None] = lambda error, wait_s: None
    never: tuple[type[Exception], ...] = ()  # of the errors, those that no second attempt helps

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """What the work gives. Raises its last error."""
        left = pauses(self.first_s, self.attempts)
        while True:
            try:
                return await work()
            except self.never:
                raise
            except self.errors as error:
                wait_s = self._wait_s(error, next(left))
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)

    def run_blocking(self, work: Callable[[], T]) -> T:
        """The same for work that blocks."""
        left = pauses(self.first_s, self.attempts)
        while True:
            try:
                return work()
            except self.never:
                raise
            except self.errors as error:
                wait_s = self._wait_s(error, next(left))
                if wait_s is None:
                    raise
            time.sleep(wait_s)

    def _wait_s(self, error: Exception, pause_s: float | None) -> float | None:
        """How long to wait before the next attempt; None where there is none."""
        if pause_s is None:
            return None
        asked_s: float | None = getattr(error, "retry_after_s", None)
        wait_s = max(pause_s, asked_s or 0.0)
        if not self.allows(wait_s):
            return None
        self.on_retry(error, wait_s)
        return wait_s


def pauses(first_s: float, attempts: int) -> Iterator[float | None]:
    """Seconds to wait after each of so many tries: doubling up to MAX_PAUSE_S, with jitter; None after the last."""
    for attempt in range(attempts - 1):
        yield random.uniform(0.5, 1.0) * min(first_s * 2 ** min(attempt, MAX_DOUBLINGS), MAX_PAUSE_S)
    yield None


def read_retry_after(header: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or a date; None where there is none that makes sense.

    RFC 9110, 10.2.3. A server that asks for longer than MAX_RETRY_AFTER_S is asked again after that."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        if moment.tzinfo is None:
            return None
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if seconds == seconds else None


class CircuitBreaker:
    """Leaves a part alone after `failures` failures in a row, and asks it again, one call at a time, after `rest_s`.

    Each further failure doubles the rest, up to `max_rest_s`; one success ends it. For one event loop.
    M. Nygard, Release It!, 2007."""

    def __init__(
        self, name: str, *, failures: int, rest_s: float, max_rest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._allowed = failures
        self._first_rest_s = self._rest_s = rest_s
        self._max_rest_s = max_rest_s
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether a call would be turned away now."""
        return self._failures >= self._allowed and (self._trying or self._clock() < self._open_until)

    @contextmanager
    def watch(self, is_failure: Callable[[Exception], bool]) -> Iterator[None]:
        """Around one call. Raises CircuitOpen while the part rests.

        An exception for which `is_failure` is true counts; any other outcome shows that the part answers; a cancelled
        call shows nothing."""
        if self.is_open:
            left_s = max(self._open_until - self._clock(), 0.0)
            raise CircuitOpen(
                f"{self._name} failed {self._failures} times in a row; it is left alone for {left_s:.1f} s more"
            )
        trial = self._trying = self._failures >= self._allowed
        try:
            yield
        except Exception as error:  # any: `is_failure` judges it, and it is raised again
            if is_failure(error):
                self._fail()
            else:
                self._recover()
            raise
        else:
            self._recover()
        finally:
            if trial:
                self._trying = False

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= self._allowed:
            self._open_until = self._clock() + self._rest_s
            self._rest_s = min(self._rest_s * 2, self._max_rest_s)

    def _recover(self) -> None:
        self._failures = 0
        self._rest_s = self._first_rest_s
