"""Other people's clients, through the gateway and past it: they work unchanged, and get hits in a better order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import elasticsearch
import httpx
import pytest
from filelock import FileLock
from opensearchpy import AsyncOpenSearch, OpenSearch
from support.gateway.running_gateway import ENCODER, PRODUCTS, answering_gateway, filled_shop, gateway_settings
from support.programs.command import Launcher
from support.programs.environments import TRUSTED, kept_folder, other_client, run_python, run_uv
from support.repository.pages import ROOT

from connector.settings.sections import ClusterSettings

pytestmark = [pytest.mark.live, pytest.mark.each_engine]  # each client is tried on one or two of them

JSON = dict[str, Any]
CLIENTS = ROOT / "tests" / "clients"
TRIAL = CLIENTS / "python" / "client_trial.py"
# for programs that end at once, and whose classes need not be checked once more
SHORT = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote",
)
QUERY: JSON = {"bool": {"must": [{"match": {"title": "red sofa"}}], "filter": [{"term": {"brand": "acme"}}]}}


@dataclass(frozen=True)
class Shop:
    """An index, the engine that has it, and a gateway before that."""

    kind: str
    index: str
    direct: str
    through: str


@pytest.fixture(scope="module")
def shop(engine: ClusterSettings) -> Iterator[Shop]:
    version = httpx.get(engine.url, timeout=60).json()["version"]
    name = f"{'os' if version.get('distribution') == 'opensearch' else 'es'}{version['number'].partition('.')[0]}"
    with filled_shop(engine) as index, answering_gateway(gateway_settings(engine, index), ENCODER) as url:
        yield Shop(name, index, engine.url, url)


def kept(name: str, *made_of: Path) -> Path:
    """A folder for what other package managers bring, the same as long as these files are."""
    return kept_folder(name, *(path.read_bytes() for path in made_of))


def run(*command: str | Path, folder: Path | None = None) -> str:
    variables = {name: value for name, value in os.environ.items() if name not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    variables |= TRUSTED | {"MAVEN_OPTS": f"{os.environ.get('MAVEN_OPTS', '')} {' '.join(SHORT)}"}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr + done.stdout
    return done.stdout


def assert_reordered(direct: JSON, through: JSON) -> None:
    """The same numbers, in another order, of as many hits."""
    assert through["outcome"].startswith("reranked;window=40;mode=union")
    assert len(set(through["ids"])) == len(direct["ids"]) == 40
    assert through["ids"] != direct["ids"]
    apart = ("ids", "outcome", "total")
    assert {key: value for key, value in through.items() if key not in apart} == {
        key: value for key, value in direct.items() if key not in apart
    }


def test_the_clients_of_elasticsearch_for_python(shop: Shop, launcher: Launcher, tmp_path: Path) -> None:
    """The one that is installed, and the other one."""
    if shop.kind.startswith("os"):
        return
    asked = (shop.index, shop.direct, shop.through)
    printed: list[str] = []
    if shop.kind == "es9" or elasticsearch.__version__[0] == 8:  # client 9 is refused by server 8
        done = launcher.start(*asked, cwd=tmp_path, program=TRIAL).wait()
        assert done.code == 0, done.stderr
        printed.append(done.stdout)
    if shop.kind == "es9" or elasticsearch.__version__[0] == 9:
        printed.append(run_python(sys.executable, TRIAL, *asked, path=(other_client(), ROOT, ROOT / "tests")))
    for lines in printed:
        direct, through = map(json.loads, lines.splitlines())

        assert_reordered(direct, through)
        assert through["missing"] == 404


def python_stores() -> Path:
    """The stores of LangChain, LlamaIndex and Haystack, for both engines."""
    listed = CLIENTS / "python" / "stores.txt"
    folder = kept("python-stores", listed)
    with FileLock(folder / "lock"):
        if not (folder / "haystack").exists():
            run_uv("pip", "install", "--python", sys.executable, "--target", folder, "--requirements", listed)
    return folder


@pytest.mark.parametrize("engine", ["os3"], indirect=True)
def test_the_stores_of_langchain_llamaindex_and_haystack(
    elasticsearch: ClusterSettings, engine: ClusterSettings
) -> None:
    """Those for both engines, in one program, whose imports take longer than all that it asks, also without the
    packages that are here (`-S`): Haystack's imports torch where there is one. For OpenSearch, LangChain's asks for
    vectors alone, which passes through, and that of LlamaIndex wants metadata of each document."""
    described = {doc_id: {**product, "metadata": {"brand": product["brand"]}} for doc_id, product in PRODUCTS.items()}
    with ExitStack() as opened:
        places: list[str] = []
        for store, products in ((elasticsearch, PRODUCTS), (engine, described)):
            index = opened.enter_context(filled_shop(store, products))
            url = opened.enter_context(answering_gateway(gateway_settings(store, index), ENCODER))
            places += (index, store.url, url)
        trial = CLIENTS / "python" / "store_trial.py"
        printed = run_python(sys.executable, "-S", trial, *places, path=(python_stores(),))
    direct, through, direct_2, through_2 = map(json.loads, printed.splitlines())

    for found in (direct, through, direct_2, through_2):
        assert all(len(ids) == 20 for ids in found.values())
    assert len(direct) == 4
    assert all(through[store] != direct[store] for store in direct)
    changed = {store for store in direct_2 if through_2[store] != direct_2[store]}
    assert changed == {"opensearch_llama_index", "opensearch_haystack"}
    assert through_2["opensearch_langchain"] == direct_2["opensearch_langchain"]


async def test_the_client_of_opensearch_for_python(shop: Shop) -> None:
    if shop.kind.startswith("es"):
        return
    body = {"query": QUERY, "size": 40, "aggs": {"brands": {"terms": {"field": "brand"}}}}
    urls = (shop.direct, shop.through)
    found = [OpenSearch(url, timeout=120).search(index=shop.index, body=body) for url in urls]
    async with AsyncOpenSearch(shop.through, timeout=120) as client:
        several = await client.msearch(body=[{"index": shop.index}, body, {"index": shop.index}, {"size": 0}])
    direct, through = ([hit["_id"] for hit in reply["hits"]["hits"]] for reply in found)

    assert found[0]["aggregations"] == found[1]["aggregations"]
    assert len(set(through)) == len(direct) == 40
    assert through != direct
    assert [hit["_id"] for hit in several["responses"][0]["hits"]["hits"]] == through


def test_the_clients_and_front_ends_for_javascript(shop: Shop) -> None:
    """Both engines' clients, and the connectors of Search UI and searchkit; OpenSearch has one client, and is asked as
    one version."""
    if shop.kind == "os2":
        return
    lists = [CLIENTS / "node" / name for name in ("package.json", "package-lock.json")]
    folder = kept("node-clients", *lists)
    with FileLock(folder / "lock"):
        if not (folder / "node_modules").exists():
            for path in lists:
                (folder / path.name).write_bytes(path.read_bytes())
            run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
    (folder / "trial.mjs").write_bytes((CLIENTS / "node" / "trial.mjs").read_bytes())
    kind = {"es8": "elasticsearch-8", "es9": "elasticsearch-9"}.get(shop.kind, "opensearch")
    printed = run("node", "trial.mjs", kind, shop.index, shop.direct, shop.through, folder=folder)
    direct, through = map(json.loads, printed.splitlines())

    assert direct.keys() == through.keys()
    for client in direct.keys() - {"search-ui", "searchkit"}:
        assert_reordered(direct[client], through[client])
    for page in direct.keys() & {"search-ui", "searchkit"}:
        assert len(through[page]["ids"]) == len(direct[page]["ids"])
        assert through[page]["total"] > direct[page]["total"]
        assert through[page]["ids"] != direct[page]["ids"]


def java_clients() -> str:
    """The class path of the programs that try them."""
    project, *programs = (CLIENTS / "java" / name for name in ("pom.xml", "Trial.java", "shop/SpringTrial.java"))
    folder = kept("java-clients", project, *programs)
    listed = folder / "classpath"
    with FileLock(folder / "lock"):
        if not (folder / "shop" / "SpringTrial.class").exists():
            run("mvn", "-B", "-q", "-f", project, "dependency:build-classpath", f"-Dmdep.outputFile={listed}")
            short = [f"-J{option}" for option in SHORT]
            run("javac", *short, "-proc:none", "-parameters", "-cp", listed.read_text(), "-d", folder, *programs)
    return f"{folder}{os.pathsep}{listed.read_text()}"


def test_the_clients_for_java(shop: Shop) -> None:
    if shop.kind not in ("es9", "os3"):  # one server of each
        return
    kind = "opensearch" if shop.kind == "os3" else "elasticsearch"
    printed = run("java", *SHORT, "-cp", java_clients(), "Trial", kind, shop.index, shop.direct, shop.through)
    direct, through = (line.split() for line in printed.splitlines())

    assert direct[1:3] == through[1:3]
    assert int(through[0]) > int(direct[0])
    assert len(set(through[3].split(","))) == 40
    assert through[3] != direct[3]


def test_a_repository_of_spring_data(shop: Shop) -> None:
    """A query that it derives from a method's name, which demands all words; and one that is written as text."""
    if shop.kind != "es9":
        return
    printed = run("java", *SHORT, "-cp", java_clients(), "shop.SpringTrial", shop.index, shop.direct, shop.through)
    derived, written, derived_through, written_through = (line.split() for line in printed.splitlines())

    assert derived_through[:2] == derived[:2] == ["derived", "8"]
    assert sorted(derived_through[2].split(",")) == sorted(derived[2].split(","))
    assert derived_through[2] != derived[2]
    assert int(written_through[1]) > int(written[1])
    assert len(set(written_through[2].split(","))) == len(written[2].split(",")) == 40
