"""What the rules say of facts alone: for properties that no engine of the tests can have, and for the words."""

from __future__ import annotations

from typing import Any

import pytest

from connector.backfill.facts import Facts
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.judge import NOTHING_PARTICULAR, RULES, judge
from connector.backfill.probe.mapping_rules import count_fields, count_nested
from connector.backfill.probe.verdict import Concern, Obstacle
from connector.backfilled import AddedNames, Backfilled
from connector.clusters.protocol import Engine
from connector.clusters.writing.restored_vectors import most_nested
from connector.schema import EncoderFingerprint, PassageSettings

ELASTICSEARCH = Engine("elasticsearch", "9.3.2")
OPENSEARCH = Engine("opensearch", "3.6.0")
KNN = {"index.knn": "true"}


def facts(engine: Engine = ELASTICSEARCH, mapping: dict[str, Any] | None = None, **settings: Any) -> Facts:
    flat = {f"index.{name.replace('__', '.')}": value for name, value in settings.items()}
    return Facts("kb", engine, mapping or {}, flat | (KNN if engine is OPENSEARCH else {}), documents=3)


def rules(found: Facts, intent: Intent = NOTHING_PARTICULAR) -> tuple[list[str], list[str]]:
    """Names of obstacles and of concerns."""
    verdict = judge(found, intent)
    return [obstacle.rule for obstacle in verdict.obstacles], [obstacle.rule for obstacle in verdict.concerns]


@pytest.mark.parametrize(
    ("found", "obstacle"),
    [
        (facts(disable_sequence_numbers="true"), "no-sequence-numbers"),
        (facts(store__type="snapshot"), "snapshot"),
        (facts(OPENSEARCH, store__type="remote_snapshot"), "snapshot"),
        (facts(frozen="true"), "frozen"),
        (facts(xpack__ccr__following_index="true"), "follower"),
        (facts(OPENSEARCH, plugins__replication__follower__leader_index="kb"), "follower"),
        (facts(OPENSEARCH, ingestion_source__type="KAFKA"), "pulled"),
        (facts(mapping={"runtime": {"passages_of": {"type": "keyword"}}}), "name-taken"),
        (facts(mapping={"properties": {"passages.a": {"type": "keyword"}}}), "name-taken"),
        (facts(mapping__depth__limit="1"), "limit-depth"),
        (facts(mapping={"_source": {"excludes": ["*.vector"]}}), "our-fields-left-out"),
        (facts(mapping={"_source": {"enabled": False}}), "no-source"),
        (Facts("kb", Engine("opensearch", "2.19.1"), {}, {"index.knn": "false"}), "no-knn"),
    ],
)
def test_what_stands_in_the_way(found: Facts, obstacle: str) -> None:
    assert rules(found)[0] == [obstacle]


@pytest.mark.parametrize(
    ("found", "concern"),
    [
        (facts(lifecycle__name="weekly"), "life-cycle"),
        (facts(OPENSEARCH, plugins__index_state_management__rollover_alias="logs"), "life-cycle"),
        (facts(mapping__source__mode="SYNTHETIC"), "synthetic-source"),
        (facts(mapping__exclude_source_vectors="true"), "left-out-vectors"),
        (facts(mapping={"properties": {"said": {"type": "semantic_text"}}}), "inferred"),
    ],
)
def test_what_should_be_known_before(found: Facts, concern: str) -> None:
    assert rules(found) == ([], [concern])


@pytest.mark.parametrize(
    ("denied", "obstacle", "ways"),
    [
        ("read", ["denied-read"], 0),
        ("write", ["denied-write"], 2),
        ("mapping", ["denied-mapping"], 2),
        ("nodes", [], 2),
    ],
)
def test_a_privilege_that_is_missing_is_named_with_what_works_without(
    denied: str, obstacle: list[str], ways: int
) -> None:
    verdict = judge(Facts("kb", ELASTICSEARCH, {}, {"index.a": "b"}, denied={denied: "manage"}))
    text = " ".join(map(str, (*verdict.obstacles, *verdict.concerns)))

    assert [found.rule for found in verdict.obstacles] == obstacle
    assert len(verdict.ways) == ways
    assert "manage" in text


def test_our_own_fields_are_not_in_our_way() -> None:
    encoder = EncoderFingerprint("e5", "ab", 3, 512)
    meta = Backfilled(encoder, {"title": 1.0}, PassageSettings(0, 0)).to_meta({"theirs": 1})
    mapping = {"_meta": meta, "properties": {"passages": {"type": "nested"}, "passages_of": {"type": "keyword"}}}

    assert rules(facts(mapping=mapping, mapping__nested_fields__limit="1")) == ([], [])
    assert rules(facts(mapping=mapping), Intent(AddedNames("parts"))) == ([], [])
    assert rules(facts(mapping=mapping | {"_meta": {}}))[0] == ["name-taken"]


