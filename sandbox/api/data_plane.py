"""What the control plane asks of real Kafka behind it. The API runs without one, too: then topics are only remembered.

Every call may come from any thread. A call that cannot do its work raises; `TopicError` for what Kafka refuses.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["CREATING", "RUNNING", "UPDATING", "DELETING", "FAILED"]


@dataclass(frozen=True, kw_only=True)
class ReplicatorSpec:
    """Everything that decides what a Replicator copies. Topics and groups are regular expressions, whole names."""

    name: str
    region: str
    source_arn: str
    target_arn: str
    source_alias: str
    target_alias: str
    topics: tuple[str, ...]
    exclude_topics: tuple[str, ...]
    groups: tuple[str, ...]
    exclude_groups: tuple[str, ...]
    starting_position: str
    """`LATEST` or `EARLIEST`."""
    topic_names: str
    """`IDENTICAL` or `PREFIXED_WITH_SOURCE_CLUSTER_ALIAS`."""
    offset_sync_mode: str
    """`LEGACY` or `ENHANCED`."""
    synchronise_offsets: bool
    detect_new_topics: bool
    detect_new_groups: bool
    copy_topic_configurations: bool
    compression: str
    """`NONE`, `GZIP`, `SNAPPY`, `LZ4` or `ZSTD`."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition of a topic, by the ids of its brokers."""

    partition: int
    leader: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TopicDescription:
    """A topic as Kafka tells of it; `configs` are those that were set on the topic itself."""

    name: str
    partitions: tuple[Partition, ...]
    configs: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class DataPoint:
    """One value of a CloudWatch metric, measured now."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str
    region: str


class TopicError(Exception):
    """Kafka refused. `code` is MSK's name for it, such as `TopicExistsException`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DataPlane(Protocol):
    """Real Kafka: a cluster for a cluster's ARN, a copying process for a Replicator's ARN."""

    def start_cluster(self, arn: str, *, region: str) -> str:
        """Starts the cluster, with the data it had before if there was any; returns `host:port` once it answers."""

    def delete_cluster(self, arn: str) -> None:
        """Stops the cluster and forgets its data."""

    def start_replicator(self, arn: str, spec: ReplicatorSpec) -> None:
        """Starts copying; `replicator_state` tells when it really does. A Replicator known before goes on."""

    def update_replicator(self, arn: str, spec: ReplicatorSpec) -> None: ...

    def delete_replicator(self, arn: str) -> None:
        """Stops copying and forgets how far it had come."""

    def replicator_state(self, arn: str) -> tuple[str, str]:
        """A `State`, and for FAILED the reason."""

    def fail_region(self, region: str) -> None: ...

    def heal_region(self, region: str) -> None: ...

    def create_topic(
        self, cluster_arn: str, name: str, *, partitions: int, replication_factor: int, configs: Mapping[str, str]
    ) -> None: ...

    def alter_topic(
        self, cluster_arn: str, name: str, *, partitions: int | None, configs: Mapping[str, str] | None
    ) -> None:
        """Sets the number of partitions, replaces the topic's own configs; None leaves either as it is."""

    def delete_topic(self, cluster_arn: str, name: str) -> None: ...

    def list_topics(self, cluster_arn: str) -> Iterable[TopicDescription]: ...

    def describe_topic(self, cluster_arn: str, name: str) -> TopicDescription | None: ...

    def metrics(self) -> Iterable[DataPoint]:
        """What can be measured now; no point at all where a cluster does not answer."""

    def close(self) -> None:
        """Stops every process; data stays."""
