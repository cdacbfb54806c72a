"""What a broker and a Replicator are set up with: pure functions from MSK's settings to Kafka's.

A cluster is one Kafka broker with the defaults of Express brokers; a Replicator is MirrorMaker 2's two connectors in a
Connect worker of its own.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

EXPRESS_REPLICATION_FACTOR: Final = 3
"""Replicas of every topic on Express brokers (developer guide, msk-broker-types-express, 2026-09). A cluster here has
one broker, so a topic has one replica, and 3 is what its description says."""

DAY_MS: Final = 86_400_000
"""Express's default of `log.message.timestamp.before.max.ms` and `after.max.ms`: older or newer records are refused
(developer guide, Express broker configurations, 2026-09)."""

INTERNAL_TOPICS: Final = (r"__.*", r"mm2-offset-syncs\..*\.internal", r".*\.checkpoints\.internal")
"""Topics that are no user's: Kafka's own and the Replicators'."""

HEADER: Final = "__mskmr"
"""First part of the header on every copied record; MSK Replicator's has this name (developer guide, topic naming)."""

NEW_GROUP_SECONDS: Final = 5.0
"""How long a group that is new on the target should be left alone there once it has a position.

MirrorMaker 2 writes a new group's position every second until it has looked at what the target has, also a second
apart (more on a busy machine); what a consumer there commits in between is written over with the older position (and
read again)."""

SOURCE_CONNECTOR: Final = "topics"
CHECKPOINT_CONNECTOR: Final = "groups"

_MIRROR: Final = "org.apache.kafka.connect.mirror."
_TRANSFORMS: Final = "org.apache.kafka.connect.transforms."
_NOT_COPIED: Final = (
    r"follower\.replication\.throttled\.replicas",
    r"leader\.replication\.throttled\.replicas",
    r"unclean\.leader\.election\.enable",
    r"min\.insync\.replicas",
)
"""Topic settings that belong to a cluster rather than to a topic's content; Express fixes the last two."""


