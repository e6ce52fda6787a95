"""The doctor on secured engines: what each user may do, told without doing it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.indices.doctoring import OF_THE_CLUSTER, fill, look, not_ok, statuses
from support.indices.scratch import drop, unique_name
from support.indices.secured import Secured
from support.programs.command import Launcher

from connector.models.encoder import Encoder
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.usefixtures("patient_doctor")


def restricted(secured: Secured, name: str, index: str, *privileges: str) -> ClusterSettings:
    """A user who may only do these things (named as the engine does) with the index."""
    if secured.kind == "elasticsearch":
        return secured.add_user(name, {"indices": [{"names": [index], "privileges": list(privileges)}]})
    return secured.add_user(
        name, {"index_permissions": [{"index_patterns": [index], "allowed_actions": list(privileges)}]}
    )


READ = {
    "elasticsearch": ("read", "view_index_metadata"),
    "opensearch": ("read", "indices:admin/mappings/get", "indices:monitor/settings/get"),
}


async def test_wrong_passwords_are_a_failure_and_leave_the_rest_skipped(secured: Secured) -> None:
    wrong = secured.settings(username="elastic", password="hunter2-Tr0ub4dor")
    found = await look(wrong, "any", None)

    assert statuses(found, "cluster") == {"fail"}
    assert statuses(found, *OF_THE_CLUSTER, "query") == {"skip"}
    assert "user name and password" in found["cluster"].seen
    assert "hunter2" not in str(found)


async def test_who_may_only_read_is_told_that_search_works_and_ingest_does_not(
    secured: Secured, encoder: Encoder
) -> None:
    name = unique_name()
    await fill(secured.superuser, name, encoder)
    before = sequence_numbers(secured, name)
    reader = restricted(secured, f"reader-{name}", name, *READ[secured.kind])
    found = await look(reader, name, None)
    whole = await look(secured.superuser, name, None)
    after = sequence_numbers(secured, name)
    await drop(secured.superuser, name)

    assert found["search access"].status == "ok"
    assert found["ingest access"].status == "warn"
    assert (
        set(found["ingest access"].facts["missing"])
        == {
            "elasticsearch": {"write", "maintenance"},
            "opensearch": {"indices:data/write/index", "indices:data/write/delete", "indices:admin/refresh"},
        }[secured.kind]
    )
    assert statuses(found, "index", "mapping", "copies", "documents", "query") == {"ok"}
    assert found["health"].status == "skip"  # it may not monitor the cluster
    assert not_ok(whole) == {"reranker": "skip"}
    assert before == after  # no write went through


async def test_who_may_do_nothing_is_told_what_is_missing(secured: Secured, encoder: Encoder) -> None:
    name = unique_name()
    await fill(secured.superuser, name, encoder)
    nobody = restricted(secured, f"nobody-{name}", "another-index", *READ[secured.kind])
    found = await look(nobody, name, None)
    await drop(secured.superuser, name)

    assert statuses(found, "search access", "index") == {"fail"}
    assert found["ingest access"].status == "warn"
    assert {"read", "indices:data/read/search"} & set(found["search access"].facts["missing"])


async def test_whether_an_index_may_be_created_is_known_without_creating_it(secured: Secured) -> None:
    name = unique_name()
    reader = restricted(secured, f"reader-{name}", name, *READ[secured.kind])
    may_not = await look(reader, name, None)
    may = await look(secured.superuser, name, None)
    indices = secured.call("GET", "/_cat/indices?format=json&expand_wildcards=all")

    assert {"create_index", "indices:admin/create"} & set(may_not["ingest access"].facts["missing"])
    assert (may["ingest access"].status, may["index"].status) == ("ok", "fail")
    assert "may create the index" in may["ingest access"].seen
    assert name not in [facts["index"] for facts in indices]


async def test_a_block_is_not_taken_for_a_missing_privilege(secured: Secured, encoder: Encoder) -> None:
    name = unique_name()
    await fill(secured.superuser, name, encoder)
    secured.call("PUT", f"/{name}/_settings", {"index.blocks.write": True})
    found = await look(secured.superuser, name, None)
    await drop(secured.superuser, name)

    assert not_ok(found) == {"blocks": "warn", "reranker": "skip"}


@pytest.mark.live
async def test_a_key_counts_for_what_it_may_do_not_for_its_owner(
    secured_elasticsearch: ClusterSettings, encoder: Encoder
) -> None:
    secured, name = Secured("elasticsearch", secured_elasticsearch), unique_name()
    await fill(secured.superuser, name, encoder)
    key = secured.add_key(
        {"cluster": ["monitor"], "indices": [{"names": [name], "privileges": list(READ["elasticsearch"])}]}
    )
    found = await look(secured.settings(api_key=key["encoded"]), name, None)
    await drop(secured.superuser, name)

    assert not_ok(found) == {"ingest access": "warn", "reranker": "skip"}
    assert key["encoded"] not in str(found)


async def test_no_command_says_a_password_that_a_cluster_refuses(
    secured: Secured, launcher: Launcher, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"_id": "1", "text": "a row"}\n')
    environ = {
        "CONNECTOR_CLUSTER_URL": secured.superuser.url,
        "CONNECTOR_CLUSTER_CA_CERT": str(secured.superuser.ca_cert),
        "CONNECTOR_CLUSTER_USERNAME": str(secured.superuser.username),
        "CONNECTOR_CLUSTER_PASSWORD": "hunter2-Tr0ub4dor",
        "CONNECTOR_LOG_LEVEL": "debug",
    }
    commands = {
        ("doctor", "--json", "--set", "encoder.model=./no-model"): 1,
        ("index", "show"): 2,
        ("ingest", "rows.jsonl", "--log-format", "json"): 2,
    }
    for command, code in commands.items():
        done = launcher.run(*command, cwd=tmp_path, **environ)

        assert done.code == code
        assert "does not accept" in done.stdout + done.stderr
        assert "hunter2" not in done.stdout + done.stderr
        assert "aHVudGVyMi" not in done.stdout + done.stderr


def sequence_numbers(secured: Secured, index: str) -> list[int]:
    """The last operation of every shard: each write, also a failed delete, raises it."""
    stats = secured.call("GET", f"/{index}/_stats?level=shards")
    return [copy["seq_no"]["max_seq_no"] for shard in stats["indices"][index]["shards"].values() for copy in shard]
