"""From what was written, found and processed to what that means. Pure: nothing here asks Kafka or looks at a clock.

A message is known by its producer and its number, wherever and however often it turns up. Three things are told apart
that all look like "twice": a Replicator copied the same record twice, the application sent the message again because
nobody had acknowledged it (and the first attempt was stored all the same), and a consumer group went back and processed
the same record again.

Times are seconds since the epoch, of one clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

Name = TypeVar("Name")

PRIMARY, SECONDARY = SIDES = ("primary", "secondary")

Place = tuple[str, int]
"""A topic and a partition."""

IN_PLACE: Final = "without a switch"
"""Where what a group processed again is booked that did not happen at a switch."""


class Message(NamedTuple):
    producer: int
    number: int


class Write(NamedTuple):
    """A message that `side` acknowledged, when it was sent there and when the acknowledgement came."""

    message: Message
    topic: str
    side: str
    sent: float
    acknowledged: float


class Record(NamedTuple):
    """What one place of a log holds; `side` is where the application sent it, not where it was found."""

    topic: str
    partition: int
    offset: int
    message: Message
    side: str


class Read(NamedTuple):
    """A record that a group processed on `side`."""

    side: str
    topic: str
    partition: int
    offset: int
    message: Message
    at: float


@dataclass(frozen=True, kw_only=True)
class Switch:
    """The clients leave `source` for `target`.

    `stopped`: the producers were told to stop, or the Region failed. `decided`: from then on clients were moved.
    `started`: they were started on the target, whose partitions ended at `ends` then.
    """

    name: str
    planned: bool
    source: str
    target: str
    stopped: float
    decided: float
    started: float
    ends: Mapping[Place, int]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was seen in one run.

    `reads`: by group, in order. `creations`: where the primary's partitions ended each time a reverse Replicator was
    created. `ended`: when the run was over.
    """

    topics: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    producers: Sequence[int]
    writes: Sequence[Write]
    unacknowledged: Iterable[Message]
    logs: Mapping[str, Sequence[Record]]
    reads: Mapping[str, Sequence[Read]]
    switches: Sequence[Switch]
    creations: Sequence[Mapping[Place, int]]
    ended: float


@dataclass(frozen=True, kw_only=True)
class TopicAccount:
    """One topic; all numbers are messages. By side where a side can differ.

    `lost`: acknowledged by either side, and not in this side's log at the end. `copied_again`: more copies of one
    record than one. `predicted`: how many of those follow from reverse Replicators that were created without memory.
    `sent_again`: messages that are there from more than one sending. `uncertain`: stored somewhere although the side
    they were sent to never acknowledged them.
    """

    topic: str
    acknowledged: int
    uncertain: int
    lost: Mapping[str, int]
    copied_again: Mapping[str, int]
    predicted: Mapping[str, int]
    sent_again: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class WentBack:
    """Messages that a group processed again after a switch, and the most of them in one partition."""

    switch: str
    messages: int
    farthest: int


@dataclass(frozen=True, kw_only=True)
class GroupAccount:
    """One consumer group. `skipped`: messages in a log at the end that it never processed. `again`: how often it
    processed a message that it had processed already, of which `log_duplicates` because the log has it twice, and
    `late_again` because it arrived late, after the group had processed it on the other side; the rest is in
    `went_back`.
    """

    group: str
    topics: tuple[str, ...]
    processed: int
    skipped: int
    again: int
    log_duplicates: int
    late_again: int
    went_back: tuple[WentBack, ...]


@dataclass(frozen=True, kw_only=True)
class SwitchAccount:
    """One switch, in messages and seconds; None where something never happened.

    `at_risk`, by topic: acknowledged before the clients started on the target, and not there at that moment. Of these
    `late` arrived afterwards, and `lost` never did. `rpo_seconds`: how old the oldest of them was when the source
    stopped. `first_write` and `first_read`: until every producer had an acknowledgement of the target, and every group
    had processed something there; `rto_seconds` is the longer one. `without_writers`: from the last acknowledgement of
    the source to the first of the target.
    """

    name: str
    planned: bool
    source: str
    target: str
    at_risk: Mapping[str, int]
    late: Mapping[str, int]
    lost: Mapping[str, int]
    rpo_seconds: float
    decision_seconds: float
    moving_seconds: float
    first_write: float | None
    first_read: float | None
    without_writers: float | None

    @property
    def rpo_messages(self) -> int:
        return sum(self.at_risk.values())

    @property
    def rto_seconds(self) -> float | None:
        if self.first_write is None or self.first_read is None:
            return None
        return max(self.first_write, self.first_read)


@dataclass(frozen=True, kw_only=True)
class Account:
    topics: tuple[TopicAccount, ...]
    groups: tuple[GroupAccount, ...]
    switches: tuple[SwitchAccount, ...]
    not_accepted: int
    """Messages that nobody ever acknowledged; the application knows."""

    def lost(self, side: str) -> int:
        return sum(each.lost[side] for each in self.topics)

    def copied_again(self, side: str) -> int:
        return sum(each.copied_again[side] for each in self.topics)

    def predicted(self, side: str) -> int:
        return sum(each.predicted[side] for each in self.topics)

    def sent_again(self, side: str) -> int:
        return sum(each.sent_again[side] for each in self.topics)

    @property
    def acknowledged(self) -> int:
        return sum(each.acknowledged for each in self.topics)

    @property
    def skipped(self) -> int:
        return sum(each.skipped for each in self.groups)

    @property
    def went_back(self) -> int:
        return sum(step.messages for each in self.groups for step in each.went_back)