@dataclass(frozen=True, kw_only=True)
class ReplicatorSpec:
    """What one Replicator copies and how: MSK's settings under MSK's names.

    `topics` and `groups` are regular expressions that must match whole names. `drop_returning=False` takes the loop
    filter away, which MSK does not offer: it is for tests that have to see what the filter prevents.
    """

    name: str
    region: str
    source_arn: str
    target_arn: str
    source_alias: str
    target_alias: str
    topics: tuple[str, ...] = (".*",)
    topics_exclude: tuple[str, ...] = ()
    detect_new_topics: bool = True
    copy_topic_configurations: bool = True
    topic_names: str = "IDENTICAL"
    starting_position: str = "EARLIEST"
    groups: tuple[str, ...] = (".*",)
    groups_exclude: tuple[str, ...] = ()
    detect_new_groups: bool = True
    sync_group_offsets: bool = True
    offset_sync_mode: str = "ENHANCED"
    compression: str = "NONE"
    drop_returning: bool = True

    def __post_init__(self) -> None:
        allowed = {
            "topic_names": ("IDENTICAL", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"),
            "starting_position": ("EARLIEST", "LATEST"),
            "offset_sync_mode": ("ENHANCED", "LEGACY"),
            "compression": ("NONE", "GZIP", "SNAPPY", "LZ4", "ZSTD"),
        }
        for key, values in allowed.items():
            if (value := getattr(self, key)) not in values:
                raise ValueError(f"{key} is {value!r}; it must be one of {', '.join(values)}. Correct it.")

    @property
    def identical(self) -> bool:
        return self.topic_names == "IDENTICAL"


def cluster_name(arn: str) -> str:
    """The cluster's name in its ARN, `arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/UUID`."""
    return arn.split("/")[1] if "/" in arn else arn


def broker_properties(*, port: int, controller_port: int, data: str) -> dict[str, str]:
    """One broker that is its own controller, with Express's defaults where they show to a client."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        # As on Express.
        "auto.create.topics.enable": "false",
        "log.message.timestamp.before.max.ms": str(DAY_MS),
        "log.message.timestamp.after.max.ms": str(DAY_MS),
        # One broker holds what three would.
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        # Small and quick.
        "group.initial.rebalance.delay.ms": "0",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        "log.cleaner.dedupe.buffer.size": str(4 << 20),
        "log.cleaner.io.buffer.size": str(64 << 10),
    }


def worker_properties(*, bootstrap: str, rest_port: int, offsets: str) -> dict[str, str]:
    """A Connect worker in standalone mode: what it remembers is one file, `offsets`, and goes with the Replicator."""
    converter = "org.apache.kafka.connect.converters.ByteArrayConverter"
    return {
        "bootstrap.servers": bootstrap,
        "listeners": f"http://127.0.0.1:{rest_port}",
        "key.converter": converter,
        "value.converter": converter,
        "header.converter": converter,
        "offset.storage.file.filename": offsets,
        "offset.flush.interval.ms": "1000",
        # Nothing to find beyond the class path, so that the start takes seconds.
        "plugin.discovery": "SERVICE_LOAD",
    }


def connectors(
    spec: ReplicatorSpec,
    *,
    source: str,
    target: str,
    source_id: str,
    target_id: str,
    return_trip: bool,
) -> dict[str, dict[str, str]]:
    """The connectors' configurations by name. `source` and `target` are bootstrap addresses, the ids Kafka's.

    **No loops with identical names**: what is copied gets a header that names the cluster it comes from, and what
    carries the target's name is not copied. **Consumer groups** are translated by the checkpoint connector, which
    leaves groups alone that are active on the target. LEGACY has no translation for the `return_trip`.
    """
    common = {
        "tasks.max": "1",
        "source.cluster.alias": spec.source_alias,
        "target.cluster.alias": spec.target_alias,
        "source.cluster.bootstrap.servers": source,
        "target.cluster.bootstrap.servers": target,
        "replication.policy.class": f"{_MIRROR}{'Identity' if spec.identical else 'Default'}ReplicationPolicy",
        "topics": patterns(spec.topics),
        "topics.exclude": patterns((*spec.topics_exclude, *INTERNAL_TOPICS)),
        # On the target, because that is the Region the Replicator lives in: it can be deleted while its source is down.
        "offset-syncs.topic.location": "target",
        "offset-syncs.topic.replication.factor": "1",
        # A source that is down holds nothing up for long: it is asked again every two seconds.
        "admin.timeout.ms": "10000",
        "source.admin.default.api.timeout.ms": "8000",
        "source.admin.request.timeout.ms": "8000",
    }
    steps = ["dropReturning"] * spec.drop_returning + ["stamp"]
    return {
        SOURCE_CONNECTOR: common
        | {
            "connector.class": f"{_MIRROR}MirrorSourceConnector",
            "replication.factor": "1",
            "refresh.topics.enabled": _flag(spec.detect_new_topics),
            "refresh.topics.interval.seconds": "2",
            "sync.topic.configs.enabled": _flag(spec.copy_topic_configurations),
            "sync.topic.configs.interval.seconds": "2",
            # Also what a new topic is created with, so that all of it is left out when settings are not copied.
            "config.properties.exclude": ",".join(_NOT_COPIED) if spec.copy_topic_configurations else ".*",
            "sync.topic.acls.enabled": "false",
            "heartbeats.replication.enabled": "false",
            "offset.lag.max": "0",
            "source.consumer.auto.offset.reset": spec.starting_position.lower(),
            "producer.override.compression.type": spec.compression.lower(),
            "transforms": ",".join(steps),
            "predicates": "fromTarget",
            "predicates.fromTarget.type": f"{_TRANSFORMS}predicates.HasHeaderKey",
            "predicates.fromTarget.name": f"{HEADER}.{target_id}",
            **(
                {
                    "transforms.dropReturning.type": f"{_TRANSFORMS}Filter",
                    "transforms.dropReturning.predicate": "fromTarget",
                }
                if spec.drop_returning
                else {}
            ),
            "transforms.stamp.type": f"{_TRANSFORMS}InsertHeader",
            "transforms.stamp.header": f"{HEADER}.{source_id}",
            # The header converter takes bytes; of the literals only `null` is no other type.
            "transforms.stamp.value.literal": "null",
        },
        CHECKPOINT_CONNECTOR: common
        | {
            "connector.class": f"{_MIRROR}MirrorCheckpointConnector",
            "groups": patterns(spec.groups),
            "groups.exclude": patterns(spec.groups_exclude),
            "refresh.groups.enabled": _flag(spec.detect_new_groups),
            "refresh.groups.interval.seconds": "2",
            "emit.checkpoints.interval.seconds": "1",
            "checkpoints.topic.replication.factor": "1",
            "sync.group.offsets.enabled": _flag(
                spec.sync_group_offsets and not (spec.offset_sync_mode == "LEGACY" and return_trip)
            ),
            "sync.group.offsets.interval.seconds": "1",
        },
    }


def internal_topics_of(spec: ReplicatorSpec) -> tuple[str, ...]:
    """The topics on the target that only this Replicator uses."""
    return (f"mm2-offset-syncs.{spec.source_alias}.internal", f"{spec.source_alias}.checkpoints.internal")


def is_internal(topic: str) -> bool:
    return any(re.fullmatch(pattern, topic) for pattern in INTERNAL_TOPICS)


def chosen(names: Iterable[str], include: Iterable[str], exclude: Iterable[str]) -> tuple[str, ...]:
    """The names that a pair of lists selects, as whole names."""
    wanted, unwanted = tuple(include), tuple(exclude)
    return tuple(
        name
        for name in sorted(names)
        if any(re.fullmatch(p, name) for p in wanted) and not any(re.fullmatch(p, name) for p in unwanted)
    )


def literally(names: Iterable[str]) -> tuple[str, ...]:
    """Patterns that match exactly these names."""
    return tuple(re.escape(name) for name in names)


def patterns(expressions: Iterable[str]) -> str:
    """A list of regular expressions as one Kafka setting, where commas separate; one that matches nothing if empty."""
    return ",".join(without_commas(expression) for expression in expressions) or "(?!)"


_PIECE: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(|\)|\{(?P<least>\d+),(?P<most>\d*)\}|.",
    re.DOTALL,
)


def without_commas(expression: str) -> str:
    """The same regular expression without a comma: `a{1,3}` is `(?:a){1}(?:a?){2}`, any other comma `\\x2c`."""
    pieces: list[str] = []  # the last one is what a quantifier would repeat
    opened: list[int] = []
    for found in _PIECE.finditer(expression):
        piece = found[0]
        if found["least"] is not None and pieces:
            atom, least = pieces.pop(), int(found["least"])
            rest = f"(?:(?:{atom})?){{{int(found['most']) - least}}}" if found["most"] else f"(?:{atom})*"
            pieces.append(f"(?:{atom}){{{least}}}{rest}")
            continue
        pieces.append(piece.replace(",", r"\x2c"))
        if piece == "(":
            opened.append(len(pieces) - 1)
        elif piece == ")" and opened:
            start = opened.pop()
            pieces[start:] = ["".join(pieces[start:])]
    return "".join(pieces)


def properties(values: Mapping[str, str]) -> str:
    """The text of a Java properties file. A backslash is a character of its own there."""
    return "".join(f"{key}={value.replace(chr(92), chr(92) * 2)}\n" for key, value in values.items())


def _flag(value: bool) -> str:
    return "true" if value else "false"
