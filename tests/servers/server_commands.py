"""What bin/elasticsearch and bin/opensearch start in the end: the server itself, without the Java programs before it.

Those look at the version, the key store and the options, and take as much of the processor as a third of the server's
own start. Elasticsearch is told by its launcher, on stdin, what it would find in a key store: here it is told the same
without one."""

from __future__ import annotations

import hashlib
import pathlib
import secrets
import struct
from collections.abc import Mapping
from typing import Any

# the options are those of the launchers (SystemJvmOptions) and of config/jvm.options, without the logs of collections
_EITHER = """
-Xss1m -Djava.awt.headless=true -Dfile.encoding=UTF-8 -Djna.nosys=true -XX:-OmitStackTraceInFastThrow
-Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true -Dio.netty.recycler.maxCapacityPerThread=0
-Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true
-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1
"""
_OPENSEARCH = """
-Dopensearch.networkaddress.cache.ttl=60 -Dopensearch.networkaddress.cache.negative.ttl=10
-Dio.netty.allocator.numDirectArenas=0
"""
_OPENSEARCH_ON_JAVA_17 = """
-Djava.locale.providers=SPI,COMPAT -Djava.security.manager=allow
-Djava.util.concurrent.ForkJoinPool.common.threadFactory=org.opensearch.secure_sm.SecuredForkJoinWorkerThreadFactory
"""
_OPENSEARCH_ON_JAVA_21 = """
-Djava.locale.providers=SPI,CLDR --add-modules=jdk.incubator.vector -javaagent:agent/opensearch-agent.jar
--add-opens=java.base/java.nio=org.apache.arrow.memory.core,ALL-UNNAMED
"""
_ELASTICSEARCH = """
-Des.networkaddress.cache.ttl=60 -Des.networkaddress.cache.negative.ttl=10 -Dlog4j2.formatMsgNoLookups=true
-Des.distribution.type=zip -Des.java.type=ES_JAVA_HOME -XX:+EnableDynamicAgentLoading
-Djdk.attach.allowAttachSelf=true -XX:+ExitOnOutOfMemoryError
"""
_ELASTICSEARCH_ON_JAVA_17 = """
-Djava.locale.providers=SPI,COMPAT -Dorg.apache.lucene.vectorization.upperJavaFeatureVersion=17
-Des.entitlements.enabled=true
"""
_ELASTICSEARCH_ON_JAVA_21 = """
-Djava.locale.providers=CLDR -Dorg.apache.lucene.vectorization.upperJavaFeatureVersion=25
-Dorg.apache.lucene.store.defaultReadAdvice=normal --add-modules=jdk.incubator.vector
--add-opens=org.apache.lucene.core/org.apache.lucene.codecs.lucene99=org.elasticsearch.server
--add-opens=org.apache.lucene.core/org.apache.lucene.codecs.hnsw=org.elasticsearch.server
--add-opens=org.apache.lucene.core/org.apache.lucene.internal.vectorization=org.elasticsearch.server
--enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core,ALL-UNNAMED --illegal-native-access=deny
"""
# whom the bridge of the entitlements is open to
_SEE_THE_BRIDGE = ("org.elasticsearch.entitlement", "java.logging", "java.net.http", "java.naming", "jdk.net")
# packages that the entitlements of the newer servers look into
_SEEN_BY_ENTITLEMENTS = (
    "jdk.jlink/jdk.tools.jlink.internal",
    *(f"java.base/sun.net.www{part}" for part in ("", *(f".protocol.{name}" for name in
      ("ftp", "file", "jar", "http", "https", "mailto")))),
    "java.base/sun.nio.ch",
    *(f"java.base/jdk.internal.foreign{part}" for part in ("", ".abi", ".layout")),
    "java.net.http/jdk.internal.net.http",
    "jdk.jdi/com.sun.tools.jdi",
)  # fmt: skip


def elasticsearch_command(
    home: pathlib.Path, run: pathlib.Path, java: str, options: str, *, for_java_17: bool
) -> list[str]:
    """The server; it waits on stdin for `elasticsearch_arguments`, and ends where stdin does."""
    seen = () if for_java_17 else (f"--add-exports={package}=org.elasticsearch.entitlement"
                               for package in _SEEN_BY_ENTITLEMENTS)  # fmt: skip
    (bridge,) = home.glob("lib/entitlement-bridge/*.jar")
    return [
        f"{java}/bin/java",
        *(_EITHER + _ELASTICSEARCH + (_ELASTICSEARCH_ON_JAVA_17 if for_java_17 else _ELASTICSEARCH_ON_JAVA_21)).split(),
        *seen,
        f"--patch-module=java.base={bridge}",
        f"--add-exports=java.base/org.elasticsearch.entitlement.bridge={','.join(_SEE_THE_BRIDGE)}",
        f"-Des.path.home={home}",
        f"-Djava.io.tmpdir={run / 'tmp'}",
        *options.split(),
        *("--module-path", f"{home}/lib"),
        *(f"--add-modules={module}" for module in ("jdk.net", "jdk.management.agent", "ALL-MODULE-PATH")),
        *("-m", "org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch"),
    ]


def elasticsearch_arguments(home: pathlib.Path, run: pathlib.Path, settings: Mapping[str, Any], **kept: str) -> bytes:
    """What the launcher writes to the server's stdin (ServerArgs): neither a daemon nor quiet, no file for its number,
    a key store with the entries `kept`, the settings, and the folders of its configuration and its logs."""
    entries = {"keystore.seed": secrets.token_urlsafe(15)} | kept
    whole = {"path.home": str(home), **settings}
    return b"".join(
        (
            bytes(3),
            _text("org.elasticsearch.common.settings.KeyStoreWrapper"),
            struct.pack(">i??", 7, False, False),  # its format; no password, nothing that is encrypted
            _length(len(entries)),
            *(_text(name) + _entry(value.encode()) for name, value in entries.items()),
            bytes(1),  # it is not closed
            _length(len(whole)),
            *(_text(name) + _value(value) for name, value in whole.items()),
            _text(str(run / "config")),
            _text(str(run / "logs")),
        )
    )


def _value(value: Any) -> bytes:
    """A setting's: text, or a list of it."""
    if isinstance(value, list):
        return bytes([7]) + _length(len(value)) + b"".join(map(_value, value))
    return bytes(1) + _text(str(value).lower() if isinstance(value, bool) else str(value))


def _entry(value: bytes) -> bytes:
    digest = hashlib.sha256(value).digest()
    return _length(len(value)) + value + _length(len(digest)) + digest


def _text(value: str) -> bytes:
    return _length(len(value)) + value.encode("ascii")


def _length(value: int) -> bytes:
    """Seven bits a byte, the least first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def opensearch_command(
    home: pathlib.Path, run: pathlib.Path, java: str, options: str, *, for_java_17: bool
) -> list[str]:
    """The server; to be started in its home, by which it names its agent."""
    places = {"path.home": home, "path.conf": run / "config", "distribution.type": "zip", "bundled_jdk": "false"}
    return [
        f"{java}/bin/java",
        *(_EITHER + _OPENSEARCH + (_OPENSEARCH_ON_JAVA_17 if for_java_17 else _OPENSEARCH_ON_JAVA_21)).split(),
        f"-Djava.io.tmpdir={run / 'tmp'}",
        *options.split(),
        *(f"-Dopensearch.{name}={value}" for name, value in places.items()),
        *("-cp", f"{home}/lib/*", "org.opensearch.bootstrap.OpenSearch"),
    ]