def test_privileges_for_the_mapping_are_not_needed_where_it_is_there() -> None:
    encoder = EncoderFingerprint("e5", "ab", 3, 512)
    meta = Backfilled(encoder, {"title": 1.0}, PassageSettings(0, 0)).to_meta({})
    found = Facts("kb", ELASTICSEARCH, {"_meta": meta}, {"index.a": "b"}, denied={"mapping": "manage"})

    assert judge(found).in_place


def test_what_cannot_be_read_is_no_consent() -> None:
    found = Facts("kb", ELASTICSEARCH, {}, {}, unread={"mapping": "no", "settings": "no"})

    assert rules(found)[0] == ["unreadable", "unreadable"]


def test_fields_are_counted_as_the_engines_do() -> None:
    properties: dict[str, Any] = {
        "title": {"type": "text", "fields": {"exact": {"type": "keyword"}}},
        "parts": {"type": "nested", "properties": {"a": {"type": "nested", "properties": {"b": {"type": "long"}}}}},
    }

    assert (count_fields(properties), count_nested(properties)) == (5, 2)
    limit = {"mapping__total_fields__limit": "9"}
    assert rules(facts(mapping={"properties": properties}, **limit))[0] == ["limit-total_fields"]
    assert rules(facts(mapping={"properties": properties, "runtime": {}}, mapping__total_fields__limit="10"))[0] == []


def test_more_passages_than_nested_objects_are_warned_of() -> None:
    limit = facts(mapping__nested_objects__limit="100")

    assert rules(limit, Intent(most_passages=100)) == ([], [])
    assert rules(limit, Intent(most_passages=101)) == ([], ["many-passages"])


def test_documents_whose_vectors_opensearch_restores_wrongly_are_warned_of() -> None:
    long = Intent(most_nested=150)
    kept = {"knn__derived_source__enabled": "false"}

    assert rules(facts(OPENSEARCH), Intent(most_nested=149)) == ([], [])
    assert rules(facts(OPENSEARCH), long) == ([], ["restored-vectors"])
    assert rules(facts(OPENSEARCH, **kept), long) == ([], [])
    assert rules(facts(), long) == ([], [])
    assert (most_nested(Engine("opensearch", "2.19.1"), {}), most_nested(Engine("opensearch", ""), {})) == (None, 149)


def test_nested_objects_of_the_application_are_named_and_so_is_what_their_vectors_suffer() -> None:
    nested = {"type": "nested"}
    vectors = {"type": "nested", "properties": {"vector": {"type": "knn_vector", "dimension": 2}}}

    assert rules(facts(OPENSEARCH, {"properties": {"parts": nested}})) == ([], ["restored-vectors"])
    assert rules(facts(OPENSEARCH, {"properties": {"parts": vectors}})) == ([], ["restored-vectors"] * 2)
    ours = AddedNames("passages_2")
    meta = Backfilled(EncoderFingerprint("a", "1", 2, 8), {"title": 1.0}, PassageSettings(0, 0), ours).to_meta({})
    both = facts(OPENSEARCH, {"properties": {"parts": nested, "passages_2": vectors}, "_meta": meta})
    (concern,) = judge(both, Intent(ours)).concerns
    assert "objects of parts count" in str(concern)
    assert rules(facts(OPENSEARCH, {"properties": {"passages_2": vectors}, "_meta": meta}), Intent(ours)) == ([], [])


def test_nested_objects_that_source_leaves_out_are_fields_that_an_update_loses() -> None:
    mapping = {"properties": {"parts": {"type": "nested"}}, "_source": {"excludes": ["parts"]}}

    assert rules(facts(mapping=mapping))[0] == ["their-fields-left-out"]


def test_the_words_name_every_reason_and_each_remedy_once() -> None:
    verdict = judge(facts(mode="time_series", disable_sequence_numbers="true"), Intent(versions="external"))

    assert verdict.words == (
        "index 'kb' cannot be filled in place: the application gives the versions (--versions external): an update of "
        "ours would count the version up, and the engine would refuse the application's next write; it is a time "
        "series index (index.mode), whose documents Elasticsearch does not update; index.disable_sequence_numbers is "
        "true, so no update can depend on the document being as it was read. What works: build a new index from it "
        "(--into NEW), or keep the vectors in an index of ours (--beside)"
    )


def test_a_rule_names_what_it_finds_in_one_way() -> None:
    names = [rule.__name__ for rule in RULES]

    assert len(set(names)) == len(names)
    assert str(Obstacle("a", "it is so", "do this")) == "it is so; do this"
    assert str(Concern("a", "it is so")) == "it is so"
