"""A Ray cluster on this machine, with nodes that can be lost, and an encoder that is lost when it is told to be. What a
job does not need of a cluster is left out: each of its processes costs a second."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray._private.node import Node
from ray.cluster_utils import Cluster
from support.programs.plugins import installed, write_package
from support.runs.patience import PATIENCE_S

from connector.settings.sections import ClusterSettings, Settings

LEAN: dict[str, Any] = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
# `marks` is a folder: the first process that finds no `killed` in it kills itself; one on the node that is to be lost
# leaves `on_doomed` there, and then waits for its end. With `waits_s` the others wait for that: a node that is slow to
# start would find nothing left to encode
ENCODER = """
import os
import signal
import time
from pathlib import Path
import numpy as np
from connector.schema import EncoderFingerprint

class Encoder:
    def __init__(self, settings, options):
        self.pause_s = float(options.get("pause_s", 0))
        self.marks = options.get("marks")
        self.dies = options.get("dies", False)
        self.waits_s = float(options.get("waits_s", 0))
        self.calls = 0
        self.fingerprint = EncoderFingerprint("fragile", "1", 4, 64)
    def encode(self, texts):
        self.calls += 1
        if self.marks and self.calls > 1:
            self.be_lost(Path(self.marks))
        time.sleep(self.pause_s * len(texts))
        return np.array([self.encode_query(text) for text in texts], dtype=np.float32).reshape(len(texts), 4)
    def be_lost(self, marks):
        if os.environ.get("DOOMED_NODE"):
            (marks / "on_doomed").touch()
            time.sleep(600)
        end = time.monotonic() + self.waits_s
        while not (marks / "on_doomed").exists() and time.monotonic() < end:
            time.sleep(0.05)
        if self.dies:
            try:
                (marks / "killed").touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)
    def encode_query(self, text):
        vector = np.array([1 + len(text), text.count("a"), text.count("7"), 1], dtype=np.float32)
        return vector / np.linalg.norm(vector)
    def token_offsets(self, texts):
        return [[(0, len(text))] if text else [] for text in texts]
"""


@dataclass
class RayNodes:
    """The cluster: its first node, and others that can be lost."""

    cluster: Cluster
    doomed: Any = None

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add_doomed_node(self) -> None:
        """A node on which the encoder waits for its end."""
        self.doomed = self.cluster.add_node(num_cpus=1, env_vars={"DOOMED_NODE": "1"}, **LEAN)

    def lose_node(self) -> None:
        """Kill all processes of that node, and wait for their end."""
        self.cluster.remove_node(self.doomed, allow_graceful=False)


@contextmanager
def ray_nodes(folder: Path, *, processors: int) -> Iterator[RayNodes]:
    """A node whose processes know the encoder."""
    entry = {"hybrid_search_connector.encoders": {"fragile": "fragile:Encoder"}}
    write_package(folder, "fragile-encoder", "1", entry, {"fragile.py": ENCODER})
    with installed(folder), pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(":")]))
        environment.setenv("RAY_worker_niceness", "0")  # else what is tested waits for all other tests
        environment.setattr(Node, "start_api_server", lambda *args, **options: None)  # the dashboard's
        cluster = Cluster()
        try:
            cluster.add_node(wait=False, num_cpus=processors, object_store_memory=100_000_000, **LEAN)
            cluster.wait_for_nodes(PATIENCE_S)
            yield RayNodes(cluster)
        finally:
            cluster.shutdown()


def ray_settings(cluster: ClusterSettings, index: str, **given: Any) -> Settings:
    sections = {
        "cluster": {"url": cluster.url},
        "index": {"name": index},
        "fields": {"text": {"title": 2.0, "text": 1.0}, "metadata": {"year": "integer"}},
        "encoder": {"kind": "fragile"},
        "ingest": {"group_documents": 12, "writers": 2},
    }
    return Settings.model_validate(sections | given)


async def appeared(mark: Path, other: asyncio.Future[Any] | None = None) -> None:
    """Wait until there is such a file, or until the other thing ends."""
    while not (mark.exists() or (other and other.done())):
        await asyncio.wait([other] if other else [asyncio.create_task(asyncio.sleep(0.05))], timeout=0.05)
