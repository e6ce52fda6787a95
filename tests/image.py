"""Build the image of docker/ and run docker/compose.yaml with it, as it stands: the worker, an ingest job on the
example corpus, and a search, against a real engine in a container of its own.

Run by `make test-image`, with Docker or podman. Where no registry is reached, debootstrap makes the base, and the
engine that engines.py puts together stands in for the official image. Prints what each step took and the image's
size."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.programs.compose import Compose
from support.programs.containers import Containers, find_containers, make_base

ROOT = Path(__file__).parents[1]
DOCKER, CORPUS, SERVERS = ROOT / "docker", ROOT / "examples" / "corpus", ROOT / "tests" / "servers"
sys.path.insert(0, str(SERVERS))
import engine_homes  # noqa: E402

LOOK = ROOT / "tests" / "support" / "programs" / "inside_image.py"
NAME = "hybrid-search-connector"
PROJECT = "connector-test-image"
ENGINE, WORKER = "elasticsearch", "worker"  # services of compose.yaml
MAX_BYTES = 1_000_000_000  # without torch
HEALTHY_WITHIN_S = 300
ENDED_BY_SIGTERM = 143


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is taken down first
    with tempfile.TemporaryDirectory(prefix="connector-image-") as folder, timed("all of it"):
        containers = find_containers(options.uv, Path(folder))
        with timed("base"):
            python = make_base(containers, find(r"^ARG PYTHON=(.+)", DOCKER / "Dockerfile"))
        image = f"{NAME}:test-torch" if options.torch else f"{NAME}:test"
        if not options.built:
            with timed("build"):
                build_image(containers, image, python, Path(folder), options.torch)
        with timed("engine's image"):
            make_engine(containers, python)
        check_image(containers, image, with_torch=bool(options.torch))
        run_stack(containers, image)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default="", help="build it with torch: cpu, pypi, cu128, ... (the image's TORCH)")
    parser.add_argument("--built", action="store_true", help="run the image that the last call has built")
    parser.add_argument("--uv", type=Path, default=Path(sys.executable).parent / "uv", help="runs podman-compose")
    return parser.parse_args()


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Say how long a step took."""
    started = time.monotonic()
    yield
    print(f"{step:<16}{time.monotonic() - started:6.0f} s", flush=True)


def build_image(containers: Containers, image: str, python: str, folder: Path, torch: str) -> None:
    """With this machine's certificates, and with its package index where it has one of its own."""
    arguments = ["--file", DOCKER / "Dockerfile", "--tag", image, "--build-arg", f"PYTHON={python}"]
    certificates = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    if Path(certificates).exists():
        arguments += ["--secret", f"id=ca,src={certificates}"]
    if index := os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL"):
        file = folder / "index_url"
        file.touch(mode=0o600)
        file.write_text(index, encoding="utf-8")
        arguments += ["--secret", f"id=index_url,src={file}"]
    if torch:
        arguments += ["--build-arg", f"TORCH={torch}"]
    containers.build(*arguments, ROOT)


def make_engine(containers: Containers, python: str) -> None:
    """The engine's official image, or the engine of engines.py under its name."""
    version = find(rf"image: {ENGINE}:\$\{{\w+:-(.+?)\}}", DOCKER / "compose.yaml")
    if not containers.has(f"{ENGINE}:{version}"):
        containers.build(
            "--tag",
            f"docker.io/library/{ENGINE}:{version}",
            "--build-arg",
            f"BASE=python:{python}-slim",
            "--build-arg",
            f"KIND={ENGINE}",
            "--build-context",
            f"java={engine_homes.java_home(engine_homes.needed_java(ENGINE, version))}",
            "--build-context",
            f"home={engine_homes.assemble_home(ENGINE, version)}",
            SERVERS / "image",
        )


def find(pattern: str, file: Path) -> str:
    """What the one group of the pattern holds in a file."""
    (found,) = re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


