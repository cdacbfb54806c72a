"""What is in a topic, as a fresh consumer sees it."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from sandbox.kafka.topics import CLIENT


def records(bootstrap: str, topic: str, *, seconds: float = 15) -> list[Message]:
    """All records of the topic, with headers and timestamps. No group has a part in it."""
    reader = Consumer(
        {
            **CLIENT,
            "bootstrap.servers": bootstrap,
            "group.id": "reads-everything",  # asked for by the library; nothing is committed, so it never exists
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    found: list[Message] = []
    try:
        known = reader.list_topics(topic, timeout=seconds).topics[topic]
        ends: dict[int, int] = {}
        for partition in known.partitions:
            # What arrives from now on is left out, so that a topic which grows all the time has an end as well.
            first, last = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=seconds)
            if last > first:
                ends[partition] = last
        reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        deadline = time.monotonic() + seconds
        while ends:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{bootstrap} did not give all of {topic} within {seconds:g} s.")
            record = reader.poll(0.2)
            if record is None:
                continue
            partition = record.partition() or 0
            if record.error():
                ends.pop(partition, None)  # the end of the partition
                continue
            if partition in ends:
                found.append(record)
                if (record.offset() or 0) >= ends[partition] - 1:
                    del ends[partition]
    finally:
        reader.close()
    return sorted(found, key=lambda record: (record.partition() or 0, record.offset() or 0))
