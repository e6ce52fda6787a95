"""What examples/ tells others to run on Kubernetes and by cron fits its schemas, and names only what exists here."""

from __future__ import annotations

import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from support.programs.stack import read_image
from support.repository.pages import ROOT
from support.repository.project import PROJECT, refuse_unknown_flags

from connector.cli.commands.ingest import ingest
from connector.gateway.app import OWN
from connector.judging.page.guard import allowed_hosts
from connector.settings.load import load_settings, setting_names
from connector.settings.names import FILE_SUFFIX, env_name
from connector.settings.sections import IngestSettings, WorkerSettings
from connector.worker.app import create_app

KUBERNETES = ROOT / "examples" / "kubernetes"
CRON = ROOT / "examples" / "cron"
OLDEST_KUBERNETES = "1.31"  # the first with a stable podFailurePolicy
KILLED = 137
MADE_BY_HAND = {
    "Secret": {"connector-cluster": {"api_key", "ca.crt"}},
    "PersistentVolumeClaim": {"connector-documents"},
}


def variables() -> set[str]:
    """Every variable of the environment that the settings know."""
    names = setting_names()
    return {env_name(path) for path in names.paths} | {env_name(path) + FILE_SUFFIX for path in names.secrets}


def exit_codes() -> set[int]:
    """Those that `connector ingest --help` explains."""
    (explained,) = re.findall(r"Exit code:(.*?)\n\n", inspect.getdoc(ingest) or "", re.DOTALL)
    return {int(code) for code in re.findall(r"\b\d+\b", explained)}


def documents(file: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


OBJECTS = [(file.name, document) for file in sorted(KUBERNETES.glob("*.yaml")) for document in documents(file)]
ids = [f"{name}-{manifest['kind']}" for name, manifest in OBJECTS]


def find(kind: str, file: str = "") -> dict[str, Any]:
    """The one object of that kind; of several, that of the worker unless another file is named."""
    found = [(name, manifest) for name, manifest in OBJECTS if manifest["kind"] == kind]
    (chosen,) = [manifest for name, manifest in found if len(found) == 1 or name == (file or "worker.yaml")]
    return chosen


def job(kind: str) -> dict[str, Any]:
    """The spec of the job, which a CronJob holds inside."""
    spec: dict[str, Any] = find(kind)["spec"]
    return spec["jobTemplate"]["spec"] if kind == "CronJob" else spec


def pods() -> dict[str, dict[str, Any]]:
    """The spec of each kind's pods."""
    return {
        "Job": job("Job")["template"]["spec"],
        "CronJob": job("CronJob")["template"]["spec"],
        "Deployment": find("Deployment")["spec"]["template"]["spec"],
        "gateway": find("Deployment", "gateway.yaml")["spec"]["template"]["spec"],
    }


def settings_in_the_map(folder: Path) -> Any:
    (folder / "connector.yaml").write_text(find("ConfigMap")["data"]["connector.yaml"])
    return load_settings(file=folder / "connector.yaml", environ={})


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
@pytest.mark.parametrize(("file", "found"), OBJECTS, ids=ids)
def test_a_manifest_fits_kubernetes(file: str, found: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(found, version, strict=True)

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found | {"specs": {}}, version, strict=True)


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Deployment", "gateway"])
def test_what_a_pod_runs_exists(kind: str) -> None:
    (container,) = pods()[kind]["containers"]
    ours = {variable["name"] for variable in container["env"] if variable["name"].startswith("CONNECTOR_")}

    refuse_unknown_flags(container["args"])
    assert ours <= variables() | {env_name("rerankers.local.url")}
    assert {variable["name"] for variable in container["env"]} - ours == (
        {"OMP_NUM_THREADS"} if kind != "gateway" else set()
    )
    assert container["image"] == f"{PROJECT['name']}:{PROJECT['version']}"


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Deployment", "gateway"])
def test_a_pod_has_no_rights_and_no_variables_of_services(kind: str) -> None:
    pod = pods()[kind]
    (container,) = pod["containers"]
    user, group = read_image().user.split(":")

    assert pod["securityContext"]["runAsNonRoot"]
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (int(user), int(group))
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Deployment", "gateway"])
def test_every_path_that_a_pod_names_is_mounted(kind: str, tmp_path: Path) -> None:
    pod = pods()[kind]
    (container,) = pod["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    words = " ".join([*container["args"], *(variable.get("value", "") for variable in container["env"])])
    named = re.findall(r"(?<![\w.])/[\w./-]+", re.sub(r"https?://\S+", "", words))
    if kind != "Deployment":
        named.append(settings_in_the_map(tmp_path).cluster.ca_cert)

    assert {mount["name"] for mount in mounts.values()} == {mount["name"] for mount in pod["volumes"]}
    assert [path for path in named if str(Path(path).parent) not in mounts] == []
    for volume in pod["volumes"]:
        mount = next(mount for mount in mounts.values() if mount["name"] == volume["name"])
        inside = {Path(path).name for path in named if str(Path(path).parent) == mount["mountPath"]}
        match volume:
            case {"configMap": {"name": name}}:
                assert name == find("ConfigMap")["metadata"]["name"]
                assert inside <= set(find("ConfigMap")["data"])
            case {"secret": {"secretName": name, "defaultMode": 0o440}}:
                assert inside <= MADE_BY_HAND["Secret"][name]
            case {"persistentVolumeClaim": {"claimName": name}}:
                made = find("PersistentVolumeClaim")["metadata"]["name"]

                assert name in {made, *MADE_BY_HAND["PersistentVolumeClaim"]}
                assert bool(mount.get("readOnly")) == (name != made)
            case {"emptyDir": _}:
                assert mount["mountPath"] == "/tmp"
            case _:
                raise AssertionError(f"a volume that nothing is known of: {volume}")


def test_the_settings_in_the_map_load(tmp_path: Path) -> None:
    settings = settings_in_the_map(tmp_path)

    assert settings.cluster.url.startswith("https://")
    assert settings.fields.text
    assert settings.worker.host == "0.0.0.0"


def test_the_worker_is_asked_where_it_answers(tmp_path: Path) -> None:
    settings = settings_in_the_map(tmp_path)
    (container,) = pods()["Deployment"]["containers"]
    (port,) = container["ports"]
    (service_port,) = find("Service")["spec"]["ports"]
    routes = set(create_app(lambda: pytest.fail("not loaded"), WorkerSettings()).openapi()["paths"])
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}

    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/ready",
        "readinessProbe": "/ready",
        "livenessProbe": "/health",  # a worker that still loads is alive
    }
    assert {probe["path"] for probe in probes.values()} <= routes
    assert {probe["port"] for probe in probes.values()} == {port["name"]} == {service_port["targetPort"]}
    assert port["containerPort"] == settings.worker.port == WorkerSettings().port


