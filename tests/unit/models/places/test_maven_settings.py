"""Maven's own settings are read as Maven reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import ModelError
from connector.models.places.maven_settings import CENTRAL, local_repositories, read_repository

MIRROR = "<mirror><id>{id}</id><url>https://{id}.example/m2/</url><mirrorOf>{of}</mirrorOf></mirror>"
SERVER = "<server><id>{id}</id><username>me</username><password>{password}</password></server>"


def settings_with(folder: Path, *, mirrors: str = "", servers: str = "", more: str = "", namespace: str = "") -> Path:
    file = folder / "settings.xml"
    file.write_text(f"<settings{namespace}><mirrors>{mirrors}</mirrors><servers>{servers}</servers>{more}</settings>")
    return file


def test_without_settings_it_is_maven_central(tmp_path: Path) -> None:
    repository = read_repository([tmp_path / "settings.xml"])

    assert (repository.url, repository.auth, repository.proxy) == (CENTRAL, None, None)


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://maven.apache.org/SETTINGS/1.2.0"'])
@pytest.mark.parametrize("of", ["central", "*", "external:*", "other, central", "*,!snapshots"])
def test_a_mirror_stands_for_central(tmp_path: Path, of: str, namespace: str) -> None:
    file = settings_with(tmp_path, mirrors=MIRROR.format(id="company", of=of), namespace=namespace)

    repository = read_repository([file])

    assert repository.url == "https://company.example/m2"
    assert repository.named_by == f"the mirror in {file}"


@pytest.mark.parametrize("of", ["other", "*,!central", "external:http:*", "central-2"])
def test_a_mirror_of_others_does_not(tmp_path: Path, of: str) -> None:
    file = settings_with(tmp_path, mirrors=MIRROR.format(id="company", of=of))

    assert read_repository([file]).url == CENTRAL


def test_the_first_mirror_counts_and_its_server_has_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPANY_PASSWORD", "s3cret")
    mirrors = MIRROR.format(id="a", of="other") + MIRROR.format(id="b", of="*") + MIRROR.format(id="c", of="central")
    servers = SERVER.format(id="a", password="x") + SERVER.format(id="b", password="${env.COMPANY_PASSWORD}")

    repository = read_repository([settings_with(tmp_path, mirrors=mirrors, servers=servers)])

    assert repository.url == "https://b.example/m2"
    assert repository.auth == ("me", "s3cret")
    assert "s3cret" not in repr(repository)


@pytest.mark.parametrize("password", ["{COQLCE6DU6GtcS5P=}", "${env.NOT_SET_ANYWHERE}"])
def test_a_password_that_cannot_be_read_is_told(tmp_path: Path, password: str) -> None:
    file = settings_with(
        tmp_path, mirrors=MIRROR.format(id="b", of="*"), servers=SERVER.format(id="b", password=password)
    )

    with pytest.raises(ModelError, match=r"password of server 'b' .* CONNECTOR_MODELS_MAVEN_PASSWORD"):
        read_repository([file])


def test_the_active_proxy_is_used_but_not_for_hosts_that_it_leaves_out(tmp_path: Path) -> None:
    proxy = (
        "<proxies><proxy><active>false</active><host>off</host></proxy><proxy><host>proxy.example</host>"
        "<port>3128</port><username>me</username><password>p@ss</password><nonProxyHosts>{}</nonProxyHosts>"
        "</proxy></proxies>"
    )

    used = read_repository([settings_with(tmp_path, more=proxy.format("localhost|*.internal"))])
    left_out = read_repository([settings_with(tmp_path, more=proxy.format("localhost|*.apache.org"))])

    assert used.proxy.get_secret_value() == "http://me:p%40ss@proxy.example:3128"
    assert left_out.proxy is None


def test_settings_that_are_no_xml_are_told(tmp_path: Path) -> None:
    file = tmp_path / "settings.xml"
    file.write_text("<settings>")

    with pytest.raises(ModelError, match=r"settings\.xml cannot be read .*models\.maven_repository"):
        read_repository([file])


def test_mavens_own_folder_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MAVEN_HOME", str(tmp_path))
    (tmp_path / "conf").mkdir()
    settings_with(tmp_path / "conf", more="<localRepository>${user.home}/jars</localRepository>")

    assert list(local_repositories()) == [tmp_path / "jars", tmp_path / ".m2" / "repository"]
