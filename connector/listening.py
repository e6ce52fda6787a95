"""A socket that a server of ours listens on."""

from __future__ import annotations

import socket

from connector.errors import SettingsError


def bind(host: str, port: int, *, choose: str, is_shared: bool = False) -> socket.socket:
    """A bound socket, which does not listen yet; `is_shared`: other processes may bind the same port. Raises
    SettingsError where the address cannot be had; `choose` names what to choose otherwise."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay only where the protocol is named; else each reply on an open connection takes 40 ms
    # more
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"cannot listen on {host}:{port} ({error.strerror}); choose another {choose}") from error
    return listener
