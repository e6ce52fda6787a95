"""What builds and runs containers on this machine: Docker where it runs, else podman, which Debian has as a package;
and images that stand in where no registry is reached.

Only Python's own library, so that `make test-image` needs no environment."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("podman", "runc", "catatonit", "netavark", "aardvark-dns", "iptables", "debootstrap")
PODMANS_OPEN_FILES = 1_048_576  # what podman gives a container unasked, and cannot where this process has less
STAND_IN = "stand-in"  # the label of an image that was made here under another's name
LEAN = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt", "var/lib/apt/lists")
NONE = """neither Docker nor podman can be had here: {reason}.
Start Docker with Compose 2.21 or newer, or install podman 4.3 or newer.
On Debian, as root: apt-get install --no-install-recommends {packages}"""


class CommandFailed(Exception):
    """A command ended with another exit code than 0."""


@dataclass(frozen=True, slots=True)
class Containers:
    """A program that builds and runs containers, and the one that reads compose files for it."""

    program: str
    compose: tuple[str, ...]
    environ: Mapping[str, str]

    def run(self, *arguments: str | Path) -> str:
        """What a command of the program prints. Raises CommandFailed."""
        return run([self.program, *arguments], environ=self.environ)

    def succeeds(self, *arguments: str | Path) -> bool:
        try:
            self.run(*arguments)
        except CommandFailed:
            return False
        return True

    def build(self, *arguments: str | Path) -> None:
        """Build an image and show what is done. On this machine's network, since it may be all that there is."""
        offline = ["--pull=never", "--isolation=chroot", "--network=host"] if self.program == "podman" else []
        done = subprocess.run(
            [self.program, "build", *offline, *arguments],
            env={**self.environ, "DOCKER_BUILDKIT": "1"},
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"{self.program} build ended with {done.returncode}")

    def has(self, image: str) -> bool:
        """Whether a registry's image is here, or can be had; not one that stands in for it."""
        if self.succeeds("pull", "--quiet", image):
            return True
        found = self.succeeds("image", "inspect", image)
        return found and STAND_IN not in self.run("image", "inspect", "--format", "{{json .Config.Labels}}", image)


def run(command: Sequence[str | Path], *, environ: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises CommandFailed, with its last words."""
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        words = "\n".join([*done.stdout.splitlines()[-20:], *done.stderr.splitlines()[-40:]])
        raise CommandFailed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{words}")
    return done.stdout


def find_containers(uv: Path, folder: Path) -> Containers:
    """Docker where it runs, else podman, which is installed where that can be done. `folder` keeps podman's
    configuration. Ends the program where there is neither."""
    docker = Containers("docker", ("docker", "compose"), os.environ)
    if shutil.which("docker") and docker.succeeds("info") and docker.succeeds("compose", "version"):
        return docker
    if not shutil.which("podman"):
        _install_podman()
    file = folder / "containers.conf"
    file.write_text(_podman_configuration(), encoding="utf-8")
    podman_compose = (str(uv), "tool", "run", "--quiet", "podman-compose")
    return Containers("podman", podman_compose, os.environ | {"CONTAINERS_CONF": str(file)})


def _install_podman() -> None:
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit(NONE.format(reason="installing it takes root and apt-get", packages=" ".join(PACKAGES)))
    print("installing podman and what it needs, from this machine's own packages", file=sys.stderr)
    try:
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *PACKAGES])
    except CommandFailed as error:
        raise SystemExit(NONE.format(reason=error, packages=" ".join(PACKAGES))) from error


def _podman_configuration() -> str:
    """Names between containers need netavark; and a container may have no more than this process may give."""
    lines = ["[network]", 'network_backend = "netavark"'] if Path("/usr/lib/podman/netavark").exists() else []
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < PODMANS_OPEN_FILES:
        lines += ["[containers]", f'default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]']
    return "".join(f"{line}\n" for line in lines)


def make_base(containers: Containers, wanted: str) -> str:
    """The version of Python in a base image `python:VERSION-slim` that is here: the wanted one out of a registry, else
    one that debootstrap makes of this machine's Debian."""
    if containers.has(f"python:{wanted}-slim"):
        return wanted
    if containers.program != "podman" or os.getuid() != 0 or not shutil.which("debootstrap"):
        raise SystemExit(f"python:{wanted}-slim cannot be pulled; making a base takes podman, debootstrap and root")
    version = run(["apt-cache", "show", "--no-all-versions", "python3"]).split("\nVersion: ")[1].split("-")[0]
    version = ".".join(version.split(".")[:2])
    if containers.succeeds("image", "inspect", f"python:{version}-slim"):
        return version
    print(f"no registry is reached: making python:{version}-slim of Debian's packages", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        run(["debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", _suite(), root])
        for name in LEAN:
            shutil.rmtree(root / name, ignore_errors=True)
        for name in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):
            (root / name).mkdir(parents=True)
        run(["tar", "--directory", root, "--create", "--file", f"{folder}.tar", "."])
    try:
        containers.run(
            "import", "--change", f"LABEL {STAND_IN}=yes", f"{folder}.tar", f"docker.io/library/python:{version}-slim"
        )
    finally:
        Path(f"{folder}.tar").unlink()
    return version


def _suite() -> str:
    about = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return about["VERSION_CODENAME"].strip('"')
