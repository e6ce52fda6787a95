"""Several processes that share a port."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

RESTART_PAUSE_S = 1.0
log = logging.getLogger(__name__)


def share(work: Callable[..., None], *arguments: object, count: int) -> None:
    """Run the work in `count` processes until SIGINT or SIGTERM. One that dies is replaced; told to stop, all end in
    their own time, and this process by that signal."""
    context, is_stopping = multiprocessing.get_context("spawn"), threading.Event()
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        is_stopping.set()

    def start() -> SpawnProcess:
        process = context.Process(target=_run, args=(work, *arguments))
        process.start()
        return process

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    running = [start() for _ in range(count)]
    while not is_stopping.is_set():
        wait([process.sentinel for process in running], timeout=RESTART_PAUSE_S)
        for at, process in enumerate(running):
            if process.exitcode is not None and not is_stopping.wait(RESTART_PAUSE_S):
                log.warning("a process of the gateway ended (%s); another takes its place", process.exitcode)
                running[at] = start()
    for process in running:
        process.terminate()
    for process in running:
        process.join()
    for handled, handler in before.items():
        signal.signal(handled, handler)
    signal.raise_signal(received[0])


def _run(work: Callable[..., None], *arguments: object) -> None:
    """In a group of its own, since Ctrl-C means the parent, which tells its children; without it they end."""
    os.setpgrp()
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()
    work(*arguments)
