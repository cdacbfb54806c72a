"""The data part of the published procedure, run for real: failover and failback of one topic and one consumer group."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.table import Table

from sandbox.kafka.clients import consume, everything, produce
from sandbox.kafka.metrics import DataPoint
from sandbox.kafka.pair import Pair
from sandbox.kafka.plane import DataPlane
from sandbox.kafka.settings import NEW_GROUP_SECONDS

TOPIC: Final = "customer"
GROUP: Final = "msk-consumer"

PATIENCE: Final = 60.0
"""Seconds until a step that waits gives up."""


class _NotInTime(Exception):
    """A step did not come within PATIENCE."""


@dataclass(frozen=True)
class Check:
    """One thing that must hold at the end, and what was seen."""

    what: str
    expected: object
    seen: object

    @property
    def holds(self) -> bool:
        return self.expected == self.seen


@dataclass
class Walkthrough:
    """One run on a pair that is not deployed yet; `run` gives the checks, of which all must hold."""

    plane: DataPlane
    console: Console
    pair: Pair
    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0

    def run(self) -> list[Check]:
        began = time.monotonic()
        with contextlib.suppress(_NotInTime):
            self._procedure()
        self._count()
        self.seconds = time.monotonic() - began
        return self.checks

    def _procedure(self) -> None:
        plane, pair = self.plane, self.pair
        with self._step("Two clusters; Replicator primary → secondary: EARLIEST, identical names, ENHANCED"):
            pair.deploy()
        primary, secondary = plane.bootstrap(pair.primary), plane.bootstrap(pair.secondary)
        with self._step(f"Primary: topic {TOPIC}, 3 partitions; messages 1 and 2, read by group {GROUP}"):
            plane.create_topic(pair.primary, TOPIC, partitions=3, replication_factor=3)
            produce(primary, TOPIC, ["message 1", "message 2"])
            self._check(
                f"Primary: {GROUP} reads", ["message 1", "message 2"], sorted(consume(primary, TOPIC, GROUP, 2))
            )
        with self._step("Secondary: the topic without a prefix, both messages, the group's position"):
            self._wait(lambda: TOPIC in plane.list_topics(pair.secondary), f"{TOPIC} on the secondary")
            self._wait(lambda: len(everything(secondary, TOPIC)) == 2, "messages 1 and 2 on the secondary")
            self._wait(lambda: self._behind(pair.secondary) == 0, "the group's position on the secondary")
            time.sleep(NEW_GROUP_SECONDS)
        self._check("Secondary: topics", [TOPIC], plane.list_topics(pair.secondary))
        self._check("Secondary: groups", [GROUP], sorted(plane.admin(pair.secondary).groups()))
        with self._step("The Replicator's metrics"):
            for name in ("ReplicationLatency", "MessageLag", "ReplicatorThroughput", "ReplicatorBytesInPerSec"):
                value = self._wait_metric(name, pair.forward, lambda _: True)
                self.console.print(f"    {name} {value:,.1f}")

        with self._step(f"Failover: messages 3 and 4 on the secondary, read there by {GROUP}"):
            produce(secondary, TOPIC, ["message 3", "message 4"])
            read = sorted(consume(secondary, TOPIC, GROUP, 2))
            self._check(f"Secondary: {GROUP} reads only", ["message 3", "message 4"], read)

        with self._step("Failback: Replicator secondary → primary, until MessageLag is 0"):
            pair.prepare_failback()
            self._wait_metric("MessageLag", pair.reverse, lambda value: value == 0, Topic=TOPIC)
        with self._step("Producers of the secondary stopped; until MaxOffsetLag is 0 on both sides"):
            self._wait(lambda: len(everything(primary, TOPIC)) >= 4, "messages 3 and 4 on the primary")
            self._wait(lambda: self._behind(pair.secondary) == 0, "the consumers on the secondary")
            self._wait(lambda: self._behind(pair.primary) == 0, "the group's position on the primary")
        with self._step("Consumers on the primary again"):
            self._check(f"Primary: {GROUP} reads again", [], consume(primary, TOPIC, GROUP, 0))
        with self._step("Reverse Replicator removed; the forward one copies on"):
            pair.end_failback()
            # A topic of its own: the four messages stay the only ones.
            plane.create_topic(pair.primary, "after-failback", partitions=1)
            produce(primary, "after-failback", ["still replicated"])
            self._wait(
                lambda: (
                    "after-failback" in plane.list_topics(pair.secondary)
                    and everything(secondary, "after-failback") == ["still replicated"]
                ),
                "a new message on the secondary",
            )
            rate = self._wait_metric("ReplicatorThroughput", pair.forward, lambda value: value > 0)
            self.console.print(f"    ReplicatorThroughput {rate:,.1f}")
        self._check("Replicators", {pair.forward: "RUNNING"}, dict(pair.replicators()))

    def _count(self) -> None:
        """What is there in the end, also when a step never came."""
        messages = Counter(f"message {number}" for number in range(1, 5))
        for side, arn in (("Primary", self.pair.primary), ("Secondary", self.pair.secondary)):
            found = Counter(everything(self.plane.bootstrap(arn), TOPIC))
            self._check(f"{side}: messages", 4, found.total())
            self._check(f"{side}: lost", [], sorted(messages - found))
            self._check(f"{side}: twice", [], sorted(found - messages))
            self._check(f"{side}: messages that {GROUP} has not read", 0, self._behind(arn))

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        self.console.print(f"[bold]{title}")
        yield
        self.console.print(f"  [dim]{time.monotonic() - began:.1f} s")

    def _check(self, what: str, expected: object, seen: object) -> None:
        self.checks.append(Check(what, expected, seen))

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        """Goes on when the condition holds; a step that does not come in time is a check that fails, and the last."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                self._check(f"{what} within {PATIENCE:g} s", True, False)
                raise _NotInTime
            time.sleep(0.3)

    def _behind(self, arn: str) -> float | None:
        """The group's MaxOffsetLag; None while it has no position."""
        for point in self.plane.metrics_of(arn):
            if point.name == "MaxOffsetLag" and (point.dimensions["Consumer Group"], point.dimensions["Topic"]) == (
                GROUP,
                TOPIC,
            ):
                return point.value
        return None

    def _wait_metric(self, name: str, replicator: str, enough: Callable[[float], bool], **more: str) -> float:
        wanted = {"ReplicatorName": replicator} | more
        found: list[DataPoint] = []

        def there() -> bool:
            found[:] = [p for p in self.plane.metrics() if p.name == name and dict(p.dimensions) == wanted]
            return bool(found) and enough(found[0].value)

        self._wait(there, f"{name} of {replicator}")
        return found[0].value

    def show(self) -> None:
        table = Table(title=f"Walkthrough, {self.seconds:.0f} s")
        for column in ("Check", "Expected", "Seen", ""):
            table.add_column(column)
        for check in self.checks:
            mark = "[green]holds" if check.holds else "[bold red]FAILS"
            table.add_row(check.what, str(check.expected), str(check.seen), mark)
        self.console.print(table)
