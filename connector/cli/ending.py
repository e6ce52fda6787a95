"""SIGTERM and SIGINT while a job runs: the first lets it put away what it has, the second ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from connector.cli.console import stderr


def stop_on_signal(say: Callable[[str], None]) -> tuple[asyncio.Future[str], list[signal.Signals]]:
    """What a job is told to stop by, and the signal that did so, once one came. For the running event loop."""
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if received:
            stderr.show_cursor()  # which the bar hides
            os._exit(128 + number)
        received.append(number)
        say(f"{number.name}: writing what is encoded, then ending; once more to end at once")
        stop.set_result(f"{number.name} was received")

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    return stop, received
