"""Which backend runs a reranker fastest on this machine: measured once, then remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from connector.errors import MissingExtra, ModelError
from connector.extras import needs
from connector.models.backends import FORMS, Backend, exactness
from connector.models.cache import cache_folder
from connector.models.onnx.agreement import Agreement
from connector.models.versions import installed
from connector.whole_file import write_whole

MIN_GAIN = 1.2  # a less exact backend is taken where it is so many times as fast as the fastest of the more exact
log = logging.getLogger(__name__)


def find_fastest(identity: str, measure: Callable[[Backend], Agreement], *, original: Backend = "torch") -> Backend:
    """The backend for a model, whose weights and kind `identity` names. `measure` says how much faster than `original`
    another one is, or raises ModelError where it cannot be used."""
    file = _file(identity)
    if known := _remembered(file):
        return known
    with _alone(file):
        return _remembered(file) or _find(file, measure, original)


def _remembered(file: Path) -> Backend | None:
    if not file.exists():
        return None
    known: Backend = json.loads(file.read_text(encoding="ascii"))["backend"]
    return known


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Among all processes: those that measure side by side take each other's time, and what the first finds the others
    can read. Where nothing can be written nobody waits."""
    with needs("local", "measuring which backend is fastest"):
        from filelock import FileLock
    lock = FileLock(file.with_suffix(".lock"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _find(file: Path, measure: Callable[[Backend], Agreement], original: Backend) -> Backend:
    log.info("measuring which backend is fastest here, which takes a minute; the next start finds it in %s", file)
    speeds: dict[Backend, float] = {original: 1.0}
    for backend in FORMS:
        if backend == original:
            continue
        try:
            speeds[backend] = measure(backend).speedup
        except (ModelError, MissingExtra, OSError) as error:  # or the cache cannot be written to, as in a container
            log.info("not %s: %s", backend, error)
            log.debug("why not %s", backend, exc_info=True)
    best = choose(speeds)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps({"backend": best, "speeds": speeds}) + "\n")
    except OSError as error:
        log.warning("cannot remember the fastest backend (%s); the next start measures again", error)
    listed = ", ".join(f"{name} {times:.2f}" for name, times in speeds.items())
    log.info("fastest here: %s (times %s: %s)", best, original, listed)
    return best


def choose(speeds: dict[Backend, float]) -> Backend:
    """The fastest of those that are exact; of those in sixteen bits where it is so much faster that it is worth it; of
    those in eight bits where it is so much faster than that."""
    best = next(iter(speeds))  # the original
    for kinds, gain in (({""}, 1.0), ({":bf16"}, MIN_GAIN), ({":int8", ":openvino-int8"}, MIN_GAIN)):
        alike = [name for name in speeds if exactness(name) in kinds]
        fastest = max(alike, key=lambda name: speeds[name], default=best)
        best = fastest if speeds[fastest] >= gain * speeds[best] else best
    return best


def _file(identity: str) -> Path:
    """Under all that the speeds depend on."""
    machine = (_processor(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    made_by = [installed(name) for name in ("torch", "transformers", "onnxruntime")]
    return (
        cache_folder()
        / "fastest"
        / f"{hashlib.sha256(repr((identity, machine, made_by, tuple(FORMS))).encode()).hexdigest()[:16]}.json"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return "".join(line for line in dict.fromkeys(lines) if line.startswith(("model name", "flags", "Features")))
