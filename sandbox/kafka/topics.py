"""Topics of one cluster through Kafka's admin protocol, with the rules of Express brokers."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package exports them without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from sandbox.kafka.settings import EXPRESS_REPLICATION_FACTOR, is_internal

T = TypeVar("T")

SECONDS: Final = 5.0
"""How long a request may take; a frozen cluster answers none."""

PING_SECONDS: Final = 2.0

AGES_SECONDS: Final = 1.0
"""How long the records at one place of every partition may take to come."""

_RECORDS: Final = 1000
_POLL: Final = 0.05

CLIENT: Final[Mapping[str, str | int]] = {
    "reconnect.backoff.max.ms": 1000,
    "socket.connection.setup.timeout.ms": 3000,
    # What a client of a stopped cluster has to say goes to the caller as an error, not to the terminal.
    "log_level": 0,
}
"""Settings of every client here, so that a cluster which comes back is noticed within a second."""


class TopicError(Exception):
    """A topic request that Kafka refused; `code` is Kafka's name of the error, `TOPIC_ALREADY_EXISTS` for example."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class ClusterUnavailable(Exception):
    """The cluster does not answer."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic as MSK describes it. `configs` are the settings that the topic itself has."""

    name: str
    topic_id: str
    partitions: int
    replication_factor: int = EXPRESS_REPLICATION_FACTOR
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupOffset:
    """Where a consumer group stands in one partition."""

    group: str
    topic: str
    partition: int
    committed: int


