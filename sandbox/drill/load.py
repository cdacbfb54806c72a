"""Producers and consumers as applications have them: they are moved from one side to the other, and remember.

A producer numbers its messages and sends again, on the side it is moved to, what was never acknowledged: as an
application with an outbox does. So a message can be in a log from two sendings; its value says which one it is.
"""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Delivered

from sandbox.drill.accounts import Message, Read, Record, Write
from sandbox.kafka.clients import records
from sandbox.kafka.topics import CLIENT

KEYS: Final = 60
"""Keys per producer and topic: enough that every partition gets some, few enough that each comes again and again."""

QUEUE: Final = 10_000
"""Messages that a producer holds while nobody takes them; then it is held back, as an application would be."""

COMMIT_SECONDS: Final = 0.5
"""How often a consumer commits what it has processed."""

GIVE_UP_SECONDS: Final = 20.0
"""How long clients that stop in good order may take."""


@dataclass(frozen=True)
class Value:
    """What a message says of itself."""

    message: Message
    side: str
    sent: float

    def encoded(self) -> bytes:
        return json.dumps([*self.message, self.side, round(self.sent, 4)]).encode()

    @classmethod
    def of(cls, record: Delivered) -> "Value":
        producer, number, side, sent = json.loads(record.value() or b"")
        return cls(Message(producer, number), side, sent)


class _Stay(threading.Thread):
    """A client on one side, until it is told to end."""

    def __init__(self, client: "_Client", bootstrap: str, side: str) -> None:
        super().__init__(name=f"{client.name} on the {side}", daemon=True)
        self.client = client
        self.bootstrap = bootstrap
        self.side = side
        self.over = threading.Event()
        self.patient = True
        """Not patient: the side is lost, nothing is waited for."""

    def run(self) -> None:
        self.client.work(self)