def account(evidence: Evidence) -> Account:
    acknowledged = {write.message for write in evidence.writes}
    ends = [*(later.stopped for later in evidence.switches[1:]), evidence.ended][: len(evidence.switches)]
    return Account(
        topics=tuple(_topic(topic, evidence) for topic in evidence.topics),
        groups=tuple(_group(group, evidence) for group in evidence.groups),
        switches=tuple(_switch(switch, until, evidence) for switch, until in zip(evidence.switches, ends, strict=True)),
        not_accepted=len(set(evidence.unacknowledged) - acknowledged),
    )


def _topic(topic: str, evidence: Evidence) -> TopicAccount:
    writes = [write for write in evidence.writes if write.topic == topic]
    logs = {side: [each for each in evidence.logs[side] if each.topic == topic] for side in SIDES}
    messages = {write.message for write in writes}
    confirmed = {(write.message, write.side) for write in writes}
    stored = {(each.message, each.side) for log in logs.values() for each in log}
    return TopicAccount(
        topic=topic,
        acknowledged=len(messages),
        uncertain=len(stored - confirmed),
        lost={side: len(messages - {each.message for each in log}) for side, log in logs.items()},
        copied_again={side: len(log) - len({(each.message, each.side) for each in log}) for side, log in logs.items()},
        predicted={PRIMARY: _predicted(logs[PRIMARY], evidence.creations), SECONDARY: 0},
        sent_again={
            side: len({(each.message, each.side) for each in log}) - len({each.message for each in log})
            for side, log in logs.items()
        },
    )


def _predicted(log: Sequence[Record], creations: Sequence[Mapping[Place, int]]) -> int:
    """A Replicator without memory copies all again that was born on its source: once more what is there already.

    Not what was born on the primary: that carries the primary's header and does not go back. For the same reason a
    second copy on the primary goes nowhere.
    """
    return sum(
        len(
            {
                each.message
                for each in log
                if each.side == SECONDARY and each.offset < ends.get((each.topic, each.partition), 0)
            }
        )
        for ends in creations
    )


def _group(group: str, evidence: Evidence) -> GroupAccount:
    topics, reads = tuple(evidence.groups[group]), evidence.reads[group]
    # The first place of a message in each log; what comes after it is a duplicate that the log has.
    first: dict[tuple[str, Message], int] = {}
    there: set[Message] = set()
    for side, log in evidence.logs.items():
        for each in log:
            if each.topic in topics:
                there.add(each.message)
                key = side, each.message
                first[key] = min(each.offset, first.get(key, each.offset))
    seen: set[Message] = set()
    read_in: set[tuple[int, Place, int]] = set()
    again = duplicates = late = 0
    back: dict[str, Counter[Place]] = defaultdict(Counter)
    for read in reads:
        begun = (n for n, each in enumerate(evidence.switches) if each.target == read.side and each.started <= read.at)
        stay = max(begun, default=-1)
        place = read.topic, read.partition
        if read.message in seen:
            again += 1
            if read.offset > first.get((read.side, read.message), read.offset):
                duplicates += 1
            elif stay < 0 or (stay, place, read.offset) in read_in:
                back[IN_PLACE][place] += 1
            elif read.offset >= evidence.switches[stay].ends.get(place, 0):
                late += 1
            else:
                back[evidence.switches[stay].name][place] += 1
        read_in.add((stay, place, read.offset))
        seen.add(read.message)
    return GroupAccount(
        group=group,
        topics=topics,
        processed=len(reads),
        skipped=len(there - seen),
        again=again,
        log_duplicates=duplicates,
        late_again=late,
        went_back=tuple(
            WentBack(switch=name, messages=places.total(), farthest=max(places.values()))
            for name, places in back.items()
        ),
    )


def _switch(switch: Switch, until: float, evidence: Evidence) -> SwitchAccount:
    """`until`: when the clients' stay on the target ended."""
    log = evidence.logs[switch.target]
    in_time = {each.message for each in log if each.offset < switch.ends.get((each.topic, each.partition), 0)}
    in_the_end = {each.message for each in log}
    before = [each for each in evidence.writes if each.acknowledged <= switch.started]
    at_risk = [each for each in before if each.message not in in_time]

    def by_topic(writes: Iterable[Write]) -> dict[str, int]:
        return dict(Counter(each.topic for each in writes))

    def stay(side: str, at: float) -> bool:
        return side == switch.target and switch.started <= at <= until

    written: dict[int, float] = {}
    for write in evidence.writes:
        if stay(write.side, write.acknowledged):
            producer = write.message.producer
            written[producer] = min(write.acknowledged, written.get(producer, write.acknowledged))
    read = {
        group: first
        for group, reads in evidence.reads.items()
        if (first := min((each.at for each in reads if stay(each.side, each.at)), default=None)) is not None
    }
    last = max((each.acknowledged for each in before if each.side == switch.source), default=None)
    return SwitchAccount(
        name=switch.name,
        planned=switch.planned,
        source=switch.source,
        target=switch.target,
        at_risk=by_topic(at_risk),
        late=by_topic(each for each in at_risk if each.message in in_the_end),
        lost=by_topic(each for each in at_risk if each.message not in in_the_end),
        rpo_seconds=max((max(0.0, switch.stopped - each.sent) for each in at_risk), default=0.0),
        decision_seconds=switch.decided - switch.stopped,
        moving_seconds=switch.started - switch.decided,
        first_write=_since(switch.stopped, written, evidence.producers),
        first_read=_since(switch.stopped, read, evidence.groups),
        without_writers=min(written.values()) - last if written and last is not None else None,
    )


def _since(stopped: float, times: Mapping[Name, float], names: Iterable[Name]) -> float | None:
    """Until the last of all names had come; None when one never did."""
    wanted = list(names)
    if any(name not in times for name in wanted):
        return None
    return max((times[name] - stopped for name in wanted), default=None)