def test_the_gateway_is_asked_where_it_answers(tmp_path: Path) -> None:
    gateway = settings_in_the_map(tmp_path).gateway
    (container,) = pods()["gateway"]["containers"]
    port, api = container["ports"]
    service_port, service_api = find("Service", "gateway.yaml")["spec"]["ports"]
    service = find("Service", "gateway.yaml")["metadata"]["name"]
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}

    assert {OWN.decode() + page for page in ("health", "ready")} == {probe["path"] for probe in probes.values()}
    assert probes["readinessProbe"]["path"].endswith("ready")
    assert {probe["port"] for probe in probes.values()} == {port["name"]} == {service_port["targetPort"]}
    assert (gateway.host, gateway.port, list(gateway.indexes)) == ("0.0.0.0", port["containerPort"], ["kb"])
    assert (gateway.api_port, service_api["targetPort"]) == (api["containerPort"], api["name"])
    assert allowed_hosts(gateway.host, gateway.api_hosts).allows(f"{service}:{service_api['port']}")
    assert pods()["gateway"]["terminationGracePeriodSeconds"] > gateway.drain_s + 5


@pytest.mark.parametrize("file", ["worker.yaml", "gateway.yaml"])
def test_a_service_is_found_by_its_labels(file: str) -> None:
    deployment = find("Deployment", file)
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert find("Service", file)["spec"]["selector"] == labels
    assert find("PodDisruptionBudget", file)["spec"]["selector"]["matchLabels"] == labels
    assert find("PodDisruptionBudget", file)["spec"]["minAvailable"] < deployment["spec"]["replicas"]


@pytest.mark.parametrize("file", ["worker.yaml", "gateway.yaml"])
def test_no_service_gives_other_pods_variables_that_look_like_settings(file: str) -> None:
    name = find("Service", file)["metadata"]["name"].upper().replace("-", "_")

    assert not f"{name}_PORT".startswith("CONNECTOR_")


def test_both_kinds_of_job_are_the_same_job() -> None:
    once = job("Job")

    assert job("CronJob") == {name: value for name, value in once.items() if name != "ttlSecondsAfterFinished"}
    assert find("CronJob")["spec"]["concurrencyPolicy"] == "Forbid"


def test_a_job_is_run_again_by_its_exit_code() -> None:
    spec = job("Job")
    actions: dict[str, list[int]] = {
        rule["action"]: rule["onExitCodes"]["values"]
        for rule in spec["podFailurePolicy"]["rules"]
        if "onExitCodes" in rule
    }
    (disrupted, *_) = spec["podFailurePolicy"]["rules"]

    assert disrupted["action"] == "Ignore"
    assert actions == {"FailJob": [1, 2], "Count": [3, KILLED, 143]}
    assert {1, 2, 3, 143} <= exit_codes()
    assert {*actions["FailJob"], *actions["Count"]} - {KILLED} <= exit_codes()
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # what a podFailurePolicy asks for


def test_a_job_that_is_ended_has_time_to_write_what_is_encoded(tmp_path: Path) -> None:
    settings = settings_in_the_map(tmp_path)

    assert job("Job")["template"]["spec"]["terminationGracePeriodSeconds"] >= settings.ingest.grace_s + 30


def test_the_crontab_names_what_exists() -> None:
    lines = [line for line in (CRON / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
    (entry,) = [line for line in lines if not re.match(r"\w+=", line)]
    *schedule, command = entry.split(maxsplit=5)
    script = (CRON / "ingest.sh").read_text()

    assert len(schedule) == 5
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in schedule)
    assert {name for name in given if name.startswith("CONNECTOR_")} <= variables()
    assert {name for name in given if name.startswith("INGEST_")} <= set(re.findall(r"\$\{(\w+):-", script))
    assert Path(command.split()[0]).name == "ingest.sh"
    assert len(command.split()) == 3


def test_the_cron_script_knows_every_exit_code_and_waits_out_the_grace_period() -> None:
    script = (CRON / "ingest.sh").read_text()
    known = {int(code) for line in re.findall(r"^ +([\d| ]+)\)", script, re.MULTILINE) for code in line.split("|")}
    (kill_after_s,) = re.findall(r"--kill-after=(\d+)s", script)

    assert exit_codes() <= known
    assert int(kill_after_s) >= IngestSettings().grace_s + 30
    assert subprocess.run(["sh", "-n", CRON / "ingest.sh"], check=False).returncode == 0
