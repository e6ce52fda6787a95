"""A Kafka topic that goes on.

How far was read is kept by the broker for the consumer group, and committed only once all of it is in the index. While
messages are written, the consumer is not asked for more, and so gives no partition away: nobody else writes newer
messages of a document before the older ones."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from connector.errors import SourceError
from connector.event_loop import in_own_thread
from connector.ingest.following.given_rows import GivenRows
from connector.ingest.following.kafka_messages import KEY_COLUMN, TopicMessage, oldest_of, to_changes, to_row
from connector.ingest.following.source import FollowTarget, SourceLag, SourceStep
from connector.ingest.sources import Row, Source
from connector.settings.sections import Settings

log = logging.getLogger(__name__)
GATHER_S = 0.3  # messages that come within it are written together
ANSWER_S = 10.0  # of a broker, at the start
DAY_MS = 86_400_000  # a write may last while the cluster is away, and gives no partition away meanwhile
SURVEYED = 1_000
SAY_AGAIN_S = 60.0  # the same failure of a broker, which the client repeats twenty times a second
REFUSALS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)


class _ClientLog:
    """The client's own log. The failures in it come as errors too, and are told once there."""

    def log(self, level: int, message: str, *parts: Any) -> None:
        log.log(logging.DEBUG if level >= logging.ERROR else level, message, *parts)


CLIENT_LOG = _ClientLog()


