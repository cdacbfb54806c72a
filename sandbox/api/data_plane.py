"""What the control plane asks of real Kafka behind it. The API runs without one, too: then topics are only remembered.

Every call may come from any thread. A call that cannot do its work raises: `TopicError` for what Kafka refuses,
`ClusterUnavailable` for what does not answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

from sandbox.kafka.settings import ReplicatorSpec
from sandbox.kafka.topics import ClusterUnavailable, TopicError

__all__ = ["ClusterUnavailable", "DataPlane", "DataPoint", "ReplicatorSpec", "State", "Topic", "TopicError"]

State = Literal["CREATING", "RUNNING", "UPDATING", "DELETING", "FAILED"]


class Topic(Protocol):
    """A topic as MSK describes it; `configs` are those that were set on the topic itself."""

    @property
    def name(self) -> str: ...

    @property
    def partitions(self) -> int: ...

    @property
    def replication_factor(self) -> int: ...

    @property
    def configs(self) -> Mapping[str, str]: ...


class DataPoint(Protocol):
    """One value of a metric of the namespace `AWS/Kafka`, measured now."""

    @property
    def region(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> Mapping[str, str]: ...

    @property
    def value(self) -> float: ...

    @property
    def unit(self) -> str: ...


class DataPlane(Protocol):
    """Real Kafka: a cluster for a cluster's ARN, a copying process for a Replicator's ARN."""

    def start_cluster(self, arn: str, *, region: str) -> str:
        """Starts the cluster, with the data it had before if there was any; returns `host:port` once it answers.

        Does nothing but return when it runs already.
        """

    def delete_cluster(self, arn: str) -> None:
        """Stops the cluster and forgets its data."""

    def start_replicator(self, arn: str, spec: ReplicatorSpec) -> None:
        """Starts copying; `replicator_state` tells when it really does. A Replicator known before goes on.

        Does nothing when it runs already.
        """

    def update_replicator(self, arn: str, spec: ReplicatorSpec) -> None: ...

    def delete_replicator(self, arn: str) -> None:
        """Stops copying and forgets how far it had come."""

    def replicator_state(self, arn: str) -> tuple[str, str]:
        """A `State`, and for FAILED the reason."""

    def fail_region(self, region: str) -> None:
        """Freezes what runs in the Region. Nothing is started there before it is healed."""

    def heal_region(self, region: str) -> None: ...

    def create_topic(
        self, arn: str, name: str, *, partitions: int, configs: Mapping[str, str] | None, replication_factor: int
    ) -> Topic: ...

    def alter_topic(self, arn: str, name: str, *, partitions: int | None, configs: Mapping[str, str] | None) -> Topic:
        """Sets the number of partitions, replaces the topic's own configs; None leaves either as it is."""

    def delete_topic(self, arn: str, name: str) -> None: ...

    def list_topics(self, arn: str) -> Sequence[str]:
        """The names of the topics that are not internal."""

    def describe_topic(self, arn: str, name: str) -> Topic:
        """TopicError with `UNKNOWN_TOPIC_OR_PART` when there is none."""

    def metrics_of(self, arn: str) -> Iterable[DataPoint]:
        """What can be measured now of a cluster or Replicator; no point at all where nothing answers or runs."""

    def close(self) -> None:
        """Stops every process; data stays."""
