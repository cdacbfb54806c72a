"""The drill itself: a pair under load, its switches, and the gates between them.

The methods of `Drill` are the steps; `planned` and `unplanned` are the two orders of them that `make drill` runs. A
gate that does not open in time is a check that failed, and the drill goes on as an operator would who does not wait
any longer: what that costs is in the account.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from rich.text import Text

from sandbox.drill.accounts import PRIMARY, SECONDARY, SIDES, Account, Evidence, Place, Switch, account
from sandbox.drill.load import Applications, log
from sandbox.kafka.pair import REGIONS, Pair
from sandbox.kafka.settings import NEW_GROUP_SECONDS, cluster_name
from sandbox.kafka.topics import Admin, ClusterUnavailable, TopicError
from sandbox.stage import Stage

RPO_SECONDS: Final = 10.0
"""How much older than the cut the oldest message at risk may be: what a Replicator that keeps up has on its way."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a drill is run with.

    `rate`: messages per second, of all producers together. `seconds`: how long the load runs, at least, before, between
    and after the switches. `decision_seconds`: from the failure until the clients are moved. `cut_seconds`: how long
    nothing is replicated before the Region fails. `patience`: how many seconds a gate may take. `prefix`: what the
    names of topics and groups begin with.
    """

    rate: int = 200
    producers: int = 3
    topics: int = 3
    partitions: int = 3
    seconds: float = 8.0
    decision_seconds: float = 3.0
    cut_seconds: float = 0.5
    patience: float = 60.0
    prefix: str = "drill"

    @property
    def topic_names(self) -> tuple[str, ...]:
        return tuple(f"{self.prefix}.orders-{number}" for number in range(1, self.topics + 1))

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Two groups on one topic each, one on all."""
        first, *_, last = names = (*self.topic_names, self.topic_names[-1])
        chosen = {"billing": (first,), "shipping": (last,), "audit": names[:-1]}
        return {f"{self.prefix}.{group}": topics for group, topics in chosen.items()}


class LoadStage(Stage):
    """A stage that shows how the load flows while something is waited for."""

    @contextlib.contextmanager
    def flowing(self, what: str, load: Applications) -> Iterator[Callable[[], str]]:
        """Shows the rates meanwhile; gives what tells how long it took, and the rates of the whole."""
        flow = _Flow(what, load)
        self._since = began = time.monotonic()
        with self.console.status(flow):
            yield lambda: f"{time.monotonic() - began:.1f} s, {flow.mean()}"


class _Flow:
    """Messages per second, of the last moment and of the whole."""

    def __init__(self, what: str, load: Applications) -> None:
        self.what = what
        self.load = load
        self._first = self._last = self._now()
        self._shown = "…"

    def _now(self) -> tuple[float, int, int]:
        return time.monotonic(), self.load.acknowledged, self.load.processed

    def mean(self) -> str:
        return _rates(self._first, self._now())

    def __rich__(self) -> Text:
        now = self._now()
        if now[0] - self._last[0] >= 1:
            self._shown, self._last = _rates(self._last, now), now
        return Text.assemble((self.what, "bold"), (f"  {self._shown}", "dim"))


def _rates(before: tuple[float, int, int], now: tuple[float, int, int]) -> str:
    seconds = max(now[0] - before[0], 0.001)
    written, processed = ((now[index] - before[index]) / seconds for index in (1, 2))
    return f"{written:,.0f} messages/s acknowledged, {processed:,.0f}/s processed"


