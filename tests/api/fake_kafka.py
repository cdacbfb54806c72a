"""A data plane that does what a test tells it to, and remembers what it was asked."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.api.data_plane import ClusterUnavailable, ReplicatorSpec, Topic, TopicError
from sandbox.api.topics import Remembered


@dataclass(frozen=True, kw_only=True)
class Point:
    region: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str = "Count"


@dataclass
class FakeKafka:
    """Clusters come up once `up` is set; Replicators are in the state that `state` says."""

    up: threading.Event = field(default_factory=threading.Event)
    state: tuple[str, str] = ("RUNNING", "")
    broken: str | None = None
    silent: bool = False
    points: dict[str, tuple[Point, ...]] = field(default_factory=dict)
    slow: dict[str, threading.Event] = field(default_factory=dict)
    """What must be set before measuring something comes to its end."""
    asked: list[tuple[str, object]] = field(default_factory=list)
    topics: dict[tuple[str, str], Topic] = field(default_factory=dict)
    port: int = 20_000
    """Of the cluster that came up last."""

    def willing(self) -> None:
        """Everything works, nothing has been asked."""
        self.up.set()
        self.state, self.broken, self.silent, self.points = ("RUNNING", ""), None, False, {}
        self.slow = {}
        self.asked.clear()

    def start_cluster(self, arn: str, *, region: str) -> str:
        self.asked.append(("start_cluster", (arn, region)))
        assert self.up.wait(10)
        self.work()
        self.port += 1
        return f"127.0.0.1:{self.port}"

    def delete_cluster(self, arn: str) -> None:
        self.asked.append(("delete_cluster", arn))
        self.work()

    def start_replicator(self, arn: str, spec: ReplicatorSpec) -> None:
        self.asked.append(("start_replicator", spec))

    def update_replicator(self, arn: str, spec: ReplicatorSpec) -> None:
        self.asked.append(("update_replicator", spec))

    def delete_replicator(self, arn: str) -> None:
        self.asked.append(("delete_replicator", arn))
        self.work()

    def replicator_state(self, arn: str) -> tuple[str, str]:
        if self.silent:
            raise ClusterUnavailable("its Region has failed")
        return self.state

    def fail_region(self, region: str) -> None:
        self.asked.append(("fail_region", region))

    def heal_region(self, region: str) -> None:
        self.asked.append(("heal_region", region))

    def create_topic(
        self, arn: str, name: str, *, partitions: int, configs: Mapping[str, str] | None, replication_factor: int
    ) -> Topic:
        self.answer()
        if (configs or {}).get("retention.ms") == "-2":
            raise TopicError("INVALID_CONFIG", "Invalid value -2 for configuration retention.ms")
        self.topics[arn, name] = Remembered(
            name=name, partitions=partitions, replication_factor=3, configs=dict(configs or {})
        )
        return self.topics[arn, name]

    def alter_topic(self, arn: str, name: str, *, partitions: int | None, configs: Mapping[str, str] | None) -> Topic:
        topic = self.topics[arn, name]
        changed = topic.configs if configs is None else configs
        count = partitions or topic.partitions
        return self.create_topic(arn, name, partitions=count, configs=changed, replication_factor=3)

    def delete_topic(self, arn: str, name: str) -> None:
        del self.topics[arn, name]

    def list_topics(self, arn: str) -> Sequence[str]:
        self.answer()
        return [name for cluster, name in self.topics if cluster == arn]

    def describe_topic(self, arn: str, name: str) -> Topic:
        self.answer()
        if (arn, name) not in self.topics:
            raise TopicError("UNKNOWN_TOPIC_OR_PART", "Broker: Unknown topic or partition")
        return self.topics[arn, name]

    def work(self) -> None:
        if self.broken:
            raise RuntimeError(self.broken)

    def answer(self) -> None:
        if self.silent:
            raise ClusterUnavailable("127.0.0.1:1 does not answer")

    def metrics_of(self, arn: str) -> Iterable[Point]:
        assert arn not in self.slow or self.slow[arn].wait(10)
        return self.points.get(arn, ())

    def close(self) -> None:
        self.asked.append(("close", None))

    def calls(self, name: str) -> list[object]:
        return [what for call, what in self.asked if call == name]
