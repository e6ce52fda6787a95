"""Ports of the loopback that are free, and held for who is to listen there."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A port of the loopback on which nobody listens, and which the system gives to nobody else within the block, since
    it is bound here. Who binds it by its number and reuses addresses, as servers do, can listen there all the same.

    Only Linux lets them; elsewhere the port is let go before the block."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        if sys.platform != "linux":
            held.close()
        yield port


HELD = contextlib.ExitStack()


def free_port() -> int:
    """Such a port for as long as this process lasts: also while a server that was killed is started on it again."""
    return HELD.enter_context(held_port())
