"""`pretty`: a reply indented as the engines do it, token by token, so that numbers and texts keep their spelling."""

from __future__ import annotations

import re

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
STEP = b"  "


def indent(data: bytes) -> bytes:
    """The same JSON over several lines, with the line end that the engines close with."""
    out: list[bytes] = []
    depth, opened = 0, False  # opened: the token before was a bracket that opens
    for token in TOKEN.findall(data):
        if token in (b"}", b"]"):
            depth -= 1
            out += [b" ", token] if opened else [b"\n", STEP * depth, token]
            opened = False
            continue
        if opened:
            out += [b"\n", STEP * depth]
        opened = token in (b"{", b"[")
        if opened:
            depth += 1
            out.append(token)
        elif token == b",":
            out += [b",\n", STEP * depth]
        elif token == b":":
            out.append(b" : ")
        else:
            out.append(token)
    return b"".join(out) + b"\n"
