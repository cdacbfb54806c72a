"""Two clusters for all tests here; each test has topics, groups and Replicators of its own."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox.kafka import DataPlane, ReplicatorSpec
from sandbox.kafka.runtime import KafkaRuntime, ensure_runtime
from sandbox.kafka.settings import NEW_GROUP_SECONDS
from tests.kafka.clients import everything

A = "arn:aws:kafka:us-east-1:123456789012:cluster/pair-primary/aaaaaaaa-0000-0000-0000-000000000000-1"
B = "arn:aws:kafka:us-east-2:123456789012:cluster/pair-secondary/bbbbbbbb-0000-0000-0000-000000000000-1"
REGIONS = {A: "us-east-1", B: "us-east-2"}
ALIASES = {A: "pair-primary", B: "pair-secondary"}


def eventually(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Waits until the condition holds; the test fails when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


@dataclass
class Pair:
    """Clusters A and B, and what a test needs to use them."""

    plane: DataPlane
    a: str
    b: str
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def name(self, stem: str) -> str:
        return f"{stem}-{next(self.numbers)}"

    def topic(self, *arns: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        """A new topic on these clusters."""
        name = self.name("topic")
        for arn in arns:
            self.plane.create_topic(arn, name, partitions=partitions, configs=configs)
        return name

    def replicate(self, source: str, target: str, **settings: object) -> str:
        """A Replicator that a test takes with its settings; its ARN. It is deleted when the test ends."""
        name = self.name("replicator")
        spec = ReplicatorSpec(
            name=name,
            region=REGIONS[target],
            source_arn=source,
            target_arn=target,
            source_alias=ALIASES[source],
            target_alias=ALIASES[target],
            **settings,  # type: ignore[arg-type]
        )
        arn = f"arn:aws:kafka:{REGIONS[target]}:123456789012:replicator/{name}/0"
        self.plane.start_replicator(arn, spec)
        return arn

    def has(self, bootstrap: str, topic: str, messages: list[str]) -> None:
        """The topic gets exactly these messages, in whatever order."""
        arn = A if bootstrap == self.a else B
        eventually(lambda: topic in self.plane.list_topics(arn), f"{topic} there")
        eventually(lambda: len(everything(bootstrap, topic)) >= len(messages), f"{len(messages)} messages in {topic}")
        assert sorted(everything(bootstrap, topic)) == sorted(messages)

    def placed(self, arn: str, group: str, topic: str, offset: int) -> None:
        """The group gets this position in partition 0, and the Replicator knows that it has."""
        eventually(lambda: self.offset(arn, group, topic) == offset, f"position {offset} of {group}")
        time.sleep(NEW_GROUP_SECONDS)

    def offset(self, arn: str, group: str, topic: str) -> int | None:
        """What the group has committed in partition 0."""
        found = [each.committed for each in self.plane.admin(arn).group_offsets(group) if each.topic == topic]
        return found[0] if found else None


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("plane")
    with DataPlane(folder) as plane:
        yield Pair(plane, plane.start_cluster(A, region=REGIONS[A]), plane.start_cluster(B, region=REGIONS[B]))


@pytest.fixture
def pair(clusters: Pair) -> Iterator[Pair]:
    yield clusters
    for region in clusters.plane.failed_regions:
        clusters.plane.heal_region(region)
    for replicator in clusters.plane.replicators():
        clusters.plane.delete_replicator(replicator.arn)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "plane"


@pytest.fixture(scope="session")
def kafka_runtime() -> KafkaRuntime:
    return ensure_runtime()
