"""A caller's credentials become a header, and show themselves to nobody."""

from __future__ import annotations

import base64
import pickle
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connector import Credentials, SearchRequest
from connector.errors import CredentialsError

WORDS = st.text(min_size=6)
NAMES = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1)


def test_each_kind_becomes_its_header() -> None:
    assert Credentials.basic("ann", "p:w").header == {"authorization": "Basic " + base64.b64encode(b"ann:p:w").decode()}
    assert Credentials.bearer("a.b-c_d").header == {"authorization": "Bearer a.b-c_d"}
    assert Credentials.api_key("aWQ6a2V5").header == {"authorization": "ApiKey aWQ6a2V5"}


def test_an_api_key_is_the_same_encoded_and_as_a_pair() -> None:
    assert Credentials.api_key("id:key") == Credentials.api_key("aWQ6a2V5")


@given(NAMES, st.text(st.characters(exclude_categories=["Cs"])))
def test_names_and_passwords_arrive_as_they_are(username: str, password: str) -> None:
    (header,) = Credentials.basic(username, password).header.values()

    assert base64.b64decode(header.removeprefix("Basic ")).decode() == f"{username}:{password}"


@pytest.mark.parametrize("secret", ["zwei worte", "zeile\n", "\ttab", "ключ", "", "null\0", "a\u00a0b", "\ud800"])
def test_what_no_header_can_say_is_refused_without_repeating_it(secret: str) -> None:
    for make in (Credentials.bearer, Credentials.api_key):
        with pytest.raises(CredentialsError) as caught:
            make(secret)

        assert "was it read whole" in str(caught.value)
        assert not secret.strip() or secret.strip() not in str(caught.value)


@pytest.mark.parametrize("username", ["", "with:colon"])
def test_a_user_name_that_no_server_could_read_is_refused(username: str) -> None:
    with pytest.raises(CredentialsError, match="no colon"):
        Credentials.basic(username, "password")
    with pytest.raises(CredentialsError, match="half a surrogate pair"):
        Credentials.basic("ann", "\ud800")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8))
def test_nothing_shows_the_secret(secret: str) -> None:
    def texts_of(credentials: Credentials) -> str:
        request = SearchRequest("q", credentials=credentials)
        requests = f"{request} {asdict(request)} {replace(request, k=3)}"
        return f"{credentials} {credentials!r} {requests} {credentials.scope}"

    assume(secret not in texts_of(Credentials.bearer("another")))  # a word of what is shown in any case
    credentials = Credentials.bearer(secret)

    assert secret not in texts_of(credentials)
    assert credentials.words == "bearer token"


def test_a_scope_is_one_callers_own_and_tells_nothing() -> None:
    ann, bob = Credentials.basic("ann", "secret"), Credentials.basic("bob", "secret")
    program = "from connector import Credentials; print(Credentials.basic('ann', 'secret').scope)"
    elsewhere = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()

    assert ann.scope == Credentials.basic("ann", "secret").scope
    assert len({ann.scope, bob.scope, Credentials.bearer("secret").scope, elsewhere}) == 4
    assert ann.scope.isalnum()
    assert len(ann.scope) == len(elsewhere) == 32


def test_credentials_are_values() -> None:
    ann = Credentials.basic("ann", "secret")

    assert pickle.loads(pickle.dumps(ann)) == ann
    assert len({ann, Credentials.basic("ann", "secret")}) == 1
    with pytest.raises(AttributeError):
        ann.authorization = ann.authorization
