"""An index with vectors beside it, followed: what applications write is in both within seconds.

Reading is all that is needed. So the highest number that a search shows tells where to go on, and some before it are
looked at again, since writes may become visible after later ones. A sweep now and then compares all, and takes out what
is gone."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from connector.backfill.beside import BesideJob, BesideReport
from connector.errors import ClusterUnavailable, ConnectorError
from connector.retries import pauses
from connector.settings.follow import FollowSettings
from connector.settings.sections import IngestSettings

log = logging.getLogger(__name__)


async def follow_beside(
    job: BesideJob, stop: asyncio.Future[str], settings: FollowSettings, patience: IngestSettings
) -> BesideReport:
    """Until `stop` resolves, or an error that no patience helps with."""
    started, swept, stopped = time.monotonic(), None, None
    waits = pauses(patience.backoff_s, sys.maxsize)
    while not stop.done() and stopped is None:
        wait_s: float | None = settings.every_s
        began = time.monotonic()
        try:
            is_sweep = swept is None or began - swept >= settings.sweep_s
            await job.take_pass(is_sweep=is_sweep)
            swept = began if is_sweep else swept
            waits = pauses(patience.backoff_s, sys.maxsize)
        except ClusterUnavailable as error:
            wait_s = next(waits)
            log.warning("%s; trying again in %.1f s", error, wait_s)
        except ConnectorError as error:
            stopped = str(error)
            break
        await asyncio.wait([stop], timeout=wait_s)
    return job.report(started, stopped or (stop.result() if stop.done() else None))
