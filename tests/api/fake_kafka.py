"""A data plane that does what a test tells it to, and remembers what it was asked."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.api.data_plane import DataPoint, Partition, ReplicatorSpec, TopicDescription, TopicError


@dataclass
class FakeKafka:
    """Clusters come up once `up` is set; Replicators are in the state that `state` says."""

    up: threading.Event = field(default_factory=threading.Event)
    state: tuple[str, str] = ("RUNNING", "")
    broken: str | None = None
    points: tuple[DataPoint, ...] = ()
    asked: list[tuple[str, object]] = field(default_factory=list)
    topics: dict[tuple[str, str], TopicDescription] = field(default_factory=dict)
    port: int = 20_000
    """Of the cluster that came up last."""

    def willing(self) -> None:
        """Everything works, nothing has been asked."""
        self.up.set()
        self.state, self.broken, self.points = ("RUNNING", ""), None, ()
        self.asked.clear()

    def start_cluster(self, arn: str, *, region: str) -> str:
        self.asked.append(("start_cluster", (arn, region)))
        assert self.up.wait(10)
        if self.broken:
            raise RuntimeError(self.broken)
        self.port += 1
        return f"127.0.0.1:{self.port}"

    def delete_cluster(self, arn: str) -> None:
        self.asked.append(("delete_cluster", arn))

    def start_replicator(self, arn: str, spec: ReplicatorSpec) -> None:
        self.asked.append(("start_replicator", spec))

    def update_replicator(self, arn: str, spec: ReplicatorSpec) -> None:
        self.asked.append(("update_replicator", spec))

    def delete_replicator(self, arn: str) -> None:
        self.asked.append(("delete_replicator", arn))

    def replicator_state(self, arn: str) -> tuple[str, str]:
        return self.state

    def fail_region(self, region: str) -> None:
        self.asked.append(("fail_region", region))

    def heal_region(self, region: str) -> None:
        self.asked.append(("heal_region", region))

    def create_topic(
        self, cluster_arn: str, name: str, *, partitions: int, replication_factor: int, configs: Mapping[str, str]
    ) -> None:
        if configs.get("retention.ms") == "-2":
            raise TopicError("KafkaRequestException", "Invalid value -2 for configuration retention.ms")
        alone = tuple(Partition(partition=each, leader=1, replicas=(1,), isr=(1,)) for each in range(partitions))
        self.topics[cluster_arn, name] = TopicDescription(name=name, partitions=alone, configs=dict(configs))

    def alter_topic(
        self, cluster_arn: str, name: str, *, partitions: int | None, configs: Mapping[str, str] | None
    ) -> None:
        topic = self.topics.pop((cluster_arn, name))
        self.create_topic(
            cluster_arn,
            name,
            partitions=partitions or len(topic.partitions),
            replication_factor=1,
            configs=topic.configs if configs is None else configs,
        )

    def delete_topic(self, cluster_arn: str, name: str) -> None:
        del self.topics[cluster_arn, name]

    def list_topics(self, cluster_arn: str) -> Iterable[TopicDescription]:
        return [topic for (arn, _), topic in self.topics.items() if arn == cluster_arn]

    def describe_topic(self, cluster_arn: str, name: str) -> TopicDescription | None:
        return self.topics.get((cluster_arn, name))

    def metrics(self) -> Iterable[DataPoint]:
        return self.points

    def close(self) -> None:
        self.asked.append(("close", None))

    def calls(self, name: str) -> list[object]:
        return [what for call, what in self.asked if call == name]
