"""MSK's CloudWatch metrics, measured on the real processes. What does not answer gives no data point, never a zero.

Names, dimensions and Regions are MSK's (developer guide, msk-replicator-monitor and metrics-details, 2026-09). A
Replicator's are published in the Region it lives in, that of its target. Left out because nothing here could measure
them: `AuthError` (no authentication on loopback) and what needs more than one broker.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psutil
from confluent_kafka import TopicPartition

from sandbox.kafka.connect import NoAnswer, Worker, beans, keys
from sandbox.kafka.processes import LOG, Process
from sandbox.kafka.settings import CHECKPOINT_CONNECTOR, SOURCE_CONNECTOR, ReplicatorSpec, cluster_name
from sandbox.kafka.topics import Admin, ClusterUnavailable, TopicError

BROKER_ID: Final = "1"
MS, COUNT, BYTES, BYTES_PER_SECOND, PERCENT, SECONDS = (
    "Milliseconds",
    "Count",
    "Bytes",
    "Bytes/Second",
    "Percent",
    "Seconds",
)

_NO_ANSWER: Final = (NoAnswer, ClusterUnavailable, TopicError)
_SYNC_FAILED: Final = re.compile(r"Unable to sync offsets for consumer group [^\n]*\.\s*$", re.MULTILINE)
_GROUP_IN_USE: Final = "likely caused by consumers currently using this group"

_SOURCE_BEANS: Final = (
    "kafka.connect.mirror:type=MirrorSourceConnector,*",
    "kafka.consumer:type=consumer-fetch-manager-metrics,*",
    "kafka.producer:type=producer-topic-metrics,*",
    "kafka.producer:type=producer-metrics,*",
    "kafka.connect.mirror:type=MirrorCheckpointConnector,*",
)
_BROKER_RATES: Final = {
    "BytesInPerSec": ("kafka.server:name=BytesInPerSec,type=BrokerTopicMetrics", "OneMinuteRate", BYTES_PER_SECOND),
    "BytesOutPerSec": ("kafka.server:name=BytesOutPerSec,type=BrokerTopicMetrics", "OneMinuteRate", BYTES_PER_SECOND),
    "MessagesInPerSec": ("kafka.server:name=MessagesInPerSec,type=BrokerTopicMetrics", "OneMinuteRate", "Count/Second"),
    "PartitionCount": ("kafka.server:name=PartitionCount,type=ReplicaManager", "Value", COUNT),
    "LeaderCount": ("kafka.server:name=LeaderCount,type=ReplicaManager", "Value", COUNT),
    "ProduceThrottleTime": ("kafka.network:name=ThrottleTimeMs,request=Produce,type=RequestMetrics", "Mean", MS),
    "FetchThrottleTime": ("kafka.network:name=ThrottleTimeMs,request=FetchConsumer,type=RequestMetrics", "Mean", MS),
}
_CLUSTER_VALUES: Final = {
    "ActiveControllerCount": "kafka.controller:name=ActiveControllerCount,type=KafkaController",
    "GlobalTopicCount": "kafka.controller:name=GlobalTopicCount,type=KafkaController",
    "GlobalPartitionCount": "kafka.controller:name=GlobalPartitionCount,type=KafkaController",
}


@dataclass(frozen=True, kw_only=True)
class DataPoint:
    """One value of one metric of the namespace `AWS/Kafka`, as CloudWatch takes it."""

    region: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str = COUNT


class Meter:
    """Measures; remembers only what a difference between two measurements needs."""

    def __init__(self) -> None:
        self._cpu: dict[int, tuple[float, float, float]] = {}
        self._read: dict[str, int] = {}

    def cluster(self, arn: str, region: str, admin: Admin, agent_port: int, process: Process) -> Iterator[DataPoint]:
        """A cluster's own metrics and those of its consumer groups, in its Region."""
        whole = {"Cluster Name": cluster_name(arn)}
        broker = whole | {"Broker ID": BROKER_ID}
        patterns = [bean for bean, _, _ in _BROKER_RATES.values()]
        try:
            found = beans(agent_port, [*patterns, *_CLUSTER_VALUES.values(), "kafka.log:type=Log,name=Size,*"])
        except NoAnswer:
            return
        for (name, (bean, attribute, unit)), values in zip(_BROKER_RATES.items(), found, strict=False):
            if (value := _number(values.get(bean, {}).get(attribute))) is not None:
                yield DataPoint(region=region, name=name, dimensions=broker, value=value, unit=unit)
        for (name, bean), values in zip(_CLUSTER_VALUES.items(), found[len(_BROKER_RATES) :], strict=False):
            if (value := _number(values.get(bean, {}).get("Value"))) is not None:
                yield DataPoint(region=region, name=name, dimensions=whole, value=value)
        stored = float(sum(log["Value"] for log in found[-1].values()))
        yield DataPoint(region=region, name="StorageUsed", dimensions=whole, value=stored, unit=BYTES)
        for name, value in self._cpu_use(process):
            yield DataPoint(region=region, name=name, dimensions=broker, value=value, unit=PERCENT)
        yield from consumer_lag(arn, region, admin)

    def _cpu_use(self, process: Process) -> Iterator[tuple[str, float]]:
        """Percent of one CPU since the last measurement; nothing the first time."""
        if process.pid is None:
            return
        try:
            used = psutil.Process(process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return
        now = time.monotonic()
        before = self._cpu.get(process.pid)
        self._cpu[process.pid] = now, used.user, used.system
        if before and now > before[0]:
            yield "CpuUser", 100 * (used.user - before[1]) / (now - before[0])
            yield "CpuSystem", 100 * (used.system - before[2]) / (now - before[0])

    def replicator(
        self, spec: ReplicatorSpec, source: Admin, target: Admin, worker: Worker, agent_port: int, process: Process
    ) -> Iterator[DataPoint]:
        """A Replicator's metrics, in its Region.

        A source that is down leaves what is measured of it without data: latency, lag and both rates.
        """
        mine = {"ReplicatorName": spec.name}

        def point(name: str, value: float, unit: str = COUNT, **more: str) -> DataPoint:
            return DataPoint(region=spec.region, name=name, dimensions=mine | more, value=value, unit=unit)

        dead = worker.dead() if process.running else {SOURCE_CONNECTOR: "process", CHECKPOINT_CONNECTOR: "process"}
        yield point("ReplicatorFailure", len(dead))
        yield point("ReplicationFailures", int(SOURCE_CONNECTOR in dead))
        sync_failures = self._sync_failures(process) + int(CHECKPOINT_CONNECTOR in dead)
        yield point("ConsumerGroupOffsetSyncFailure", sync_failures)
        if not process.running:
            return
        up = {}
        for alias, admin in ((spec.source_alias, source), (spec.target_alias, target)):
            up[alias] = admin.answers()
            if up[alias]:
                yield point("KafkaClusterPingSuccessCount", 1, ClusterAlias=alias)
        try:
            mirrored, consumers, written, producers, checkpoints = beans(agent_port, _SOURCE_BEANS)
            copied = worker.partitions()
        except NoAnswer:
            return
        topics = sorted({topic for topic, _ in copied})
        yield point("TopicCount", len(topics))
        yield point("ConsumerGroupCount", len({keys(bean)["group"] for bean in checkpoints}))
        if up[spec.target_alias]:
            throttled = _most(_of_copying(producers), "produce-throttle-time-max")
            yield point("ThrottleTime", throttled, MS, ClusterAlias=spec.target_alias)
        if not up[spec.source_alias]:
            return
        throttled = _most(_of_copying(consumers), "fetch-throttle-time-max")
        yield point("ThrottleTime", throttled, MS, ClusterAlias=spec.source_alias)

        latencies = {topic: 0.0 for topic in topics}
        for bean, values in mirrored.items():
            name = keys(bean).get("topic", "")
            # The bean names the topic as it is on the target.
            topic = name if spec.identical else name.removeprefix(f"{spec.source_alias}.")
            if topic in latencies:
                latencies[topic] = max(latencies[topic], _number(values.get("replication-latency-ms-max")) or 0.0)
        rates = {topic: 0.0 for topic in topics}
        for bean, counts in _of_copying(written).items():
            name = keys(bean)["topic"]
            topic = name if spec.identical else name.removeprefix(f"{spec.source_alias}.")
            rates[topic] = _number(counts.get("byte-rate")) or 0.0
        if topics:
            yield point("ReplicationLatency", max(latencies.values()), MS)
        for topic, value in latencies.items():
            yield point("ReplicationLatency", value, MS, Topic=topic)
        for topic, value in rates.items():
            yield point("ReplicatorThroughput", value, BYTES_PER_SECOND, Topic=topic)
        yield point("ReplicatorThroughput", sum(rates.values()), BYTES_PER_SECOND)
        whole = [values for bean, values in _of_copying(consumers).items() if "topic" not in keys(bean)]
        read = sum(_number(values.get("bytes-consumed-rate")) or 0.0 for values in whole)
        yield point("ReplicatorBytesInPerSec", read, BYTES_PER_SECOND)
        try:
            lags = message_lag(spec, source, worker, copied, consumers)
        except _NO_ANSWER:
            return
        for topic, lag in lags.items():
            yield point("MessageLag", lag, Topic=topic)
        yield point("MessageLag", sum(lags.values()))

    def _sync_failures(self, process: Process) -> int:
        """What the log has of failed offset commits since the last measurement. A group in use is no failure."""
        file = process.folder / LOG
        start = self._read.get(str(file))
        try:
            with file.open("rb") as log:
                # Whatever an earlier run of the program wrote was that one's to report.
                log.seek(start or 0)
                text = log.read()
        except FileNotFoundError:
            return 0
        whole = text.rfind(b"\n") + 1
        self._read[str(file)] = (start or 0) + whole
        if start is None:
            return 0
        lines = _SYNC_FAILED.findall(text[:whole].decode(errors="replace"))
        return sum(_GROUP_IN_USE not in line for line in lines)


def message_lag(
    spec: ReplicatorSpec,
    source: Admin,
    worker: Worker,
    copied: Iterable[tuple[str, int]],
    consumers: Mapping[str, Mapping[str, Any]],
) -> dict[str, int]:
    """Records of the source, by topic, that the Replicator has not read yet.

    The ends are asked of the source at this moment. The Replicator's own `records-lag` would not do: it is that of its
    last fetch and stays 0 while a source is away and comes back with more.
    """
    partitions = [TopicPartition(topic, partition) for topic, partition in sorted(copied)]
    ends, starts = source.offsets(partitions), source.offsets(partitions, earliest=True)
    positions = {}
    for bean, values in _of_copying(consumers).items():
        lead = _number(values.get("records-lead"))
        if lead is not None:
            where = keys(bean)["topic"], int(keys(bean)["partition"])
            # "Lead" is the distance from the beginning, and changes only when records are read.
            positions[where] = starts.get(where, 0) + int(lead)
    for where, offset in worker.committed().items():
        positions.setdefault(where, offset + 1)
    lags: dict[str, int] = defaultdict(int)
    for where, end in ends.items():
        # What was never read from begins where the settings say.
        position = positions.get(where, starts[where] if spec.starting_position == "EARLIEST" else end)
        lags[where[0]] += max(0, end - position)
    return dict(lags)


def consumer_lag(arn: str, region: str, admin: Admin) -> Iterator[DataPoint]:
    """Lag of the cluster's consumer groups by topic: records, and the age of the oldest record not consumed.

    As MSK does it, of groups that are stable or empty and have committed something.
    """
    try:
        names = [group for group, state in admin.groups().items() if state in ("STABLE", "EMPTY")]
        committed = [each for group in names for each in admin.group_offsets(group)]
        ends = admin.offsets([TopicPartition(t, p) for t, p in sorted({(c.topic, c.partition) for c in committed})])
        behind = [each for each in committed if ends[each.topic, each.partition] > each.committed]
        ages = admin.ages([TopicPartition(each.topic, each.partition, each.committed) for each in behind])
    except _NO_ANSWER:
        return
    lags: dict[tuple[str, str], list[int]] = defaultdict(list)
    oldest: dict[tuple[str, str], float] = defaultdict(float)
    for each in committed:
        key = each.group, each.topic
        lags[key].append(max(0, ends[each.topic, each.partition] - each.committed))
        oldest[key] = max(oldest[key], ages.get((each.topic, each.partition, each.committed), 0.0))
    for (group, topic), values in lags.items():
        dimensions = {"Cluster Name": cluster_name(arn), "Consumer Group": group, "Topic": topic}
        found = (
            ("MaxOffsetLag", max(values), COUNT),
            ("SumOffsetLag", sum(values), COUNT),
            ("EstimatedMaxTimeLag", oldest[group, topic], SECONDS),
        )
        for name, value, unit in found:
            yield DataPoint(region=region, name=name, dimensions=dimensions, value=value, unit=unit)


def _of_copying(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Only the beans of the clients that copy topics: a Replicator has others for its own bookkeeping."""
    ours = (f"|{SOURCE_CONNECTOR}-0|replication-consumer", f"connector-producer-{SOURCE_CONNECTOR}-0")
    return {bean: values for bean, values in found.items() if keys(bean).get("client-id", "").endswith(ours)}


def _most(found: Mapping[str, Mapping[str, Any]], attribute: str) -> float:
    return max((_number(values.get(attribute)) or 0.0 for values in found.values()), default=0.0)


def _number(value: object) -> float | None:
    """A measured number; None for what was not measured yet, which the agent gives as null or as text."""
    return float(value) if isinstance(value, int | float) else None
