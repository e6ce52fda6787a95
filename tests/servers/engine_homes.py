"""The homes of engines: what Maven Central has of them, put together into a server that can be started."""

from __future__ import annotations

import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import zipfile

from from_maven import CACHE, DEPENDENCY, download, run_maven

FOLDER = pathlib.Path(__file__).parent

# module folder -> (artifact in org.opensearch.plugin, its plugin class on 3.x, on 2.x, extended plugins)
OPENSEARCH_MODULES = {
    "lang-painless": ("lang-painless", "painless.PainlessModulePlugin", "painless.PainlessPlugin", ""),
    "analysis-common": (
        "analysis-common",
        "analysis.common.CommonAnalysisModulePlugin",
        "analysis.common.CommonAnalysisPlugin",
        "lang-painless",
    ),
    "mapper-extras": (
        "mapper-extras-client",
        "index.mapper.MapperExtrasModulePlugin",
        "index.mapper.MapperExtrasPlugin",
        "",
    ),
    "reindex": ("reindex-client", "index.reindex.ReindexModulePlugin", "index.reindex.ReindexPlugin", ""),
    "search-pipeline-common": (
        "search-pipeline-common",
        "search.pipeline.common.SearchPipelineCommonModulePlugin",
        "search.pipeline.common.SearchPipelineCommonPlugin",
        "lang-painless",
    ),  # 3.x only
}
REST_HANDLERS_SINCE_9_5 = "getRestHandlers(ActionPlugin.RestHandlersServices services, "
SECURITY_POLICY = {  # 2.x runs under Java's security manager
    "lang-painless": 'grant { permission java.lang.RuntimePermission "createClassLoader"; '
    'permission java.lang.RuntimePermission "getClassLoader"; };\n',
    "reindex": 'grant { permission java.net.SocketPermission "*", "connect"; '
    'permission java.lang.RuntimePermission "setFactory"; };\n',
}


def java_home(minimum: int) -> pathlib.Path:
    """The oldest JDK found that is at least `minimum`: $JAVA_HOME, then where Linux distributions put them."""
    found = []
    for home in [os.environ.get("JAVA_HOME", ""), *map(str, pathlib.Path("/usr/lib/jvm").glob("*"))]:
        release = pathlib.Path(home or "-", "release")
        if release.is_file() and (match := re.search(r'JAVA_VERSION="(\d+)', release.read_text())):
            found.append((int(match[1]), home))
    fitting = sorted(pair for pair in found if pair[0] >= minimum)
    if not fitting:
        raise SystemExit(
            f"no JDK {minimum} or newer (found {sorted({v for v, _ in found}) or 'none'}); install one or set JAVA_HOME"
        )
    return pathlib.Path(fitting[0][1])


def needed_java(kind: str, version: str) -> int:
    major = int(version.split(".")[0])
    return 17 if (kind, major) in {("elasticsearch", 8), ("opensearch", 2)} else 21


def unpack(archive: pathlib.Path, home: pathlib.Path, *, strip: int) -> None:
    """Unzip with file modes, dropping `strip` leading folders."""
    with zipfile.ZipFile(archive) as z:
        for entry in z.infolist():
            parts = entry.filename.split("/")[strip:]
            if entry.is_dir() or not parts:
                continue
            path = home.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with z.open(entry) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            path.chmod(((entry.external_attr >> 16) & 0o777) | 0o644)
    for program in home.glob("bin/*"):
        program.chmod(0o755)


