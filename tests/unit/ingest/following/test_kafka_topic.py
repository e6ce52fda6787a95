"""A Kafka topic that is followed, on a real broker."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic
from loopback_ports import held_port
from support.ingest.following import IMPATIENT, FailingIndex, following, store_of
from support.parts import until
from support.servers.kafka import running_kafka

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import SourceError
from connector.ingest.following import kafka_topic
from connector.ingest.following.opening import open_followed
from connector.ingest.following.source import FollowedSource, FollowTarget
from connector.ingest.job import make_plan
from connector.ingest.sources import open_source
from connector.settings.load import load_settings


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    with running_kafka() as brokers:
        yield brokers


class Topic:
    """A topic, and what an application sends to it."""

    def __init__(self, brokers: str, partitions: int = 2) -> None:
        self.brokers, self.name = brokers, f"docs-{secrets.token_hex(4)}"
        admin = AdminClient({"bootstrap.servers": brokers})
        admin.create_topics([NewTopic(self.name, partitions, 1)])[self.name].result(120)
        self._producer = Producer({"bootstrap.servers": brokers, "linger.ms": 0, "log_level": 0})

    @property
    def url(self) -> str:
        return f"kafka://{self.brokers}/{self.name}"

    def send(self, *messages: tuple[str | None, Any]) -> None:
        """(key, value): a value of bytes as it is, None as a deletion, all else as JSON."""
        for key, value in messages:
            data = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            self._producer.produce(self.name, key=key, value=data)
        assert self._producer.flush(120) == 0

    def deny(self, kind: ResourceType, operation: AclOperation) -> None:
        """Everybody, from now on: on the topic, or on the group that has its name."""
        binding = AclBinding(
            kind, self.name, ResourcePatternType.LITERAL, "User:*", "*", operation, AclPermissionType.DENY
        )
        admin = AdminClient({"bootstrap.servers": self.brokers})
        admin.create_acls([binding])[binding].result(120)

    def committed(self, group: str) -> int:
        """How many messages the group has taken down as read."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": group})
        places = consumer.committed([TopicPartition(self.name, number) for number in range(2)], timeout=120)
        consumer.close()
        return sum(max(place.offset, 0) for place in places)


@pytest.fixture
def topic(brokers: str) -> Topic:
    return Topic(brokers)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    async with store_of(tmp_path / "store", text={"text": 1.0}, id="_key") as index:
        yield index


def follow(topic: Topic, **settings: Any) -> FollowedSource:
    overrides = {"kafka.group": topic.name, "follow.batch_documents": 10} | settings
    return open_followed(topic.url, load_settings(environ={}, overrides=overrides))


OLD = FollowTarget("docs", "_key", is_new=False)


async def test_each_message_becomes_a_document_or_the_end_of_one(
    topic: Topic, index: EmbeddedIndex, tmp_path: Path
) -> None:
    topic.send(("a", {"text": "one"}), ("b", {"text": "two"}))
    async with following(follow(topic), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: texts == {"a": "one", "b": "two"})
        topic.send(("a", {"text": "first"}), ("b", None), ("c", {"text": "three"}), ("c", {"text": "third"}))
        topic.send(("nobody", None), *((f"many{number}", {"text": "many"}) for number in range(25)))
        await running.until(lambda texts: len(texts) == 27)
        texts = await running.until(lambda texts: texts["a"] == "first" and texts["c"] == "third")
        await running.until(lambda texts: topic.committed(topic.name) == 32)
        report = await running.end()

    assert "b" not in texts
    assert (report.counts.removed, report.counts.failed) == (1, 0)