class _Client:
    """Works for one side at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._stay: _Stay | None = None

    def start(self, bootstrap: str, side: str) -> None:
        self._stay = _Stay(self, bootstrap, side)
        self._stay.start()

    def stop(self, *, patient: bool) -> _Stay | None:
        """Tells it to end, and gives what is to be waited for."""
        if self._stay is not None:
            self._stay.patient = patient
            self._stay.over.set()
        return self._stay

    def work(self, stay: _Stay) -> None:
        raise NotImplementedError


class Writer(_Client):
    """A producer with a steady rate, in turn to all topics. At least once: acks=all, idempotent."""

    def __init__(self, number: int, topics: Sequence[str], rate: float) -> None:
        super().__init__(f"producer-{number}")
        self.number = number
        self.topics = topics
        self.rate = rate
        self.writes: list[Write] = []
        self.unacknowledged: dict[Message, None] = {}
        """In the order of their first sending."""
        self._made = 0

    def work(self, stay: _Stay) -> None:
        producer = Producer(
            {
                **CLIENT,
                "bootstrap.servers": stay.bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": QUEUE,
                "client.id": self.name,
            }
        )
        owed = list(self.unacknowledged)
        began, due = time.monotonic(), 0
        while not stay.over.is_set():
            while owed and self._send(producer, owed[0], stay.side):
                owed.pop(0)
            wanted = int((time.monotonic() - began) * self.rate)
            while not owed and due < wanted and self._send(producer, Message(self.number, self._made), stay.side):
                self._made += 1
                due += 1
            producer.poll(0.01)
        if stay.patient:
            producer.flush(GIVE_UP_SECONDS)
        # What is still on its way then: the answer is "not acknowledged", whatever the broker makes of it.
        producer.purge()
        producer.flush(1)

    def _send(self, producer: Producer, message: Message, side: str) -> bool:
        """False when the queue is full."""
        topic = self.topics[message.number % len(self.topics)]
        key = f"{message.producer}-{message.number // len(self.topics) % KEYS}"
        value = Value(message, side, time.time())

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is None:
                self.unacknowledged.pop(message, None)
                self.writes.append(Write(message, topic, side, value.sent, time.time()))

        self.unacknowledged.setdefault(message)
        try:
            producer.produce(topic, value.encoded(), key.encode(), on_delivery=delivered)
        except BufferError:
            return False
        return True


class Reader(_Client):
    """The one member of a consumer group. Commits what it has processed, every assigned partition included."""

    def __init__(self, group: str, topics: Sequence[str]) -> None:
        super().__init__(group)
        self.topics = list(topics)
        self.reads: list[Read] = []

    def work(self, stay: _Stay) -> None:
        consumer = Consumer(
            {
                **CLIENT,
                "bootstrap.servers": stay.bootstrap,
                "group.id": self.name,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                # The end of a partition is a position too: one that was never committed has no lag, however much comes.
                "enable.partition.eof": True,
                "session.timeout.ms": 6000,
            }
        )
        consumer.subscribe(self.topics)
        done: dict[tuple[str, int], int] = {}
        next_commit = time.monotonic() + COMMIT_SECONDS
        while not stay.over.is_set():
            for record in consumer.consume(500, 0.05):
                self._process(record, stay.side, done)
            if done and time.monotonic() >= next_commit:
                _commit(consumer, done, wait=False)
                next_commit = time.monotonic() + COMMIT_SECONDS
        if stay.patient and done:
            _commit(consumer, done, wait=True)
        consumer.close()

    def _process(self, record: Delivered, side: str, done: dict[tuple[str, int], int]) -> None:
        topic, partition, offset = record.topic() or "", record.partition() or 0, record.offset() or 0
        error = record.error()
        if error is None:
            self.reads.append(Read(side, topic, partition, offset, Value.of(record).message, time.time()))
            done[topic, partition] = offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            done[topic, partition] = offset


def _commit(consumer: Consumer, done: dict[tuple[str, int], int], *, wait: bool) -> None:
    positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in done.items()]
    try:
        # The library declares the two ways as two functions.
        if wait:
            consumer.commit(offsets=positions, asynchronous=False)
        else:
            consumer.commit(offsets=positions, asynchronous=True)
    except KafkaException:
        return  # Nothing is lost by it: the next one says the same or more, and what is not committed is read again.


class Applications:
    """All producers and all groups."""

    def __init__(self, topics: Sequence[str], groups: dict[str, tuple[str, ...]], *, producers: int, rate: float):
        self.writers = [Writer(number, topics, rate / producers) for number in range(producers)]
        self.readers = [Reader(group, names) for group, names in groups.items()]

    def start_writers(self, bootstrap: str, side: str) -> None:
        for each in self.writers:
            each.start(bootstrap, side)

    def start_readers(self, bootstrap: str, side: str) -> None:
        for each in self.readers:
            each.start(bootstrap, side)

    def stop_writers(self) -> None:
        """Until all that was sent is acknowledged."""
        _join([each.stop(patient=True) for each in self.writers])

    def stop_readers(self) -> None:
        """Until what was processed is committed and the members have left their groups."""
        _join([each.stop(patient=True) for each in self.readers])

    def abandon(self) -> None:
        """The side is lost. Producers get back what was never acknowledged; consumers commit nothing."""
        for reader in self.readers:
            reader.stop(patient=False)  # Not waited for: it says good-bye when there is somebody to hear it.
        _join([each.stop(patient=False) for each in self.writers])

    @property
    def acknowledged(self) -> int:
        return sum(len(each.writes) for each in self.writers)

    @property
    def processed(self) -> int:
        return sum(len(each.reads) for each in self.readers)


def _join(threads: Sequence[_Stay | None]) -> None:
    for thread in threads:
        if thread is not None:
            thread.join(GIVE_UP_SECONDS + 5)
            if thread.is_alive():
                raise TimeoutError(f"{thread.name} did not stop within {GIVE_UP_SECONDS + 5:g} s.")


def log(bootstrap: str, topics: Sequence[str]) -> list[Record]:
    """What is in these topics now."""
    found = []
    for topic in topics:
        for each in records(bootstrap, topic, seconds=120):
            value = Value.of(each)
            found.append(Record(topic, each.partition() or 0, each.offset() or 0, value.message, value.side))
    return found