def add_opensearch_module(home: pathlib.Path, name: str, version: str) -> None:
    artifact, class3, class2, extends = OPENSEARCH_MODULES[name]
    folder = home / "modules" / name
    if folder.exists():  # 3.6 brings lang-painless along
        return
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temp:
        pom = pathlib.Path(temp, "pom.xml")
        pom.write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId>"
            "<version>1</version><packaging>pom</packaging><dependencies><dependency>"
            f"<groupId>org.opensearch.plugin</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
            "</dependency></dependencies></project>"
        )
        run_maven(
            "-f",
            str(pom),
            f"{DEPENDENCY}:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={folder}",
        )

    def stem(path: pathlib.Path) -> str:
        return re.sub(r"-\d[\w.+-]*\.jar$", "", path.name)

    present = {
        stem(p) for p in [*home.glob("lib/*.jar"), *(home / "modules" / extends).glob("*.jar" if extends else "-")]
    }
    for jar in folder.glob("*.jar"):  # a class may be on the path only once
        if stem(jar) in present and stem(jar) != artifact:
            jar.unlink()
    classes = set(zipfile.ZipFile(next(folder.glob(f"{artifact}-[0-9]*.jar"))).namelist())
    main = next(
        c for c in (f"org.opensearch.{class3}", f"org.opensearch.{class2}") if c.replace(".", "/") + ".class" in classes
    )
    descriptor = {
        "name": name,
        "description": name,
        "version": version,
        "opensearch.version": version,
        "java.version": "11",
        "classname": main,
        "extended.plugins": extends,
        "has.native.controller": "false",
    }
    (folder / "plugin-descriptor.properties").write_text("".join(f"{k}={v}\n" for k, v in descriptor.items() if v))
    if name in SECURITY_POLICY:
        (folder / "plugin-security.policy").write_text(SECURITY_POLICY[name])


def add_elasticsearch_basics(home: pathlib.Path, version: str, java: pathlib.Path) -> None:
    folder = home / "plugins" / "basics"
    folder.mkdir(parents=True)
    text = (FOLDER / "BasicsPlugin.java").read_text()
    if tuple(map(int, version.split(".")[:2])) >= (9, 5):
        text = re.sub(
            r"getRestHandlers\(Settings settings.*?resolver, ", REST_HANDLERS_SINCE_9_5, text, flags=re.DOTALL
        )
        text = text.replace("CLUSTER_NAME_SETTING.get(settings)", "CLUSTER_NAME_SETTING.get(services.settings())")
    with tempfile.TemporaryDirectory() as temp:
        source = pathlib.Path(temp, "BasicsPlugin.java")
        source.write_text(text)
        subprocess.run(
            [java / "bin/javac", "-nowarn", "-cp", f"{home}/lib/*", "-d", temp, source],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        subprocess.run([java / "bin/jar", "cf", folder / "basics.jar", "-C", temp, "."], check=True)
    (folder / "plugin-descriptor.properties").write_text(
        "name=basics\ndescription=language analyzers and GET "
        f"/\nversion={version}\nelasticsearch.version={version}\njava.version=17\nclassname=basics.BasicsPlugin\n"
    )


def add_opensearch_plugins(home: pathlib.Path, version: str, names: list[str]) -> None:
    for name in names:
        unpack(download("org.opensearch.plugin", name, f"{version}.0"), home / "plugins" / name, strip=0)


def assemble_home(kind: str, version: str, *, ml: bool = False, security: bool = False) -> pathlib.Path:
    """The assembled home of an engine; assembled at most once, safe to call from several processes."""
    home = CACHE / "-".join([kind, version, *(["ml"] if ml else []), *(["security"] if security else [])])
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{home.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if home.exists():
            return home
        half = home.with_name(home.name + ".half")
        shutil.rmtree(half, ignore_errors=True)
        if ml or security:
            shutil.copytree(assemble_home(kind, version), half, symlinks=True)
            more = ["opensearch-job-scheduler", "opensearch-ml-plugin"] if ml else ["opensearch-security"]
            add_opensearch_plugins(half, version, more)
        else:
            unpack(download(f"org.{kind}.distribution.integ-test-zip", kind, version), half, strip=1)
            for folder in ("logs", "plugins", "data", "tmp"):
                (half / folder).mkdir(exist_ok=True)
            if kind == "elasticsearch":
                add_elasticsearch_basics(half, version, java_home(needed_java(kind, version)))
            else:
                for module in OPENSEARCH_MODULES:
                    if module != "search-pipeline-common" or not version.startswith("2."):
                        add_opensearch_module(half, module, version)
                add_opensearch_plugins(half, version, ["opensearch-knn", "neural-search"])
        half.rename(home)
    return home