async def test_messages_that_cannot_be_read_are_kept_with_their_reasons(
    topic: Topic, index: EmbeddedIndex, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects"
    broken = [("a", b"{"), ("b", [1]), (None, {"text": "no key"}), ("d", b"\0\0\0\0\1x"), ("e", {"other": 1})]
    async with following(follow(topic), index, rejects) as running:
        topic.send(("a", {"text": "one"}))
        await running.until(lambda texts: texts == {"a": "one"})
        topic.send(*broken, ("f", {"text": "six"}))
        texts = await running.until(lambda texts: "f" in texts and len(lines_of(rejects)) == 5)
        report = await running.end()
    reasons = [json.loads(line) for line in lines_of(rejects)]

    assert texts == {"a": "one", "f": "six"}
    assert report.counts.failed == 5
    for part in ("is not JSON", "not a JSON object", "no id in field '_key'", "schema registry", "has no text"):
        assert any(part in reason["reason"] for reason in reasons), (part, reasons)
    assert all(reason["origin"].startswith("partition ") for reason in reasons)


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def test_what_is_not_written_comes_again(topic: Topic, index: EmbeddedIndex, tmp_path: Path) -> None:
    topic.send(("a", {"text": "one"}))
    away = FailingIndex(index)
    async with following(follow(topic), away, tmp_path / "rejects", settings=IMPATIENT) as running:
        await running.until(lambda texts: set(texts) == {"a"})
        topic.send(("b", {"text": "two"}), ("a", None))
        await away.failed.wait()
        lag = running.follower._followed.lag()
        left = topic.committed(topic.name)
    async with following(follow(topic), index, tmp_path / "rejects", target=OLD) as running:
        await running.until(lambda texts: set(texts) == {"b"})
        report = await running.end()

    assert left == 1
    assert lag.seconds > 0
    assert report.counts.read == 1  # what was written is not read again


async def test_two_followers_share_the_partitions_and_hand_them_over(
    topic: Topic, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with following(follow(topic), index, tmp_path / "rejects", target=OLD) as first:
        topic.send(*((f"a{number}", {"text": "a"}) for number in range(20)))
        await first.until(lambda texts: len(texts) == 20)
        async with following(follow(topic), index, tmp_path / "rejects", target=OLD) as second:
            other: Any = second.follower._followed
            await first.until(lambda texts: other._consumer is not None and len(other._consumer.assignment()) == 1)
            topic.send(*((f"b{number}", {"text": "b"}) for number in range(20)))
            await first.until(lambda texts: len(texts) == 40)
            report = await second.end()
        topic.send(*((f"c{number}", {"text": "c"}) for number in range(20)))
        await first.until(lambda texts: len(texts) == 60)

    assert 0 < report.counts.written < 20


async def test_an_empty_index_is_filled_from_the_beginning(topic: Topic, index: EmbeddedIndex, tmp_path: Path) -> None:
    topic.send(("a", {"text": "one"}), ("b", {"text": "two"}))
    async with following(follow(topic), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: set(texts) == {"a", "b"})
    await index.remove(["a", "b"])
    async with following(follow(topic), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: set(texts) == {"a", "b"})


def test_the_fields_of_a_new_index_are_those_of_the_first_messages(topic: Topic) -> None:
    topic.send(("a", {"name": "One", "text": "long " * 50, "year": 2024}), ("b", None), ("c", b"{"))
    settings = load_settings(environ={})
    plan = make_plan(settings, follow(topic).source)
    named = load_settings(environ={}, overrides={"fields.id": "name", "fields.text": {"text": 1}})
    by_value = make_plan(named, follow(topic, **{"fields.id": "name"}).source)

    assert plan.fields.id == "_key"
    assert list(plan.fields.text) == ["name", "text"]
    assert plan.fields.metadata == {"year": "integer"}
    assert plan.unreadable == 1
    assert "_key" not in {column.column for column in by_value.columns}


async def test_what_is_not_there_is_said(topic: Topic) -> None:
    other = Topic.__new__(Topic)
    other.brokers, other.name = topic.brokers, "nothing-here"
    with pytest.raises(SourceError, match=f"no topic 'nothing-here'.*{topic.name}"):
        await follow(other).begin()
    with pytest.raises(SourceError, match="is no address of a topic"):
        open_followed("kafka://localhost:9092", load_settings(environ={}))
    with pytest.raises(SourceError, match="does not say what it no longer has"):
        open_followed(topic.url, load_settings(environ={}), delete_missing=True)
    with pytest.raises(SourceError, match="follow it: --follow"):
        open_source(topic.url)
    with pytest.raises(SourceError, match="No such configuration property"):
        await follow(topic, **{"kafka.options": {"securty.protocol": "SSL"}}).begin()


async def test_a_refusal_ends_it_with_what_the_user_needs(topic: Topic, index: EmbeddedIndex, tmp_path: Path) -> None:
    topic.send(("a", {"text": "one"}))
    needs = f"its user needs READ on the topic, and on the group {topic.name} "
    async with following(follow(topic), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: texts == {"a": "one"})
        topic.deny(ResourceType.TOPIC, AclOperation.READ)
        topic.send(("b", {"text": "two"}))
        report = await running.ended()
    topic.deny(ResourceType.TOPIC, AclOperation.DESCRIBE)

    assert report.stopped
    assert report.stopped.startswith(f"cannot read topic {topic.name}: ")
    assert needs in report.stopped
    with pytest.raises(SourceError, match=f"cannot read topic {topic.name}: .*authorization failed; {needs}"):
        await follow(topic).begin()
    other = Topic(topic.brokers)
    other.deny(ResourceType.GROUP, AclOperation.READ)
    followed = follow(other)
    with pytest.raises(SourceError, match=f"{other.name}: .*Group authorization failed; its user needs READ"):
        await anext(followed.steps(OLD))
    await followed.close()


async def test_a_broker_that_is_away_is_waited_for_and_its_failure_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client tries twenty times a second, and says so each time."""
    with held_port() as port:
        away = open_followed(f"kafka://127.0.0.1:{port}/docs", load_settings(environ={}))
        waiting = asyncio.create_task(anext(away.steps(OLD)))
        await until(lambda: any("Connection refused" in record.message for record in caplog.records))
        await asyncio.sleep(0.5)
        waiting.cancel()
        await asyncio.wait([waiting])
        await away.close()
        lines = [record.message for record in caplog.records if "Connection refused" in record.message]
        monkeypatch.setattr(kafka_topic, "ANSWER_S", 0.5)
        with pytest.raises(SourceError, match=f"no answer of 127.0.0.1:{port}: .* failed: Connection refused"):
            await away.begin()

    assert len(lines) == 1, lines
    assert lines[0].endswith("it is tried again")