class Admin:
    """The admin protocol of the cluster at `bootstrap`. Every call takes `SECONDS` at most, or raises."""

    def __init__(self, bootstrap: str, *, seconds: float = SECONDS) -> None:
        self.bootstrap = bootstrap
        self.seconds = seconds
        self._client = AdminClient({**CLIENT, "bootstrap.servers": bootstrap})

    def answers(self) -> bool:
        """Whether the broker takes requests. Asks anew each time: a connection alone proves nothing."""
        try:
            return bool(self._client.list_topics(timeout=PING_SECONDS).brokers)
        except KafkaException:
            return False

    def create(
        self, name: str, *, partitions: int, configs: Mapping[str, str] | None = None, replication_factor: int = -1
    ) -> Topic:
        """Creates a topic; TopicError when Kafka refuses it. Express knows one replication factor, 3 (-1 means it)."""
        if replication_factor not in (-1, EXPRESS_REPLICATION_FACTOR):
            raise TopicError(
                "INVALID_REPLICATION_FACTOR",
                f"replication factor is {replication_factor}; topics on Express brokers have "
                f"{EXPRESS_REPLICATION_FACTOR}. Set {EXPRESS_REPLICATION_FACTOR}.",
            )
        wanted = NewTopic(name, num_partitions=partitions, replication_factor=-1, config=dict(configs or {}))
        self._one(self._client.create_topics([wanted], request_timeout=self.seconds))
        return self._described(name, partitions, dict(configs or {}))

    def delete(self, name: str) -> None:
        self._one(self._client.delete_topics([name], request_timeout=self.seconds))

    def names(self, *, internal: bool = False) -> list[str]:
        """All topics, in order; Kafka's own and the Replicators' only when asked for."""
        try:
            found = self._client.list_topics(timeout=self.seconds).topics
        except KafkaException as error:
            raise self._translated(error) from None
        return sorted(name for name in found if internal or not is_internal(name))

    def describe(self, name: str) -> Topic:
        found = self._one(self._client.describe_topics(TopicCollection([name]), request_timeout=self.seconds))
        return Topic(
            name=name,
            topic_id=str(found.topic_id),
            partitions=len(found.partitions),
            configs=self.configs(name),
        )

    def configs(self, name: str) -> dict[str, str]:
        """The settings that the topic itself has, without defaults."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        entries: dict[str, ConfigEntry] = self._one(
            self._client.describe_configs([resource], request_timeout=self.seconds)
        )
        own: object = ConfigSource.DYNAMIC_TOPIC_CONFIG.value  # the library gives the number, not the member
        return {key: str(entry.value) for key, entry in sorted(entries.items()) if entry.source == own}

    def alter(self, name: str, *, partitions: int | None = None, configs: Mapping[str, str] | None = None) -> Topic:
        """Raises the number of partitions, and makes `configs` the topic's own settings: others go back to defaults."""
        if partitions is not None and partitions != self.describe(name).partitions:
            self._one(self._client.create_partitions([NewPartitions(name, partitions)], request_timeout=self.seconds))
        if configs is not None:
            gone = self.configs(name).keys() - configs.keys()
            set_, delete = AlterConfigOpType.SET, AlterConfigOpType.DELETE
            entries = [ConfigEntry(key, value, incremental_operation=set_) for key, value in configs.items()]
            entries += [ConfigEntry(key, None, incremental_operation=delete) for key in gone]
            if entries:
                resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
                self._one(self._client.incremental_alter_configs([resource], request_timeout=self.seconds))
        return self._described(name, partitions, configs)

    def _described(self, name: str, partitions: int | None, configs: Mapping[str, str] | None) -> Topic:
        """The topic as it has just been made: the broker learns of it a moment after the controller has agreed."""
        end = time.monotonic() + self.seconds
        while True:
            try:
                topic = self.describe(name)
            except TopicError:
                if time.monotonic() > end:
                    raise
            else:
                as_asked = partitions in (None, topic.partitions) and configs in (None, topic.configs)
                if as_asked or time.monotonic() > end:
                    return topic
            time.sleep(0.05)

    def groups(self) -> dict[str, str]:
        """Consumer groups and their states, `STABLE` or `EMPTY` for example."""
        found = self._of_groups(lambda: self._result(self._client.list_consumer_groups(request_timeout=self.seconds)))
        return {group.group_id: group.state.name for group in found.valid}

    def group_offsets(self, group: str) -> list[GroupOffset]:
        """What the group has committed."""
        # Asked as a member would, without becoming one: librdkafka's own request for this ends the whole program when
        # the coordinator is not there yet (confluentinc/librdkafka#5040, open in 2026-11).
        reader = Consumer(
            {**CLIENT, "bootstrap.servers": self.bootstrap, "group.id": group, "enable.auto.commit": False}
        )
        try:
            asked = self.partitions(self.names())
            found = self._of_groups(lambda: reader.committed(asked, timeout=self.seconds)) if asked else []
        finally:
            reader.close()
        return [
            GroupOffset(group, each.topic, each.partition, each.offset)
            for each in sorted(found, key=lambda each: (each.topic, each.partition))
            if each.offset >= 0
        ]

    def partitions(self, topics: list[str]) -> list[TopicPartition]:
        """All partitions of those of the topics that exist."""
        try:
            found = self._client.list_topics(timeout=self.seconds).topics
        except KafkaException as error:
            raise self._translated(error) from None
        return [TopicPartition(name, each) for name in topics if name in found for each in found[name].partitions]

    def offsets(self, partitions: list[TopicPartition], *, earliest: bool = False) -> dict[tuple[str, int], int]:
        """The end (or the beginning) of each partition."""
        if not partitions:
            return {}
        where: OffsetSpec = OffsetSpec.earliest() if earliest else OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = self._client.list_offsets({each: where for each in partitions}, request_timeout=self.seconds)
        return {(each.topic, each.partition): int(self._result(future).offset) for each, future in asked.items()}

    def ages(self, partitions: list[TopicPartition]) -> dict[tuple[str, int, int], float]:
        """For each position the seconds since its record was produced. What does not come in time is left out."""
        found: dict[tuple[str, int, int], float] = {}
        if not partitions:
            return found
        reader = Consumer(
            {
                **CLIENT,
                "bootstrap.servers": self.bootstrap,
                "group.id": "reads-one-record",  # asked for by the library; nothing is committed, so it never exists
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.message.max.bytes": 64 << 10,
                # A request that waits at a partition's end for more would hold up the next round.
                "fetch.wait.max.ms": 10,
            }
        )
        # Groups can stand at different places of the same partition, and a reader at one: as many rounds as places.
        rounds: list[dict[tuple[str, int], TopicPartition]] = []
        for each in {(each.topic, each.partition, each.offset): each for each in partitions}.values():
            where = each.topic, each.partition
            free = next((places for places in rounds if where not in places), None)
            if free is None:
                rounds.append(free := {})
            free[where] = each
        try:
            for places in rounds:
                reader.assign(list(places.values()))
                end = time.monotonic() + AGES_SECONDS
                while places and (left := end - time.monotonic()) > 0:
                    for record in reader.consume(_RECORDS, min(left, _POLL)):
                        place = places.pop((str(record.topic()), record.partition() or 0), None)
                        if place is not None and not record.error():
                            _, produced = record.timestamp()
                            age = max(0.0, time.time() - produced / 1000)
                            found[place.topic, place.partition, place.offset] = age
        finally:
            reader.close()
        return found

    def _of_groups(self, ask: Callable[[], T]) -> T:
        """The answer of a group coordinator, which a broker that has just started does not give at once."""
        end = time.monotonic() + self.seconds
        while True:
            try:
                return ask()
            except (KafkaException, TopicError) as error:
                if "coordinator" not in str(error).lower() or time.monotonic() > end:
                    raise self._translated(error) if isinstance(error, KafkaException) else error from None
            time.sleep(0.1)

    def _one(self, futures: Mapping[Any, Future[T]]) -> T:
        (future,) = futures.values()
        return self._result(future)

    def _result(self, future: Future[T]) -> T:
        try:
            return future.result(self.seconds + 1)
        except (KafkaException, TimeoutError) as error:
            raise self._translated(error) from None

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            return ClusterUnavailable(f"{self.bootstrap} did not answer within {self.seconds:g} s.")
        reason: KafkaError = error.args[0]
        unanswered = (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
        if reason.code() in (*unanswered, KafkaError.REQUEST_TIMED_OUT):
            return ClusterUnavailable(f"{self.bootstrap} does not answer: {reason.str()}.")
        return TopicError(reason.name(), reason.str())