class Drill:
    """One run on a pair that is deployed. As a block it ends its clients."""

    def __init__(self, pair: Pair, plan: Plan, stage: LoadStage) -> None:
        self.pair = pair
        self.plan = plan
        self.stage = stage
        self.load = Applications(plan.topic_names, plan.groups, producers=plan.producers, rate=plan.rate)
        self.switches: list[Switch] = []
        self.creations: list[Mapping[Place, int]] = []
        self.side = PRIMARY
        self.moment = "start"
        """What the drill is about at this moment: the first word of a gate's name."""
        self._standing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.load.abandon()

    # Steps

    def begin(self) -> None:
        """Load on the primary, until every group has a position on the secondary as well."""
        self.stage.step("Load on the primary", _described(self.plan))
        for topic in self.plan.topic_names:
            self.pair.plane.create_topic(
                self._arn(PRIMARY), topic, partitions=self.plan.partitions, replication_factor=3
            )
        bootstrap = self._bootstrap(PRIMARY)
        self.load.start_readers(bootstrap, PRIMARY)
        self.load.start_writers(bootstrap, PRIMARY)
        self._gate("every group has positions on the secondary", lambda: self._positions(SECONDARY, at_end=False))
        self.flow(NEW_GROUP_SECONDS, "groups that are new on the secondary settle")
        self.flow()

    def flow(self, seconds: float | None = None, what: str = "load") -> None:
        what = f"{what} on the {self.side}"
        with self.stage.flowing(what, self.load) as seen:
            time.sleep(self.plan.seconds if seconds is None else seconds)
        self.stage.say(f"{what}: [dim]{seen()}[/]")

    def switch(self, target: str) -> None:
        """Planned: producers stop, the gates open, consumers stop, positions arrive, all start on the target."""
        source, self.moment = self.side, self._name(target)
        self.stage.step(f"Planned switch to the {target}", "Producers first, consumers when they are through.")
        stopped = time.time()
        self.load.stop_writers()
        since = datetime.now(UTC)
        self._gate_replicated(since)
        self._gate_consumed(source, since)
        self.load.stop_readers()
        self._gate(
            f"all groups stand at the end of every partition on the {target}",
            lambda: self._positions(target, at_end=True),
        )
        self._start(target, planned=True, stopped=stopped, decided=stopped)

    def lose_the_primary(self) -> None:
        """Unplanned: the Region fails in mid-stream, and after a while somebody decides."""
        self.moment = self._name(SECONDARY)
        self.stage.step(
            f"{REGIONS[PRIMARY]} fails in mid-stream",
            f"Replication is cut off {self.plan.cut_seconds:g} s before; "
            f"the decision to move takes {self.plan.decision_seconds:g} s.",
        )
        with self.pair.plane.cut_off(self.pair.forward):
            time.sleep(self.plan.cut_seconds)
            failed = time.time()
            self.pair.fail(REGIONS[PRIMARY])
        before = self.load.acknowledged
        self.flow(self.plan.decision_seconds, "nobody has decided yet; clients still")
        self.stage.check(
            "the failure is real: the primary acknowledges nothing any more",
            self.load.acknowledged == before,
            f"{self.load.acknowledged - before} acknowledged since",
        )
        decided = time.time()
        self.load.abandon()
        self._start(SECONDARY, planned=False, stopped=failed, decided=decided)

    def heal_the_primary(self) -> None:
        """The Region is back; what it had accepted last arrives late. Consumers of the secondary run on meanwhile."""
        self.moment = "return"
        self.stage.step(f"{REGIONS[PRIMARY]} is back", "What it had accepted last arrives behind newer messages.")
        self.pair.heal(REGIONS[PRIMARY])
        self._gate_replicated(datetime.now(UTC))

    def prepare_failback(self) -> None:
        """The reverse Replicator, created while messages flow, until it keeps up."""
        self.moment = "preparation"
        self.stage.step("The way back is prepared", "The reverse Replicator is added while messages flow.")
        # Its memory begins here: what is on the primary already and was born on the secondary comes once more.
        self.creations.append(self._ends(PRIMARY))
        self.pair.prepare_failback()
        self._standing = True
        since = datetime.now(UTC)
        second = max(1, self.plan.rate // self.plan.topics)
        self._gate(
            f"MessageLag of {self.pair.reverse} is about 0 (one second of load at most)",
            self._each(lambda topic: self._lag(PRIMARY, topic, since), most=second),
        )

    def end_failback(self) -> None:
        """The reverse Replicator is removed while messages flow."""
        self.stage.step("The reverse Replicator is removed", "Messages flow on.")
        self.pair.end_failback()
        self._standing = False

    def finish(self) -> Account:
        """Load stopped, everything drained, and counted."""
        self.moment = "end"
        self.stage.step("Everything is counted", "Producers stop, the rest drains, both logs are read.")
        self.load.stop_writers()
        since = datetime.now(UTC)
        self._gate_replicated(since)
        self._gate_consumed(self.side, since)
        self.load.stop_readers()
        self.stage.equal(
            "end: the Replicators that are there run",
            {name: "RUNNING" for name in (self.pair.forward, *[self.pair.reverse] * self._standing)},
            dict(self.pair.replicators()),
        )
        return account(self.evidence())

    def evidence(self) -> Evidence:
        """All that was seen until now."""
        writers, readers = self.load.writers, self.load.readers
        return Evidence(
            topics=self.plan.topic_names,
            groups=self.plan.groups,
            producers=[each.number for each in writers],
            writes=[write for each in writers for write in each.writes],
            unacknowledged=[message for each in writers for message in each.unacknowledged],
            logs={side: log(self._bootstrap(side), self.plan.topic_names) for side in SIDES},
            reads={each.name: each.reads for each in readers},
            switches=self.switches,
            creations=self.creations,
            ended=time.time(),
        )

    # Gates

    def _gate(self, what: str, condition: Callable[[], bool]) -> bool:
        """Waits until the condition holds, and notes whether it did in time."""
        end = time.monotonic() + self.plan.patience
        with self.stage.flowing(what, self.load) as seen:
            while not (held := _answered(condition)) and time.monotonic() < end:
                time.sleep(0.3)
        return self.stage.check(f"{self.moment}: {what}", held, f"{'after' if held else 'not after'} {seen()}")

    def _gate_replicated(self, since: datetime) -> None:
        for target in (SECONDARY, *[PRIMARY] * self._standing):
            self._gate(
                f"MessageLag of {self._replicator(target)} is 0 for every topic",
                self._each(lambda topic, target=target: self._lag(target, topic, since)),  # type: ignore[misc]
            )

    def _gate_consumed(self, side: str, since: datetime) -> None:
        def behind(pair: tuple[str, str]) -> float | None:
            dimensions = {"Cluster Name": cluster_name(self._arn(side)), "Consumer Group": pair[0], "Topic": pair[1]}
            return self.pair.metric(REGIONS[side], "MaxOffsetLag", dimensions, since)

        pairs = [(group, topic) for group, topics in self.plan.groups.items() for topic in topics]
        open_: set[tuple[str, str]] = set()

        def consumed() -> bool:
            # With the producers stopped, what is 0 once stays 0.
            for pair in pairs:
                if pair not in open_ and behind(pair) == 0:
                    open_.add(pair)
            return len(open_) == len(pairs)

        self._gate(f"MaxOffsetLag of every group is 0 on the {side}", consumed)

    def _each(self, lag: Callable[[str], float | None], most: float = 0) -> Callable[[], bool]:
        def small() -> bool:
            # One after the other: no need to ask for the next one before.
            return all((value := lag(topic)) is not None and value <= most for topic in self.plan.topic_names)

        return small

    def _lag(self, target: str, topic: str, since: datetime) -> float | None:
        """MessageLag of the Replicator into `target`, in whose Region it is."""
        dimensions = {"ReplicatorName": self._replicator(target), "Topic": topic}
        return self.pair.metric(REGIONS[target], "MessageLag", dimensions, since)

    def _positions(self, side: str, *, at_end: bool) -> bool:
        """Whether every group has a position in every partition of its topics, and, if asked for, at its end.

        What `kafka-consumer-groups --describe` shows; a partition without a position has no MaxOffsetLag.
        """
        ends, admin = self._ends(side), self._admin(side)
        for group, topics in self.plan.groups.items():
            known = {(each.topic, each.partition): each.committed for each in admin.group_offsets(group)}
            for topic in topics:
                for partition in range(self.plan.partitions):
                    place = topic, partition
                    if place not in known or place not in ends or (at_end and known[place] != ends[place]):
                        return False
        return True

    # Inside

    def _start(self, target: str, *, planned: bool, stopped: float, decided: float) -> None:
        source, self.side = self.side, target
        ends, started = self._ends(target), time.time()
        bootstrap = self._bootstrap(target)
        self.load.start_readers(bootstrap, target)
        self.load.start_writers(bootstrap, target)
        self.switches.append(
            Switch(
                name=self.moment,
                planned=planned,
                source=source,
                target=target,
                stopped=stopped,
                decided=decided,
                started=started,
                ends=ends,
            )
        )
        marks = {id(each): len(each.writes) for each in self.load.writers}
        marks |= {id(each): len(each.reads) for each in self.load.readers}
        self._gate(
            f"every producer and every group works on the {target}",
            lambda: (
                all(len(each.writes) > marks[id(each)] for each in self.load.writers)
                and all(len(each.reads) > marks[id(each)] for each in self.load.readers)
            ),
        )

    def _name(self, target: str) -> str:
        """`failover` or `failback`, numbered from the second on."""
        before = sum(each.target == target for each in self.switches)
        return ("failover" if target == SECONDARY else "failback") + (f" {before + 1}" if before else "")

    def _arn(self, side: str) -> str:
        return self.pair.primary if side == PRIMARY else self.pair.secondary

    def _bootstrap(self, side: str) -> str:
        return self.pair.plane.bootstrap(self._arn(side))

    def _admin(self, side: str) -> Admin:
        return self.pair.plane.admin(self._arn(side))

    def _ends(self, side: str) -> dict[Place, int]:
        """Where the partitions end; those that are not there yet are left out."""
        admin = self._admin(side)
        return admin.offsets(admin.partitions(list(self.plan.topic_names)))

    def _replicator(self, target: str) -> str:
        return self.pair.forward if target == SECONDARY else self.pair.reverse


def planned(drill: Drill) -> Account:
    """Over and back, nobody in a hurry."""
    drill.begin()
    drill.switch(SECONDARY)
    drill.flow()
    return _back(drill)


def unplanned(drill: Drill) -> Account:
    """The primary Region is lost in mid-stream, comes back, and the clients with it."""
    drill.begin()
    drill.lose_the_primary()
    drill.flow()
    drill.heal_the_primary()
    return _back(drill)


def _back(drill: Drill) -> Account:
    drill.prepare_failback()
    drill.switch(PRIMARY)
    drill.end_failback()
    drill.flow()
    return drill.finish()


SCENARIOS: Final[Mapping[str, Callable[[Drill], Account]]] = {"planned": planned, "unplanned": unplanned}


def claims(found: Account, plan: Plan) -> Iterator[tuple[str, bool, str]]:
    """What must hold of an account: the claim, whether it does, what was seen."""
    for side in SIDES:
        lost = found.lost(side)
        yield (
            f"every acknowledged message is in the {side}'s logs at the end",
            found.acknowledged > 0 and lost == 0,
            f"{lost} of {found.acknowledged:,} lost",
        )
        again, predicted = found.copied_again(side), found.predicted(side)
        yield (
            f"{side}: no record was copied twice, but by Replicators without memory",
            again == predicted,
            f"{again} copied again, {predicted} of them predicted",
        )
    yield "no group skipped a message", found.skipped == 0, f"{found.skipped} skipped"
    yield (
        "every message was accepted in the end",
        found.not_accepted == 0,
        f"{found.not_accepted} never acknowledged",
    )
    for switch in found.switches:
        yield (
            f"{switch.name}: every producer and every group worked on the {switch.target}",
            switch.rto_seconds is not None,
            "not all" if switch.rto_seconds is None else f"after {switch.rto_seconds:.1f} s",
        )
        back = sum(step.messages for each in found.groups for step in each.went_back if step.switch == switch.name)
        at_risk, late = switch.rpo_messages, sum(switch.late.values())
        if switch.planned:
            yield (
                f"{switch.name}: every acknowledged message was there when the clients started",
                at_risk == 0,
                f"{at_risk} were not",
            )
            yield f"{switch.name}: no group went back", back == 0, f"{back} messages processed again"
        else:
            yield (
                f"{switch.name}: what had not been replicated arrived when the Region was back",
                late == at_risk,
                f"{late} of {at_risk}",
            )
            bound = plan.cut_seconds + RPO_SECONDS
            yield (
                f"{switch.name}: nothing older than {bound:g} s was at risk",
                switch.rpo_seconds <= bound,
                f"the oldest was {switch.rpo_seconds:.1f} s old",
            )


def _answered(condition: Callable[[], bool]) -> bool:
    """False as well when a cluster does not answer yet, or does not have the topic or the group yet."""
    try:
        return condition()
    except (ClusterUnavailable, TopicError):
        return False


def _described(plan: Plan) -> str:
    return (
        f"{plan.producers} producers, {plan.rate} messages/s, {plan.topics} topics of {plan.partitions} partitions, "
        f"{len(plan.groups)} groups."
    )
