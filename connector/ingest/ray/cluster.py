"""A Ray cluster for a job: one that runs, or processes of this machine that end with the job."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import ray
import ray.data
from ray._private import auto_init_hook

from connector.errors import ConnectorError, RayUnavailable
from connector.event_loop import in_own_thread
from connector.ingest.ray.nodes import check_nodes
from connector.settings.ray import RaySettings

log = logging.getLogger(__name__)
LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
REACH_S = 5.0
TOKEN = "where it asks for a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to that of `ray get-auth-token` there"
BLOCK_BYTES = 1  # a parcel is a block of its own: see parcels.py


@dataclass(frozen=True, slots=True)
class RayRoom:
    """What a job may take of a cluster."""

    encoders: int
    shards: int


@asynccontextmanager
async def connected(settings: RaySettings, location: str | None = None) -> AsyncIterator[RayRoom]:
    """The cluster for as long as the block lasts; a connection that was there before stays. Raises RayUnavailable, also
    where one of its nodes cannot take part in a job, with the source at `location`."""
    _check_address(settings.address)
    _be_quiet()
    auto_init_hook.enable_auto_connect = False  # else work that was left as it is would start a cluster anew
    begun = not ray.is_initialized()
    # one thread for both: the kernel ends the processes of a local cluster with the thread that started them
    with ThreadPoolExecutor(1, thread_name_prefix="ray") as thread:
        loop = asyncio.get_running_loop()
        if begun:
            await loop.run_in_executor(thread, _connect, settings)
        try:
            if settings.address != LOCAL:
                await in_own_thread(check_nodes, location)
            processors = float(ray.cluster_resources().get("CPU", 1.0))
            encoders = settings.encoders or max(int(processors / settings.encoder_cpus) - 1, 1)
            yield RayRoom(encoders, settings.shards or 4 * encoders)
        finally:
            if begun:
                await loop.run_in_executor(thread, ray.shutdown)


def explain_end(error: Exception) -> str:
    """Why the work on a cluster ended, in a line; of an error that is none of ours the log has all."""
    if isinstance(error, ConnectorError):
        return str(error)
    log.error("the work on the Ray cluster ended", exc_info=error)
    reason = getattr(error, "cause", None) or error
    first_line = next((line for line in str(reason).splitlines() if line.strip()), "")
    return f"the work on the Ray cluster ended ({type(reason).__name__}: {first_line}); run it again to go on"


def _connect(settings: RaySettings) -> None:
    try:
        if settings.address == LOCAL:
            encoders = settings.encoders or max(os.cpu_count() or 1, 1)
            ray.init(
                address=LOCAL,  # else a cluster that this machine is a node of is taken
                num_cpus=int(encoders * settings.encoder_cpus) + 1,  # one for those that read and write
                object_store_memory=settings.object_store_bytes,
                include_dashboard=False,
                configure_logging=False,
                log_to_driver=False,
            )
        else:
            ray.init(address=settings.address, configure_logging=False, log_to_driver=False)
    except Exception as error:  # any: Ray raises a bare one where its processes are not up within 30 s
        log.debug("Ray cannot be used", exc_info=True)
        if settings.address == LOCAL:
            raise RayUnavailable(
                f"Ray did not start on this machine ({error}); where it has too much to do, run it again later, or "
                "without --ray"
            ) from error
        raise RayUnavailable(
            f"no Ray cluster at {settings.address} ({error}); start one with: ray start --head; {TOKEN}"
        ) from error


def _check_address(address: str | None) -> None:
    """Raise RayUnavailable for an address of no use, at once: Ray itself tries such a one for long."""
    if address in (None, LOCAL, AUTO):
        return
    if address.startswith(CLIENT):
        raise RayUnavailable(
            f"{address} is the address of Ray's client, which runs no job of Ray Data; run the command on a node of "
            "the cluster, with --ray auto (from elsewhere: ray job submit -- connector ...)"
        )
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()
    except ValueError:
        raise RayUnavailable(f"{address!r} is no address of a Ray cluster; give HOST:PORT, auto or local") from None
    except OSError as error:
        raise RayUnavailable(
            f"no Ray cluster at {address} ({error.strerror or error}); start one with: ray start --head"
        ) from error


def _be_quiet() -> None:
    """The job has a bar and a report of its own."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = BLOCK_BYTES
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its errors come to us, and we say them
