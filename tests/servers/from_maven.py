"""Files that Maven fetches, kept for every run of the tests."""

from __future__ import annotations

import os
import pathlib
import subprocess

CACHE = pathlib.Path(os.environ.get("ENGINES_CACHE", "/var/tmp/search-engines"))  # readable for every uid
MVN = ["mvn", "-B", "-q", "-ntp", "-Dstyle.color=never"]
DEPENDENCY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"


def run_maven(*arguments: str) -> None:
    """Without the second compiler, which takes more of the processor than a run this short gets back."""
    options = f"{os.environ.get('MAVEN_OPTS', '')} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    subprocess.run([*MVN, *arguments], env=os.environ | {"MAVEN_OPTS": options}, check=True, stdout=2)


def download(group: str, artifact: str, version: str) -> pathlib.Path:
    """One zip from Maven Central, cached."""
    target = CACHE / "zips" / f"{artifact}-{version}.zip"
    if not target.exists():
        run_maven(
            f"{DEPENDENCY}:copy", f"-Dartifact={group}:{artifact}:{version}:zip", f"-DoutputDirectory={target.parent}"
        )
    return target
