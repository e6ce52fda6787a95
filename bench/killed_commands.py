"""Commands of the connector that are killed at random moments and started again, and how they ended."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from support.programs.command import Finished, Launcher, Running

LONGEST_S = 3_600.0  # of one run that nobody kills


class Stoppable:
    """What goes on in the background until it is stopping to end."""

    def __init__(self, start: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        self._stop = asyncio.Event()
        self._task = asyncio.ensure_future(start(self._stop))

    async def end(self) -> None:
        self._stop.set()
        await self._task


class KilledCommands:
    """Runs commands in a folder. `soon_s` is the time within which most kills come, counted from a command's start;
    one in ten comes at any moment of a run, as long as those of its kind have taken."""

    def __init__(self, launcher: Launcher, folder: Path, seed: int, soon_s: float) -> None:
        self._launcher = launcher
        self._folder = folder
        self._chance = random.Random(seed)
        self._soon_s = soon_s
        self._usual_s: dict[str, float] = {}
        self.kills: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()  # those that were not killed, by command and exit code
        self.seconds: dict[str, float] = {}  # the longest run of each that nobody killed
        self.faults: list[str] = []  # what a command said that ended as none should

    async def run_killed(
        self,
        name: str,
        *arguments: str,
        codes: tuple[int, ...],
        kills: float,
        is_done: Callable[[], bool] | None = None,
    ) -> None:
        """Run a command again and again, at first killed at random moments, after so many kills to its end; or until
        `is_done`."""
        most = self.kills[name] + kills
        while is_done is None or not is_done():
            is_last = self.kills[name] >= most
            with self._started(name, arguments) as running:
                await self._end(name, running, codes, LONGEST_S if is_last else self._moment(name))
            if is_last and is_done is None:
                return

    async def finish(self, name: str, *arguments: str, codes: tuple[int, ...]) -> Finished | None:
        """Run a command to its end."""
        with self._started(name, arguments) as running:
            return await self._end(name, running, codes, LONGEST_S)

    async def run_until(self, stop: asyncio.Event, name: str, *arguments: str, least: float, kills: int) -> None:
        """Start a command that goes on until it is told to end, kill it and start it again, until `stop` is set. After
        at least so many kills of it, and so many of all commands, it is left alone."""
        while not stop.is_set():
            with self._started(name, arguments) as running:
                ended, stopping = asyncio.wrap_future(running.ended), asyncio.create_task(stop.wait())
                is_killed = self.kills[name] < least or self.kills.total() < kills
                moment_s = self._moment(name) if is_killed else None
                either: list[asyncio.Future[Any]] = [ended, stopping]
                await asyncio.wait(either, timeout=moment_s, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                if not ended.done() and not stop.is_set():
                    await self._kill(name, running)
                elif not ended.done():
                    running.kill(signal.SIGTERM)
                    await ended
                    self._note(name, running, (128 + signal.SIGTERM,))
                else:
                    self._note(name, running, ())

    @contextlib.contextmanager
    def _started(self, name: str, arguments: tuple[str, ...]) -> Iterator[Running]:
        running = self._launcher.start(*arguments, cwd=self._folder)
        try:
            yield running
        finally:
            if not running.ended.done():
                running.kill()

    async def _end(self, name: str, running: Running, codes: tuple[int, ...], moment_s: float) -> Finished | None:
        ended, began = asyncio.wrap_future(running.ended), asyncio.get_running_loop().time()
        await asyncio.wait([ended], timeout=moment_s)
        if not ended.done():
            await self._kill(name, running)
            return None
        took_s = asyncio.get_running_loop().time() - began
        self._usual_s[name] = took_s
        self.seconds[name] = round(max(self.seconds.get(name, 0.0), took_s), 1)
        return self._note(name, running, codes)

    async def _kill(self, name: str, running: Running) -> None:
        running.kill()
        code = await asyncio.wrap_future(running.ended)
        if code == -signal.SIGKILL:
            self.kills[name] += 1

    def _note(self, name: str, running: Running, codes: tuple[int, ...]) -> Finished:
        done = running.wait()
        self.ends[f"{name}: {done.code}"] += 1
        if done.code not in codes:
            self.faults.append(f"{name} ended with {done.code}: {done.stderr[-2_000:]}")
        return done

    def _moment(self, name: str) -> float:
        usual_s = self._usual_s.get(name, self._soon_s)
        is_any = self._chance.random() < 0.1
        return self._chance.uniform(0.0, usual_s if is_any else min(usual_s, self._soon_s))
