"""MSK's CloudWatch metrics, measured on the real processes. What does not answer gives no data point, never a zero."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sandbox.kafka.connect import Worker
from sandbox.kafka.processes import Process
from sandbox.kafka.settings import ReplicatorSpec
from sandbox.kafka.topics import Admin


@dataclass(frozen=True, kw_only=True)
class DataPoint:
    """One value of one metric of the namespace `AWS/Kafka`, as CloudWatch takes it."""

    region: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str = "None"


def of_cluster(arn: str, region: str, admin: Admin, agent_port: int, process: Process) -> Iterator[DataPoint]:
    yield from ()


def of_replicator(
    spec: ReplicatorSpec, source: Admin, target: Admin, worker: Worker, agent_port: int
) -> Iterator[DataPoint]:
    yield from ()
