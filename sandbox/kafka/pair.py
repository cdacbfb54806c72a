"""The pair that the demo and the drills are about: two clusters, a Replicator each way, and how they are changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from sandbox.kafka.plane import DataPlane
from sandbox.kafka.settings import ReplicatorSpec

PRIMARY: Final = "arn:aws:kafka:us-east-1:123456789012:cluster/msk-dr-primary/11111111-1111-1111-1111-111111111111-1"
SECONDARY: Final = (
    "arn:aws:kafka:us-east-2:123456789012:cluster/msk-dr-secondary/22222222-2222-2222-2222-222222222222-2"
)
FORWARD: Final = "arn:aws:kafka:us-east-2:123456789012:replicator/msk-dr-primary-to-secondary/33333333-3333"
REVERSE: Final = "arn:aws:kafka:us-east-1:123456789012:replicator/msk-dr-secondary-to-primary/44444444-4444"

FORWARD_SPEC: Final = ReplicatorSpec(
    name="msk-dr-primary-to-secondary",
    region="us-east-2",
    source_arn=PRIMARY,
    target_arn=SECONDARY,
    source_alias="msk-dr-primary",
    target_alias="msk-dr-secondary",
)
REVERSE_SPEC: Final = ReplicatorSpec(
    name="msk-dr-secondary-to-primary",
    region="us-east-1",
    source_arn=SECONDARY,
    target_arn=PRIMARY,
    source_alias="msk-dr-secondary",
    target_alias="msk-dr-primary",
)

REGIONS: Final = {"primary": "us-east-1", "secondary": "us-east-2"}
"""By the side of the pair, which is also the name of the stack."""


class Pair(Protocol):
    """Clusters by ARN, Replicators by name. `deploy` comes first."""

    @property
    def plane(self) -> DataPlane: ...

    @property
    def primary(self) -> str: ...

    @property
    def secondary(self) -> str: ...

    @property
    def forward(self) -> str: ...

    @property
    def reverse(self) -> str: ...

    def deploy(self) -> None:
        """Two clusters, and the forward Replicator."""

    def prepare_failback(self) -> None:
        """Adds the reverse Replicator."""

    def end_failback(self) -> None:
        """Removes the reverse Replicator."""

    def fail(self, region: str) -> None:
        """Loses a Region with all that is in it."""

    def heal(self, region: str) -> None:
        """The Region comes back with its data."""

    def replicators(self) -> Mapping[str, str]:
        """The state of every Replicator that there is."""

    def metric(self, region: str, name: str, dimensions: Mapping[str, str], since: datetime) -> float | None:
        """The newest value of a metric of `AWS/Kafka`; None while there is none that was measured after `since`.

        `since` has a time zone. A value from before the last record was written would open a gate too early.
        """


@dataclass
class BarePair:
    """A pair made of the data plane alone, without an API and without a program."""

    plane: DataPlane
    forward_spec: ReplicatorSpec = FORWARD_SPEC
    reverse_spec: ReplicatorSpec = REVERSE_SPEC
    primary: str = field(default=PRIMARY, init=False)
    secondary: str = field(default=SECONDARY, init=False)

    @property
    def forward(self) -> str:
        return self.forward_spec.name

    @property
    def reverse(self) -> str:
        return self.reverse_spec.name

    def deploy(self) -> None:
        self.plane.start_cluster(PRIMARY, region=REGIONS["primary"])
        self.plane.start_cluster(SECONDARY, region=REGIONS["secondary"])
        self.plane.start_replicator(FORWARD, self.forward_spec)

    def prepare_failback(self) -> None:
        self.plane.start_replicator(REVERSE, self.reverse_spec)

    def end_failback(self) -> None:
        self.plane.delete_replicator(REVERSE)

    def fail(self, region: str) -> None:
        self.plane.fail_region(region)

    def heal(self, region: str) -> None:
        self.plane.heal_region(region)

    def replicators(self) -> Mapping[str, str]:
        return {each.spec.name: self.plane.replicator_state(each.arn)[0] for each in self.plane.replicators()}

    def metric(self, region: str, name: str, dimensions: Mapping[str, str], since: datetime) -> float | None:
        """Measured at this moment, so after any `since`; only what is in the Region is measured."""
        there = [each.arn for each in self.plane.replicators() if each.region == region]
        there += [each.arn for each in self.plane.clusters() if each.region == region]
        for point in (point for arn in there for point in self.plane.metrics_of(arn)):
            if (point.name, dict(point.dimensions)) == (name, dict(dimensions)):
                return point.value
        return None
