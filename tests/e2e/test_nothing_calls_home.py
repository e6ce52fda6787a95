"""No socket leaves the host but to what the settings name, and no library keeps a note of its user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from support.programs.command import environment
from support.programs.strace import addresses, leaves_the_host, watching
from support.runs.missing import skip_or_fail

from connector.no_telemetry import SWITCHES

NAMES_OF_CI = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "JENKINS_URL")  # where some of them keep silent by themselves
WITHOUT_STRACE = "there is no strace to see it by (Debian: apt-get install strace)"


def test_ingest_worker_and_search_speak_to_nobody_else(demo: Any) -> None:
    if demo.spoken_to is None:
        skip_or_fail(WITHOUT_STRACE)

    assert "127.0.0.1" in demo.spoken_to  # the worker
    assert {address for address in demo.spoken_to if leaves_the_host(address)} == set()


def test_a_call_to_elsewhere_is_seen_also_where_a_name_is_looked_up(tmp_path: Path) -> None:
    program = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.7', 9))"
    command = [*watching(tmp_path / "calls"), sys.executable, "-c", program]
    subprocess.run(command, check=True, timeout=240)
    if len(command) == 3:
        skip_or_fail(WITHOUT_STRACE)

    assert {address for address in addresses(tmp_path / "calls") if leaves_the_host(address)} == {"192.0.2.7"}


def test_libraries_that_would_tell_their_makers_do_not(tmp_path: Path) -> None:
    """Each of them keeps an id of its user at home, and would look for its maker's server."""
    program = (
        "import connector, onnx\n"
        "from connector.models.onnx.session import Session\n"
        "from onnx import helper\n"
        "from pathlib import Path\n"
        "x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.INT64, ['n', 'm']) for name in 'xy')\n"
        "graph = helper.make_graph([helper.make_node('Identity', ['x'], ['y'])], 'g', [x], [y])\n"
        "onnx.save(helper.make_model(graph, ir_version=8), 'g.onnx')\n"
        "Session(Path('g.onnx'), 'onnxruntime'), Session(Path('g.onnx'), 'openvino')\n"
    )
    calls, home = tmp_path / "calls", tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in environment().items() if name not in SWITCHES and name not in NAMES_OF_CI}
    variables = kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    command = [*watching(calls), sys.executable, "-c", program]

    subprocess.run(command, check=True, cwd=tmp_path, env=variables, timeout=240)

    assert list(home.rglob("*")) == []
    if calls.exists():
        assert {address for address in addresses(calls) if leaves_the_host(address)} == set()
