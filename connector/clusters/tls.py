"""The TLS of the connections to a cluster: what they trust, and what it means when they fail."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from connector.errors import TlsError
from connector.settings.sections import ClusterSettings
from connector.tls import trust_for

PROBE_TIMEOUT_S = 5.0  # a busy server takes seconds for a handshake
# X509_V_ERR_* of OpenSSL
NOT_YET_VALID, EXPIRED, HOSTNAME_MISMATCH, IP_MISMATCH = 9, 10, 62, 64
UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})


def tls_context(settings: ClusterSettings) -> ssl.SSLContext:
    """What the connections to the cluster trust. Raises SettingsError for a file that is no PEM."""
    if not settings.verify_tls:
        return _trust_anyone()
    return trust_for(settings.url, settings.ca_cert, setting="cluster.ca_cert")


def explain_tls(settings: ClusterSettings, error: ssl.SSLError) -> TlsError:
    """The error that says what a failed handshake means, and what to do."""
    url = settings.url
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message
        match error.verify_code:
            case code if code in UNKNOWN_CA and settings.ca_cert:
                return TlsError(
                    f"the certificate of {url} is not signed by the CA in cluster.ca_cert {settings.ca_cert!r} "
                    f"({reason}); "
                    "name the PEM file of the CA that signed it"
                )
            case code if code in UNKNOWN_CA:
                return TlsError(
                    f"the certificate of {url} is signed by a CA that is not trusted here ({reason}); "
                    "name that CA's PEM file in cluster.ca_cert"
                )
            case code if code in (HOSTNAME_MISMATCH, IP_MISMATCH):
                return TlsError(
                    f"the certificate of {url} is made out to other names ({reason}); put a name that it has into "
                    "cluster.url"
                )
            case code if code in (EXPIRED, NOT_YET_VALID):
                return TlsError(
                    f"the certificate of {url} is not valid today ({reason}); renew it, or set this clock right"
                )
            case _:
                return TlsError(f"the certificate of {url} is not accepted ({reason})")
    if error.reason in NO_TLS or "record layer failure" in str(error):
        return TlsError(f"{url} speaks no TLS; put http:// into cluster.url, or the port of its TLS")
    reason = error.reason or (str(error).splitlines() or ["no reason given"])[0]
    return TlsError(f"the TLS handshake with {url} failed ({reason})")


async def speaks_tls(url: str) -> bool:
    """Whether a TLS server answers at the host and port of an http:// URL. Nothing else is sent to it."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, ssl=_trust_anyone())
    except (OSError, TimeoutError):  # ssl.SSLError is an OSError
        return False
    writer.transport.abort()  # to close politely may take the server half a minute
    return True


def _trust_anyone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