class FollowedTopic:
    """The documents of a topic, and what becomes of them."""

    def __init__(self, brokers: str, topic: str, settings: Settings) -> None:
        self._topic = topic
        self._most = settings.follow.batch_documents
        self._options = _options(brokers, settings)
        self.source: Source = TopicSample(topic, self._options, with_key=settings.fields.id is None)
        self._using = threading.Lock()  # what was left off may still be at work when all is closed
        self._begun: set[int] = set()
        self._consumer: Consumer | None = None
        self._oldest_s: float | None = None
        self._refused: str | None = None
        self._said_at: dict[int, float] = {}  # by the code of a failure

    async def will_make(self) -> list[str]:
        return []

    async def begin(self) -> None:
        await in_own_thread(_check_topic, self._topic, self._options)

    async def steps(self, target: FollowTarget) -> AsyncGenerator[SourceStep, None]:
        self._consumer = Consumer(self._options | {"error_cb": self._note_error, "logger": CLIENT_LOG})
        begin = self._from_the_beginning if target.is_new else _as_committed
        self._consumer.subscribe([self._topic], on_assign=begin)
        while True:
            messages = await in_own_thread(self._consume)
            if not messages:
                continue
            self._oldest_s = oldest_of(messages)
            rows, removed = to_changes(messages, target.id_column)
            yield SourceStep(GivenRows(rows) if rows else None, removed)
            await in_own_thread(self._commit, messages)
            self._oldest_s = None

    def lag(self) -> SourceLag:
        behind_s = max(time.time() - self._oldest_s, 0.0) if self._oldest_s is not None else 0.0
        return SourceLag(behind_s, self._waiting(), "messages")

    async def close(self) -> None:
        await in_own_thread(self._close)

    def _close(self) -> None:
        with self._using:
            if self._consumer:
                self._consumer.close()
            self._consumer = None

    def _consume(self) -> list[TopicMessage]:
        """What came within a moment. Raises SourceError where the broker refuses us."""
        found = []
        with self._using:
            messages = self._consumer.consume(self._most, GATHER_S) if self._consumer else []
        for message in messages:
            if error := message.error():
                self._note_error(error)
            else:
                found.append(_read(message))
        if self._refused:
            raise SourceError(f"cannot read topic {self._topic}: {self._refused}")
        return found

    def _commit(self, messages: list[TopicMessage]) -> None:
        """All of these are written; where that is not taken down, they come again, which makes no difference."""
        ends: dict[int, int] = {}
        for message in messages:
            ends[message.partition] = max(ends.get(message.partition, 0), message.offset + 1)
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in ends.items()]
        try:
            with self._using:
                if self._consumer:
                    self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("how far %s was read is not taken down (%s); some of it may come again", self._topic, error)

    def _waiting(self) -> int:
        """How many messages are not written yet, as far as the client knows."""
        if self._consumer is None:
            return 0
        waiting = 0
        try:
            for partition in self._consumer.position(self._consumer.assignment()):
                _, end = self._consumer.get_watermark_offsets(partition, cached=True)
                waiting += max(end - partition.offset, 0) if end >= 0 and partition.offset >= 0 else 0
        except (KafkaException, RuntimeError):  # the client's own for one that was closed is a RuntimeError
            log.debug("how many messages of %s wait is not known", self._topic, exc_info=True)
            return 0
        return waiting

    def _from_the_beginning(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """For an index that holds nothing, whatever the group has read; each partition once."""
        for partition in partitions:
            if partition.partition not in self._begun:
                partition.offset = OFFSET_BEGINNING
        self._begun |= {partition.partition for partition in partitions}
        consumer.assign(partitions)

    def _note_error(self, error: KafkaError) -> None:
        now_s = time.monotonic()
        if error.code() in REFUSALS or error.fatal():
            self._refused = f"{error.str().rstrip('.')}{_advice(error, self._options)}"
        elif now_s - self._said_at.get(error.code(), -SAY_AGAIN_S) >= SAY_AGAIN_S:
            self._said_at[error.code()] = now_s
            log.warning("topic %s: %s; it is tried again", self._topic, error.str())


class TopicSample:
    """The first messages of a topic, for the fields of a new index; nothing is committed."""

    id_field: str | None = KEY_COLUMN
    typed = True
    alike = False

    def __init__(self, topic: str, options: dict[str, Any], *, with_key: bool) -> None:
        self._topic = topic
        self._options = options
        self._with_key = with_key
        self.progress = 0.0
        self.notes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        consumer = Consumer(self._options | {"enable.partition.eof": True, "logger": CLIENT_LOG})
        try:
            found = consumer.list_topics(self._topic, ANSWER_S).topics[self._topic]
            places = [TopicPartition(self._topic, partition, OFFSET_BEGINNING) for partition in found.partitions]
            consumer.assign(places)
            left, given = len(places), 0
            while left and given < SURVEYED:
                message = consumer.poll(ANSWER_S)
                if message is None:
                    raise SourceError(f"the broker gives no messages of topic {self._topic} within {ANSWER_S:.0f} s")
                if error := message.error():
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise SourceError(f"cannot read topic {self._topic}: {error.str()}")
                    left -= 1
                elif row := to_row(_read(message), with_key=self._with_key):
                    given += 1
                    yield row
        except KafkaException as error:
            raise SourceError(f"cannot read topic {self._topic}: {error.args[0].str()}") from error
        finally:
            consumer.close()
        self.progress = 1.0


def _options(brokers: str, settings: Settings) -> dict[str, Any]:
    kafka = settings.kafka
    options: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "group.id": kafka.group or f"connector-{settings.index.name}",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "max.poll.interval.ms": DAY_MS,
        "client.id": "connector",
    }
    if kafka.username:
        options |= {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": kafka.username}
    if kafka.password:
        options["sasl.password"] = kafka.password.get_secret_value()
    return options | kafka.options


def _check_topic(topic: str, options: dict[str, Any]) -> None:
    """Raise SourceError where there is no such topic, no broker, or no leave to read it."""
    failures: list[KafkaError] = []
    try:
        consumer = Consumer(options | {"error_cb": failures.append, "logger": CLIENT_LOG})
    except KafkaException as error:
        raise SourceError(f"kafka.options cannot be used: {error.args[0].str()}") from error
    try:
        found = consumer.list_topics(topic, ANSWER_S).topics[topic]
        if found.error is not None and found.error.code() in REFUSALS:
            raise SourceError(f"cannot read topic {topic}: {found.error.str()}{_advice(found.error, options)}")
        if found.error is not None:
            names = sorted(name for name in consumer.list_topics(timeout=ANSWER_S).topics if not name.startswith("__"))
            raise SourceError(
                f"there is no topic {topic!r} ({found.error.str()}); the broker has: {', '.join(names[:10]) or 'none'}"
            )
    except KafkaException as error:
        consumer.poll(0.0)  # which hands over the failures
        causes = [failure for failure in failures if failure.code() != KafkaError._ALL_BROKERS_DOWN]
        reason = causes[-1] if causes else error.args[0]
        raise SourceError(f"no answer of {options['bootstrap.servers']}: {reason.str()}") from error
    finally:
        consumer.close()


def _advice(error: KafkaError, options: dict[str, Any]) -> str:
    """What to do about a refusal, behind its reason."""
    if error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
        return f"; its user needs READ on the topic, and on the group {options['group.id']} (kafka.group)"
    return ""


def _as_committed(consumer: Consumer, partitions: list[TopicPartition]) -> None:
    consumer.assign(partitions)


def _read(message: Any) -> TopicMessage:
    kind, sent_ms = message.timestamp()
    sent_s = sent_ms / 1000 if kind else None
    return TopicMessage(message.partition(), message.offset(), message.key(), message.value(), sent_s)