def check_image(containers: Containers, image: str, *, with_torch: bool) -> None:
    """It is small, says what it is, and has nothing that it does not need."""
    size = int(containers.run("image", "inspect", "--format", "{{.Size}}", image))
    print(f"{'size':<16}{size / 1e6:6.0f} MB", flush=True)
    labels = json.loads(containers.run("image", "inspect", "--format", "{{json .Config.Labels}}", image))
    program = ["--entrypoint", "python", image, "-c", LOOK.read_text(encoding="utf-8")]
    inside = json.loads(containers.run("run", "--rm", "--user", "0", "--network", "none", *program))
    with_it = ["torch", "transformers", "sentence_transformers"] if with_torch else []

    assert with_torch or size < MAX_BYTES, f"the image has {size / 1e6:.0f} MB"
    assert labels["org.opencontainers.image.title"] == NAME, labels
    assert inside["installed"] == ["connector", "onnxruntime", *with_it], inside
    assert with_torch or inside["not_compiled"] == [], inside
    assert inside["left_by_building"] == [], inside


def run_stack(containers: Containers, image: str) -> None:
    """What compose.yaml starts, step by step, since podman before 4.6 cannot wait for health."""
    compose = Compose(containers, PROJECT, ENGINE, image)
    compose.clear()
    try:
        with timed("healthy"):
            compose.run("up", "--detach", "--no-build", ENGINE, WORKER)
            compose.wait_until_healthy(ENGINE, within_s=HEALTHY_WITHIN_S)
            compose.wait_until_healthy(WORKER, within_s=HEALTHY_WITHIN_S)
        check_rights(compose)
        with timed("ingest"):
            counts = ingest(compose)
        documents = len((CORPUS / "corpus.jsonl").read_text(encoding="utf-8").splitlines())
        assert counts["written"] == documents, counts
        assert ingest(compose)["unchanged"] == documents
        with timed("search"):
            found = json.loads(compose.job("search"))
        check_answer(found)
        compose.job("search", "doctor")
        with timed("stop"):
            compose.run("stop", WORKER)
        code = compose.inspect(WORKER, "{{.State.ExitCode}}")
        assert code == str(ENDED_BY_SIGTERM), f"the worker was told to stop and ended with {code}"
    except BaseException:
        print(compose.logs(), file=sys.stderr)
        raise
    finally:
        compose.clear()


def ingest(compose: Compose) -> dict[str, int]:
    """What the job counted, from the report that it leaves in its volume."""
    compose.job("ingest")
    report = json.loads(
        compose.run("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "ingest", "/data/report.json")
    )
    counts: dict[str, int] = report["counts"]
    return counts


def check_rights(compose: Compose) -> None:
    """The worker's container may do nothing but work."""
    inside = json.loads(compose.execute(WORKER, "python", "-c", LOOK.read_text(encoding="utf-8")))

    assert "init" in inside["first_process"], inside
    assert inside["user"] == 10001, inside
    assert inside["capabilities"] == 0, inside
    assert not inside["may_gain_privileges"], inside
    assert inside["read_only"], inside
    assert inside["writable"] == ["/tmp"], inside


def check_answer(found: dict[str, Any]) -> None:
    """All hits were reranked, and the first is what the judgments call the right document."""
    queries = map(json.loads, (CORPUS / "queries.jsonl").read_text(encoding="utf-8").splitlines())
    (query_id,) = [query["_id"] for query in queries if query["text"] == found["query"]]
    best = found["hits"][0]["doc_id"]

    assert found["degraded"] == [], found["degraded"]
    assert len(found["hits"]) == 10, found
    assert {hit["stage"] for hit in found["hits"]} == {"local"}, found
    assert f"{query_id}\t{best}\t3" in (CORPUS / "qrels.tsv").read_text(encoding="utf-8").splitlines(), best


if __name__ == "__main__":
    main()
