"""A Kafka broker for tests, a single node of the server's own jars from Maven Central: made once by each process of the
tests that asks for it, and ended with it. `TEST_KAFKA_BROKERS` names another one (HOST:PORT), which
makes topics, and lets everybody deny everybody what they like."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from engine_homes import java_home
from filelock import FileLock
from from_maven import CACHE, DEPENDENCY, run_maven
from loopback_ports import free_port

VARIABLE = "TEST_KAFKA_BROKERS"
VERSION = "4.1.0"
JAVA = 17
POM = f"""<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{VERSION}</version></dependency></dependencies></project>"""
# small, and quick to start: the classes of a release need not be checked once more
JVM = [
    "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote",
]  # fmt: skip
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
num.network.threads=1
num.io.threads=2
background.threads=1
log.cleaner.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""
META = "version=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\nnode.id=1\ndirectory.id=Xy3tkmmcSXWfV4hKzHgQ5g\n"


@contextmanager
def running_kafka() -> Iterator[str]:
    """HOST:PORT of a broker."""
    if brokers := os.environ.get(VARIABLE):
        yield brokers
        return
    jars = _get_jars()
    folder = Path(tempfile.mkdtemp(prefix="kafka-"))
    broker, controller = free_port(), free_port()
    (folder / "data").mkdir()
    (folder / "data/meta.properties").write_text(META)
    properties = PROPERTIES.format(broker=broker, controller=controller, data=folder / "data")
    (folder / "server.properties").write_text(properties)
    java = [str(java_home(JAVA) / "bin/java"), *JVM, "-cp", f"{jars}/*", "kafka.Kafka"]
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with open(folder / "log", "w") as log:
        server = subprocess.Popen([*dies_with_us, *java, str(folder / "server.properties")], stdout=log, stderr=log)
    try:
        _wait(f"127.0.0.1:{broker}", server, folder / "log")
        yield f"127.0.0.1:{broker}"
    finally:
        server.kill()  # it has nothing to lose
        server.wait(120)
        shutil.rmtree(folder, ignore_errors=True)


def _get_jars() -> Path:
    """The folder with the server's jars, got once."""
    home = CACHE / f"kafka-{VERSION}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{home}.lock"):
        if not (home / "done").exists():
            home.mkdir(exist_ok=True)
            (home / "pom.xml").write_text(POM)
            goal = f"{DEPENDENCY}:copy-dependencies"
            pom = str(home / "pom.xml")
            run_maven("-f", pom, goal, f"-DoutputDirectory={home}/jars", "-DincludeScope=runtime")
            (home / "done").touch()
    return home / "jars"


def _wait(brokers: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 180
    client = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    while True:
        try:
            client.list_topics(timeout=1)
            return
        except KafkaException:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
