"""Secured engines that do not accept who comes, or whom we must not trust: what is said then."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from engine_security import make_certificates
from support.indices.secured import Secured
from support.indices.secured_jobs import assert_no_secret, variables
from support.programs.command import Launcher, error_line
from support.servers.proxy import Proxy

from connector.clusters.connect import connect
from connector.errors import AccessDenied, ConnectorError, SettingsError, TlsError
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live


def refused(secured: Secured, case: str) -> ClusterSettings:
    """Credentials that the engine does not accept."""
    user = secured.superuser.username
    match case:
        case "no credentials":
            return secured.anonymous
        case "wrong password":
            return secured.settings(username=user, password="wrong-secret-words")
        case "no such user":
            return secured.settings(username="nobody", password="wrong-secret-words")
        case "wrong token":
            return secured.settings(bearer_token="wrong-secret-words")
        case "expired token":
            return secured.settings(bearer_token=secured.sign({"sub": "ann", "roles": "x", "exp": 1}))
        case "key of another engine":
            return secured.settings(api_key="d3Jvbmc6c2VjcmV0LXdvcmRz")
        case "wrong key":
            return secured.settings(api_key=f"{secured.add_key()['id']}:wrong-secret-words-22")
        case "expired key":
            key = secured.add_key(expiration="1ms")
            time.sleep(0.2)
            return secured.settings(api_key=key["encoded"])
        case "invalidated key":
            key = secured.add_key()
            secured.call("DELETE", "/_security/api_key", {"ids": [key["id"]]})
            return secured.settings(api_key=key["encoded"])
    raise AssertionError(case)


BOTH = ("elasticsearch", "opensearch")
REFUSED = {
    "no credentials": (BOTH, "asks for credentials .*; set cluster.api_key, cluster.username and cluster.password, or"),
    "wrong password": (BOTH, "does not accept the configured user name and password .*; check both"),
    "no such user": (BOTH, "does not accept the configured user name and password .*; check both"),
    "wrong token": (BOTH, "does not accept the configured bearer token .*; check it, and whether it has expired"),
    "expired token": (("opensearch",), "does not accept the configured bearer token .*whether it has expired"),
    "key of another engine": (("opensearch",), "does not accept the configured API key .*OpenSearch takes no API keys"),
    "wrong key": (("elasticsearch",), r"does not accept the configured API key .*invalid credentials for API key"),
    "expired key": (
        ("elasticsearch",),
        "no longer accepts the configured API key .*api key is expired; make a new one",
    ),
    "invalidated key": (("elasticsearch",), "no longer accepts .*has been invalidated; make a new one"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_credentials_that_are_not_accepted_are_told_apart(
    secured: Secured, case: str, launcher: Launcher, tmp_path: Path
) -> None:
    kinds, words = REFUSED[case]
    if secured.kind not in kinds:
        return
    settings = refused(secured, case)

    with pytest.raises(AccessDenied, match=words) as caught:
        await connect(settings)
    done = launcher.run("index", "show", "--index", "kb", cwd=tmp_path, **variables(settings))

    assert caught.value.status == 401
    assert re.search(words, error_line(done))
    assert_no_secret(str(caught.value) + done.stderr, settings)


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CA that signed nothing."""
    return str(make_certificates(tmp_path_factory.mktemp("other") / "certs"))


def untrusted(secured: Secured, case: str, other_ca: str, folder: Path) -> dict[str, Any]:
    """What is wrong about the way to the engine."""
    port = secured.superuser.url.rsplit(":", 1)[1]
    (folder / "words.pem").write_text("these are words\n")
    return {
        "no CA": {"ca_cert": None},
        "another CA": {"ca_cert": other_ca},
        "no file": {"ca_cert": str(folder / "nowhere.pem")},
        "no PEM": {"ca_cert": str(folder / "words.pem")},
        "a folder": {"ca_cert": str(folder)},
        "another name": {"url": f"https://127.1:{port}"},
        "plain http": {"url": f"http://127.0.0.1:{port}"},
    }[case]


UNTRUSTED: dict[str, tuple[type[ConnectorError], str]] = {
    "no CA": (TlsError, "signed by a CA that is not trusted here .*; name that CA's PEM file in cluster.ca_cert"),
    "another CA": (
        TlsError,
        r"not signed by the CA in cluster.ca_cert '.*ca.crt' .*; name the PEM file of the CA that",
    ),
    "no file": (
        SettingsError,
        r"cluster.ca_cert '.*nowhere.pem' cannot be read \(No such file or directory\); name the PEM",
    ),
    "no PEM": (SettingsError, r"cluster.ca_cert '.*words.pem' holds no certificate; it must be a PEM file"),
    "a folder": (SettingsError, r"cannot be read \(Is a directory\); name the PEM file"),
    "another name": (TlsError, r"made out to other names \(.*127\.1.*\); put a name that it has into cluster.url"),
    "plain http": (TlsError, "speaks TLS; put https:// into cluster.url"),
}


@pytest.mark.parametrize("case", UNTRUSTED)
async def test_a_connection_that_cannot_be_trusted_is_told_of(
    secured: Secured, case: str, other_ca: str, launcher: Launcher, tmp_path: Path
) -> None:
    error, words = UNTRUSTED[case]
    wrong = untrusted(secured, case, other_ca, tmp_path)
    settings = secured.superuser.model_copy(update=wrong)

    with pytest.raises(error, match=words) as caught:
        await connect(settings)
    done = launcher.run("search", "refunds", "--index", "kb", cwd=tmp_path, **variables(settings))

    assert type(caught.value) is error
    assert re.search(words, error_line(done))
    assert_no_secret(str(caught.value) + done.stderr, settings)


async def test_https_to_a_server_without_tls_is_told_of(secured: Secured) -> None:
    async with Proxy("http://nowhere") as plain:
        with pytest.raises(TlsError, match=r"speaks no TLS; put http:// into cluster.url"):
            await connect(secured.superuser.model_copy(update={"url": plain.url.replace("http:", "https:")}))


async def test_without_verification_any_certificate_will_do(secured: Secured) -> None:
    cluster = await connect(secured.superuser.model_copy(update={"ca_cert": None, "verify_tls": False}))
    await cluster.close()

    assert cluster.engine.kind == secured.kind
