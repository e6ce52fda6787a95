"""What every node of a Ray cluster needs for a job. It is asked before anything is made."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, NodeDiedError, RayError, TaskUnschedulableError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from connector.errors import RayUnavailable

ANSWER_S = 60.0  # in which a node starts a process
PACKAGE = "hybrid-search-connector"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a process on a node finds there."""

    version: str
    has_source: bool


def look_around(path: str | None) -> NodeFacts:
    """What there is where this runs, with whether there is such a path."""
    return NodeFacts(version(PACKAGE), path is None or Path(path).exists())


def check_nodes(location: str | None) -> None:
    """Raise RayUnavailable where a node cannot take part in a job, for the source at `location` if there is one. A node
    that is lost meanwhile is none of the job."""
    path = path_of(location)
    for address, answer in _ask_all(path):
        try:
            facts: NodeFacts = ray.get(answer, timeout=ANSWER_S)
        except (NodeDiedError, WorkerCrashedError, TaskUnschedulableError):
            continue
        except GetTimeoutError:
            raise RayUnavailable(f"the Ray node {address} starts no process; see `ray status`") from None
        except RayError as error:
            raise RayUnavailable(
                f"the Ray node {address} cannot run the connector ({_last_line(error)}); install "
                f"{PACKAGE}[ray] {version(PACKAGE)} where its `ray start` runs"
            ) from error
        check_facts(address, facts, path)


def check_facts(address: str, facts: NodeFacts, path: str | None) -> None:
    """Raise RayUnavailable where the node at that address lacks something."""
    if facts.version != version(PACKAGE):
        raise RayUnavailable(
            f"the Ray node {address} has the connector {facts.version}, and this process {version(PACKAGE)}; install "
            "the same on both"
        )
    if not facts.has_source:
        raise RayUnavailable(f"the Ray node {address} has no {path}; put the source under that path on every node")


def path_of(location: str | None) -> str | None:
    """The whole path of a source that is a file or a folder here; nodes have working directories of their own."""
    path = Path(location or "").expanduser()
    return str(path.absolute()) if location and path.exists() else None


def _ask_all(path: str | None) -> list[tuple[str, Any]]:
    """The address of each node that runs tasks, with its answer to come."""
    look = ray.remote(num_cpus=0, max_retries=0)(look_around)
    asked = []
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU"):
            affinity = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked.append((node["NodeManagerAddress"], look.options(scheduling_strategy=affinity).remote(path)))
    return asked


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
