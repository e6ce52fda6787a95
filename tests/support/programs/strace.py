"""Whom a program and its children speak to, native code included, seen by strace (Linux)."""

from __future__ import annotations

import ipaddress
import re
import shutil
from pathlib import Path

CALLS = "connect,sendto,sendmsg,sendmmsg"
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def watching(calls: Path) -> list[str]:
    """What comes before a command so that its calls are written to the file; nothing where there is no strace."""
    program = shutil.which("strace")
    return [program, "--follow-forks", "--seccomp-bpf", f"--trace={CALLS}", f"--output={calls}"] if program else []


def addresses(calls: Path) -> frozenset[str]:
    """The addresses in the calls. A look-up of a name is there too: as the address of the server of names."""
    return frozenset(v4 or v6 for v4, v6 in ADDRESS.findall(calls.read_text()))


def leaves_the_host(address: str) -> bool:
    return not ipaddress.ip_address(address).is_loopback
