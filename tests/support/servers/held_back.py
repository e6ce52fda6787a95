"""An engine of one connection after the other, and who sends more than the other side takes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from support.gateway.gateways import WAIT_S

LARGE = bytes(range(251)) * 240_000  # 60 MB, more than all buffers on the way hold; a part that is lost or moved shows
HELD_S = 0.3  # who can send nothing for so long is held back


@contextmanager
def one_connection() -> Iterator[tuple[socket.socket, str]]:
    """What an engine listens on, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def send_until_held_back(connection: socket.socket, data: bytes, is_held: threading.Event) -> None:
    """Send it whole; once that goes no further, the other side hears of it and may begin to read."""
    rest = memoryview(data)
    connection.settimeout(HELD_S)
    try:
        while rest:
            rest = rest[connection.send(rest[:1_000_000]) :]
    except TimeoutError:
        is_held.set()
    connection.settimeout(WAIT_S)
    connection.sendall(rest)
