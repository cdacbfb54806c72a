"""Producers and consumers as applications have them."""

import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from sandbox.kafka.clients import records
from sandbox.kafka.topics import CLIENT

PARTITIONER: Final = -1
NOW: Final = 0
"""What the library takes for a partition of its own choice, and for the time of the call."""


def produce(
    bootstrap: str,
    topic: str,
    messages: Iterable[str],
    *,
    partition: int = PARTITIONER,
    timestamp_ms: int = NOW,
    seconds: float = 15,
) -> None:
    """Writes the messages and waits until the broker has them all; KafkaException when it refuses one."""
    refused: list[KafkaException] = []

    def delivered(error: object, _: Message) -> None:
        if error is not None:
            refused.append(KafkaException(error))

    producer = Producer(
        {
            **CLIENT,
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "delivery.timeout.ms": int(seconds * 1000),
            # How long a topic may stay unknown: the library waits half a minute for one to be created.
            "topic.metadata.propagation.max.ms": 2000,
        }
    )
    for message in messages:
        producer.produce(topic, message.encode(), partition=partition, timestamp=timestamp_ms, on_delivery=delivered)
        producer.poll(0)
    if producer.flush(seconds + 1):
        raise TimeoutError(f"{bootstrap} did not take all messages for {topic} within {seconds:g} s.")
    if refused:
        raise refused[0]


def consume(bootstrap: str, topic: str, group: str, expected: int, *, seconds: float = 30) -> list[str]:
    """What a consumer of the group reads until it has `expected` messages and stands at the end of all partitions.

    Whatever it is given beyond that comes along. It commits what it has read, and leaves the group.
    """
    consumer = Consumer(
        {
            **CLIENT,
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "session.timeout.ms": 6000,
        }
    )
    found: list[str] = []
    at_end: dict[int, int] = {}
    try:
        consumer.subscribe([topic])
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            record = consumer.poll(0.2)
            if record is None:
                assigned = {each.partition for each in consumer.assignment()}
                if assigned and assigned <= at_end.keys() and len(found) >= expected:
                    break
            elif record.error():
                at_end[record.partition() or 0] = record.offset() or 0
            else:
                at_end.pop(record.partition() or 0, None)
                found.append((record.value() or b"").decode())
        # As Java's consumer does it, also where there was nothing to read: a partition without a committed position has
        # no lag, however much comes later.
        done = [TopicPartition(topic, partition, offset) for partition, offset in at_end.items()]
        if done:
            consumer.commit(offsets=done, asynchronous=False)
    finally:
        consumer.close()
    return found


def everything(bootstrap: str, topic: str, *, seconds: float = 15) -> list[str]:
    """All that is in the topic now, as a fresh consumer from the beginning sees it; partition after partition."""
    return [(record.value() or b"").decode() for record in records(bootstrap, topic, seconds=seconds)]
