"""Which certificates a connection trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi

from connector.errors import SettingsError


def trust_for(url: str, ca_cert: str | None, *, setting: str) -> ssl.SSLContext:
    """What `trust` gives, where the URL is https. With http there is nobody to trust, and no authorities are read,
    which takes 20 ms."""
    is_https = url.lower().startswith("https:")
    return trust(ca_cert, setting=setting) if is_https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trust(ca_cert: str | None, *, setting: str) -> ssl.SSLContext:
    """The CA in the PEM file and no other, or else what this machine and certifi trust.

    Host names are always checked, also where the host is an IP address. Raises SettingsError, naming the `setting`,
    for a file that is no PEM."""
    if ca_cert is None:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context
    *_, owner, _ = setting.split(".")  # cluster.ca_cert, rerankers.local.ca_cert
    try:
        return ssl.create_default_context(cafile=Path(ca_cert).expanduser())
    except ssl.SSLError as error:
        raise SettingsError(
            f"{setting} {ca_cert!r} holds no certificate; it must be a PEM file (-----BEGIN CERTIFICATE-----)"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{setting} {ca_cert!r} cannot be read ({error.strerror}); name the PEM file of the {owner}'s CA"
        ) from error


def check_certificate(cert: str | None, key: str | None, *, section: str) -> None:
    """Raise SettingsError, naming the settings of that section, where a certificate and its private key cannot be
    served with; neither is plain http."""
    if cert is None and key is None:
        return
    if cert is None or key is None:
        raise SettingsError(
            f"{section}.tls_cert and {section}.tls_key belong together; give both, or neither to serve plain http"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=b"")
    except ssl.SSLError as error:
        raise SettingsError(
            f"{section}.tls_cert {cert!r} and {section}.tls_key {key!r} are no certificate and its key "
            f"({error.reason or error}); "
            "both are PEM files"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{section}.tls_cert {cert!r} or {section}.tls_key {key!r} cannot be read ({error.strerror})"
        ) from error
