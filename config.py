"""The configuration of one stack: read once, checked whole, plain values from then on.

This module alone reads `pulumi.Config`. Every key is declared in `Pulumi.yaml` with its type, default and
description; a field here has the key's name in snake case. All mistakes are reported together, before a resource is
registered.
"""

import contextlib
import dataclasses
import difflib
import ipaddress
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pulumi
from pulumi.runtime import config as pulumi_config

from components import limits
from components.patterns import problem_with
from components.replicator_role import execution_policy

DIRECTIONS: Final = ("primary-to-secondary", "bidirectional", "secondary-to-primary")
ROLES: Final = ("primary", "secondary")
NAME_LENGTH: Final = min(
    limits.CLUSTER_NAME_LENGTH - len("-secondary"),
    limits.ROLE_NAME_LENGTH - len("-secondary-to-primary") - limits.NAME_SUFFIX_LENGTH,
)
"""Longest `name`: it begins the cluster's name, and that of the Replicator's IAM role with both roles and a suffix."""

SMALLEST_VPC: Final = 24
LARGEST_VPC: Final = 16
"""Prefix lengths of the VPC, which is cut into four equal subnets. A /24 gives each subnet 59 addresses: room for 20
brokers in each zone beside the load balancer of multi-VPC connectivity and the Replicator's interfaces."""

PRIVATE: Final = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""Addresses for private use (RFC 1918)."""

SHARED: Final = ipaddress.IPv4Network("100.64.0.0/10")
"""Shared addresses (RFC 6598), which Amazon EKS gives to pods; no address on the internet either."""

MOST_TAGS: Final = 50 - 3
"""A resource has at most 50 tags, and the program adds `Name`, `msk-dr:pair` and `msk-dr:role`."""

UNLIMITED_MS: Final = 2**63 - 1
"""Kafka's own default of `message.timestamp.before.max.ms`: no record is too old."""

BEFORE_MAX_MS: Final = "message.timestamp.before.max.ms"

S = TypeVar("S")


class ConfigError(pulumi.RunError):
    """One or more mistakes in the configuration; `problems` has a message for each.

    A RunError, so that Pulumi prints the text without a traceback.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(dict.fromkeys(problems))  # settings that sections share are checked in each
        count = "1 mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        super().__init__(
            f"{count} in the configuration; nothing was changed.\n" + "\n".join(f"- {p}" for p in self.problems)
        )


def key_of(field_name: str) -> str:
    """The configuration key of a settings field: `vpc_cidr` is `vpcCidr`."""
    head, *rest = field_name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def as_inputs(settings: Any) -> dict[str, Any]:
    """A settings object as the inputs of its component: plain values under the names of the keys."""
    return {key_of(f.name): _plain(getattr(settings, f.name)) for f in dataclasses.fields(settings)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return as_inputs(value)
    if isinstance(value, Mapping):
        return dict(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


class Checked:
    """A settings object that refuses to exist with a wrong value."""

    def __post_init__(self) -> None:
        if problems := list(self.problems()):
            raise ConfigError(problems)

    def problems(self) -> Iterator[str]:
        """A message for each mistake: `<key> is <value>; <what must hold>. <what to do>`."""
        yield from ()


def _not_one_of(key: str, value: Any, allowed: Sequence[Any]) -> Iterator[str]:
    if value not in allowed:
        given, choices = str(value), [str(choice) for choice in allowed]
        longer = [choice for choice in choices if given and choice.startswith(given)]
        close = longer or difflib.get_close_matches(given, choices, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "Set it to one of them."
        yield f"{key} is {value!r}; it must be one of {', '.join(map(str, allowed))}. {hint}"


def _outside(key: str, value: int, least: int, most: int, unit: str, hint: str) -> Iterator[str]:
    if not least <= value <= most:
        yield f"{key} is {value}; it must be from {least} to {most} {unit}. {hint}"


def _network(text: str) -> ipaddress.IPv4Network:
    """An IPv4 network in the one form that AWS takes, `10.0.0.0/8`. ValueError says what is wrong."""
    network = ipaddress.IPv4Network(text)
    if str(network) != text:
        raise ValueError(f"its usual form is '{network}'")
    return network


def _tag_problems(tags: Mapping[str, str]) -> Iterator[str]:
    """Limits of tags: 50 a resource, keys of 1 to 128 characters, values of at most 256, no `aws:` prefix, and the
    characters that every service takes.

    Source: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html (2026-09).
    The program adds up to three tags of its own to each resource.
    """
    if len(tags) > MOST_TAGS:
        yield f"tags has {len(tags)} entries; at most {MOST_TAGS} are allowed. Remove {len(tags) - MOST_TAGS} of them."
    for name, value in tags.items():
        if not 1 <= len(name) <= 128 or name.lower().startswith("aws:"):
            yield f"tags has the key {name!r}; a key has 1 to 128 characters and no prefix 'aws:'. Rename it."
        if len(value) > 256:
            yield f"tags has {len(value)} characters under {name!r}; at most 256 are allowed. Shorten it."
        if refused := sorted(
            {c for c in name + value if unicodedata.category(c)[0] not in "LNZ" and c not in "_.:/=+-@"}
        ):
            yield (
                f"tags has {', '.join(map(repr, refused))} in {name!r}; only letters, digits, spaces and "
                "_ . : / = + - @ are allowed. Replace them."
            )


@dataclass(frozen=True, kw_only=True)
class PairSettings(Checked):
    """Which half of the pair a stack is, and which way topics are copied."""

    stack: str
    name: str
    role: str
    region: str
    direction: str
    peer_stack: str

    def problems(self) -> Iterator[str]:
        yield from _not_one_of("role", self.role, ROLES)
        yield from _not_one_of("direction", self.direction, DIRECTIONS)
        if not limits.REGION_ID.fullmatch(self.region):
            yield f"aws:region is {self.region!r}; it must be a Region's id. Set it, for example to 'us-east-1'."
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]*", self.name) or len(self.name) > NAME_LENGTH:
            yield (
                f"name is {self.name!r}; it must have 1 to {NAME_LENGTH} letters, digits and hyphens and not begin "
                "with a hyphen. Shorten or rename it."
            )
        if foreign := [found for found in limits.REGION_ID.findall(self.name) if found != self.region]:
            yield (
                f"name is {self.name!r}; it must not contain the id of another Region than {self.region} "
                f"({foreign[0]}), because clients sign for the Region that they find in the brokers' names. Rename it."
            )
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+/[\w.-]+)?", self.peer_stack):
            yield (
                f"peerStack is {self.peer_stack!r}; it must be the name of the other stack, alone or as "
                "organization/project/stack. Set it to the other stack's name."
            )
        if self.peer_stack == self.stack:
            yield f"peerStack is {self.peer_stack!r}; it must not be this stack. Set it to the other stack's name."

    @property
    def prefix(self) -> str:
        """First part of the names of all resources, and the cluster's name."""
        return f"{self.name}-{self.role}"

    @property
    def peer_role(self) -> str:
        return ROLES[1 - ROLES.index(self.role)]

    @property
    def hosts_replicator(self) -> bool:
        """Whether this stack's cluster is the target of an active flow: a Replicator lives in its target's Region."""
        return bool(hosted(self.direction, self.role))

    @property
    def replicator_name(self) -> str:
        """Name of the Replicator that this stack hosts while its cluster is a target."""
        return f"{self.name}-{self.peer_role}-to-{self.role}"

    @property
    def reads_peer(self) -> bool:
        """Whether the other stack's outputs are read.

        Not by the primary stack before it hosts a Replicator: it is deployed first, when there is no other stack yet.
        """
        return self.role == "secondary" or self.hosts_replicator


def flows(direction: str) -> frozenset[tuple[str, str]]:
    """The (source role, target role) pairs that a direction keeps running."""
    forward, reverse = ROLES, ROLES[::-1]
    return frozenset(
        {"primary-to-secondary": {forward}, "secondary-to-primary": {reverse}}.get(direction, {forward, reverse})
    )


def hosted(direction: str, role: str) -> frozenset[tuple[str, str]]:
    """The flows of a direction whose Replicator the stack of a role hosts: those that end in its cluster."""
    return frozenset(flow for flow in flows(direction) if flow[1] == role)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Checked):
    """Addresses and zones of a Region's network."""

    region: str
    vpc_cidr: str
    zone_ids: tuple[str, ...]
    client: bool
    tags: Mapping[str, str]

    def problems(self) -> Iterator[str]:
        try:
            network = _network(self.vpc_cidr)
        except ValueError as error:
            yield (
                f"vpcCidr is {self.vpc_cidr!r}; it must be an IPv4 network ({error}). Set it, for example to "
                "'10.10.0.0/16'."
            )
        else:
            if not LARGEST_VPC <= network.prefixlen <= SMALLEST_VPC:
                example = ipaddress.IPv4Network((network.network_address, LARGEST_VPC), strict=False)
                yield (
                    f"vpcCidr is '{network}'; it must be from /{LARGEST_VPC} to /{SMALLEST_VPC} to hold four subnets "
                    f"with room for brokers. Set it, for example to '{example}'."
                )
            if not any(map(network.subnet_of, PRIVATE)):
                yield (
                    f"vpcCidr is '{network}'; it must be private. Take a network of 10.0.0.0/8, 172.16.0.0/12 or "
                    "192.168.0.0/16."
                )
        if self.zone_ids and len(set(self.zone_ids)) != limits.EXPRESS_ZONES:
            yield (
                f"zoneIds is {list(self.zone_ids)}; Express brokers stand in exactly {limits.EXPRESS_ZONES} different "
                "zones. Name three, or none to have them chosen."
            )
        prefix = limits.zone_id_prefix(self.region)
        for zone in self.zone_ids:
            if zone in limits.EXPRESS_REFUSED_ZONE_IDS:
                yield f"zoneIds has {zone!r}; there are no Express brokers in that zone. Take another one."
            elif not re.fullmatch(rf"{re.escape(prefix)}-az\d{{1,2}}", zone):
                yield (
                    f"zoneIds has {zone!r}; zone ids of {self.region} look like '{prefix}-az1', unlike zone names. "
                    f"List them with `aws ec2 describe-availability-zones --region {self.region}`."
                )

    @property
    def subnet_cidrs(self) -> tuple[str, ...]:
        """Three private subnets and a public one, a quarter of the VPC each."""
        return tuple(str(subnet) for subnet in ipaddress.IPv4Network(self.vpc_cidr).subnets(prefixlen_diff=2))


@dataclass(frozen=True, kw_only=True)
class ClusterSettings(Checked):
    """Shape and security of an Express cluster. IAM authentication is always on and no setting."""

    cluster_name: str
    region: str
    kafka_version: str
    instance_type: str
    broker_count: int
    enhanced_monitoring: str
    log_retention_days: int
    kms_key: str
    scram: bool
    mtls_certificate_authority_arns: tuple[str, ...]
    protect: bool
    tags: Mapping[str, str]

    def problems(self) -> Iterator[str]:
        yield from _not_one_of("kafkaVersion", self.kafka_version, tuple(limits.EXPRESS_KAFKA_VERSIONS))
        yield from _not_one_of("instanceType", self.instance_type, tuple(limits.EXPRESS_INSTANCES))
        yield from _not_one_of("enhancedMonitoring", self.enhanced_monitoring, limits.MONITORING_LEVELS)
        yield from _not_one_of("logRetentionDays", self.log_retention_days, limits.LOG_RETENTION_DAYS)
        most, zones = limits.max_brokers(self.kafka_version), limits.EXPRESS_ZONES
        if self.broker_count % zones or not zones <= self.broker_count <= most:
            yield (
                f"brokerCount is {self.broker_count}; it must be a multiple of {zones}, one for each zone, from "
                f"{zones} to {most} with Kafka {self.kafka_version}. Set it to "
                f"{max(zones, min(most, -(-self.broker_count // zones) * zones))}."
            )
        if self.kms_key not in ("create", "aws-managed") and not re.fullmatch(
            rf"arn:aws[\w-]*:kms:{re.escape(self.region)}:\d{{12}}:key/[\w-]+", self.kms_key
        ):
            yield (
                f"kmsKey is {self.kms_key!r}; it must be 'create', 'aws-managed' or the ARN of a key in {self.region}. "
                "Write 'create' for a key of the cluster's own."
            )
        for arn in self.mtls_certificate_authority_arns:
            if not re.fullmatch(r"arn:aws[\w-]*:acm-pca:[\w-]+:\d{12}:certificate-authority/[\w-]+", arn):
                yield (
                    f"mtlsCertificateAuthorityArns has {arn!r}; it must be the ARN of a private certificate "
                    "authority. Copy it from AWS Private CA."
                )


@dataclass(frozen=True, kw_only=True)
class ConnectivitySettings(Checked):
    """Who may reach the brokers beside the Replicator and the program's own clients."""

    client_cidrs: tuple[str, ...]
    scram: bool
    mtls: bool
    tags: Mapping[str, str]

    def problems(self) -> Iterator[str]:
        for cidr, count in Counter(self.client_cidrs).items():
            if count > 1:
                yield f"clientCidrs has {cidr!r} {count} times; every network may occur once. Remove the others."
            try:
                network = _network(cidr)
            except ValueError as error:
                yield f"clientCidrs has {cidr!r}; it must be an IPv4 network ({error}). Write it like '10.50.0.0/16'."
            else:
                if not any(map(network.subnet_of, (*PRIVATE, SHARED))):
                    yield (
                        f"clientCidrs has '{cidr}'; brokers are reached from private networks only. Take the clients' "
                        "own network."
                    )

    @property
    def client_ports(self) -> dict[str, int]:
        """Port of each authentication mechanism that clients may use, IAM first."""
        on = {"iam": True, "scram": self.scram, "mtls": self.mtls}
        return {mechanism: port for mechanism, port in limits.PORTS.items() if on[mechanism]}


@dataclass(frozen=True, kw_only=True)
class TopicSettings(Checked):
    """One topic declared as code. `configs` are Kafka's topic settings, as strings."""

    name: str
    partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)

    def problems(self) -> Iterator[str]:
        where = f"topics has {self.name!r}"
        if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", self.name) or self.name in (".", ".."):
            yield f"{where}; a topic's name has 1 to 249 letters, digits, dots, underscores and hyphens. Rename it."
        if self.partitions < 1:
            yield f"{where} with {self.partitions} partitions; it must have at least 1. Set `partitions`."
        for setting in self.configs:
            if setting not in limits.EXPRESS_TOPIC_CONFIGS:
                yield (
                    f"{where} with the setting {setting!r}; Express brokers let one set only "
                    f"{', '.join(limits.EXPRESS_TOPIC_CONFIGS)}. Remove it."
                )
        numbers = {}
        for setting, default, least in (
            ("retention.ms", limits.RETENTION_MS, -1),
            (BEFORE_MAX_MS, UNLIMITED_MS, 0),
        ):
            value = self.configs.get(setting, str(default))
            if re.fullmatch(r"-1|\d{1,19}", value) and least <= int(value) <= UNLIMITED_MS:
                numbers[setting] = int(value)
            else:
                yield (
                    f"{where} with {setting} {value!r}; it must be whole milliseconds, at least {least}. Write it like "
                    "'604800000'."
                )
        if len(numbers) == 2:
            forever = numbers["retention.ms"] == -1 or self.configs.get("cleanup.policy") == "compact"
            kept, accepted = UNLIMITED_MS if forever else numbers["retention.ms"], numbers[BEFORE_MAX_MS]
            if accepted < kept:
                yield (
                    f"{where} with {BEFORE_MAX_MS} {accepted}; it must not be shorter than the topic keeps records "
                    f"({'for ever' if forever else f'{kept} ms'}), else a Replicator cannot copy the oldest. Remove "
                    "it to accept records of any age."
                )

    @property
    def effective_configs(self) -> dict[str, str]:
        """The settings, with records of any age accepted unless the declaration says otherwise.

        Express brokers refuse records older than a day by default and a Replicator preserves timestamps, so that a
        backlog could not be copied. Source: developer guide, troubleshooting MSK Replicator (2026-09).
        """
        return {BEFORE_MAX_MS: str(UNLIMITED_MS), **self.configs}


@dataclass(frozen=True, kw_only=True)
class TopicsSettings(Checked):
    """The topics declared as code, the same on both clusters."""

    topics: tuple[TopicSettings, ...]
    instance_type: str
    broker_count: int
    protect: bool

    def problems(self) -> Iterator[str]:
        for name, count in Counter(topic.name for topic in self.topics).items():
            if count > 1:
                yield f"topics has {name!r} {count} times; every name may occur once. Remove the others."
        instance = limits.EXPRESS_INSTANCES.get(self.instance_type)
        if instance and self.broker_count > 0:
            replicas = sum(topic.partitions for topic in self.topics) * limits.EXPRESS_REPLICATION_FACTOR
            room = instance.max_partitions * self.broker_count
            if replicas > room:
                yield (
                    f"topics has {replicas} partitions with their replicas; {self.broker_count} brokers "
                    f"{self.instance_type} hold at most {room}. Take more or larger brokers, or fewer partitions."
                )


@dataclass(frozen=True, kw_only=True)
class ReplicatorSettings(Checked):
    """What the Replicator copies and how. Everything but the lists and the copy flags is fixed at creation."""

    replicator_name: str
    source_role: str
    target_role: str
    topics_to_replicate: tuple[str, ...]
    topics_to_exclude: tuple[str, ...]
    consumer_groups_to_replicate: tuple[str, ...]
    consumer_groups_to_exclude: tuple[str, ...]
    topic_names: str
    starting_position: str
    offset_sync_mode: str
    compression: str
    copy_topic_configurations: bool
    copy_topic_acls: bool
    log_retention_days: int
    iam_wait_seconds: int
    tags: Mapping[str, str]

    def problems(self) -> Iterator[str]:
        yield from _pattern_problems("topicsToReplicate", self.topics_to_replicate, "topics")
        yield from _pattern_problems("topicsToExclude", self.topics_to_exclude, "topics", may_be_empty=True)
        yield from _pattern_problems("consumerGroupsToReplicate", self.consumer_groups_to_replicate, "groups")
        yield from _pattern_problems("consumerGroupsToExclude", self.consumer_groups_to_exclude, "groups")
        yield from _not_one_of("topicNames", self.topic_names, limits.TOPIC_NAMES)
        yield from _not_one_of("startingPosition", self.starting_position, limits.STARTING_POSITIONS)
        yield from _not_one_of("offsetSyncMode", self.offset_sync_mode, limits.OFFSET_SYNC_MODES)
        yield from _not_one_of("compression", self.compression, limits.COMPRESSION_TYPES)
        yield from _outside("iamWaitSeconds", self.iam_wait_seconds, 0, 300, "seconds", "15 is enough on AWS.")
        if self.offset_sync_mode == "ENHANCED" and self.topic_names == "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS":
            yield (
                f"offsetSyncMode is 'ENHANCED'; it needs topicNames 'IDENTICAL', which is {self.topic_names!r} ('The "
                "consumerGroupOffsetSyncMode value ENHANCED is only supported when topicNameConfiguration type is "
                "IDENTICAL', as the service says, 2026-09). Set topicNames to 'IDENTICAL'."
            )
        # No cluster's ARN is longer: the Replicator's name is that of either cluster and more.
        arn = f"arn:aws:kafka:{'-' * 14}:{'-' * 12}:cluster/{self.replicator_name}/{'-' * 39}"
        size = len(json.dumps(execution_policy(self, arn, arn), separators=(",", ":")))
        if size > limits.ROLE_POLICY_LENGTH:
            yield (
                f"topicsToReplicate has {len(self.topics_to_replicate)} patterns and consumerGroupsToReplicate "
                f"{len(self.consumer_groups_to_replicate)}; the Replicator's role names them in a policy of at most "
                f"{limits.ROLE_POLICY_LENGTH} characters, which may have {size} now. Write fewer, broader patterns, "
                "for example 'orders-.*'."
            )


def _pattern_problems(key: str, patterns: tuple[str, ...], kind: str, *, may_be_empty: bool = False) -> Iterator[str]:
    least, most, longest = limits.REPLICATOR_LISTS[kind]
    least = 0 if may_be_empty else least
    if not least <= len(patterns) <= most:
        hint = "Join some of them with '|'." if patterns else "Write ['.*'] for everything."
        yield f"{key} has {len(patterns)} patterns; it must have {least} to {most}. {hint}"
    for pattern in patterns:
        if problem := problem_with(pattern, longest):
            yield f"{key} has {pattern!r}, which {problem}."


@dataclass(frozen=True, kw_only=True)
class MonitoringSettings(Checked):
    """What is watched, and who is told."""

    cluster_name: str
    replicator_name: str
    region: str
    instance_type: str
    broker_count: int
    enhanced_monitoring: str
    rpo_seconds: int
    alarm_email: str
    alarm_topic_arn: str
    tags: Mapping[str, str]

    def problems(self) -> Iterator[str]:
        yield from _outside("rpoSeconds", self.rpo_seconds, 1, 86400, "seconds", "60 suits most pairs.")
        if self.alarm_email and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.alarm_email):
            yield f"alarmEmail is {self.alarm_email!r}; it must be an e-mail address. Correct it, or leave it empty."
        if self.alarm_topic_arn and not re.fullmatch(
            rf"arn:aws[\w-]*:sns:{re.escape(self.region)}:\d{{12}}:[\w-]+", self.alarm_topic_arn
        ):
            yield (
                f"alarmTopicArn is {self.alarm_topic_arn!r}; it must be the ARN of an SNS topic in {self.region}, "
                "because an alarm notifies topics of its own Region only. Correct it, or leave it empty."
            )
        if self.alarm_email and self.alarm_topic_arn:
            yield (
                f"alarmEmail is {self.alarm_email!r} and alarmTopicArn is {self.alarm_topic_arn!r}; only one of the "
                "two may be set. Subscribe the address to that topic, and leave alarmEmail empty."
            )


@dataclass(frozen=True, kw_only=True)
class ClientSettings(Checked):
    """The instance with Kafka's command line tools."""

    region: str
    kafka_version: str
    client_instance_type: str
    tags: Mapping[str, str]

    def problems(self) -> Iterator[str]:
        if not re.fullmatch(r"[a-z]+\d+g[a-z]*\.[\w-]+", self.client_instance_type):
            yield (
                f"clientInstanceType is {self.client_instance_type!r}; it must be a Graviton type, because the "
                "instance runs an arm64 image. Take for example 't4g.small'."
            )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a stack's configuration decides."""

    pair: PairSettings
    network: NetworkSettings
    cluster: ClusterSettings
    connectivity: ConnectivitySettings
    topics: TopicsSettings
    replicator: ReplicatorSettings
    monitoring: MonitoringSettings
    client: ClientSettings | None


KEYS: Final[Mapping[str, type]] = {
    "role": str,
    "peerStack": str,
    "direction": str,
    "name": str,
    "vpcCidr": str,
    "zoneIds": list,
    "clientCidrs": list,
    "kafkaVersion": str,
    "instanceType": str,
    "brokerCount": int,
    "enhancedMonitoring": str,
    "logRetentionDays": int,
    "kmsKey": str,
    "scram": bool,
    "mtlsCertificateAuthorityArns": list,
    "topics": list,
    "topicsToReplicate": list,
    "topicsToExclude": list,
    "consumerGroupsToReplicate": list,
    "consumerGroupsToExclude": list,
    "topicNames": str,
    "startingPosition": str,
    "offsetSyncMode": str,
    "compression": str,
    "copyTopicConfigurations": bool,
    "copyTopicAcls": bool,
    "iamWaitSeconds": int,
    "client": bool,
    "clientInstanceType": str,
    "alarmEmail": str,
    "alarmTopicArn": str,
    "rpoSeconds": int,
    "protect": bool,
    "tags": dict,
}
"""Every key of the project's configuration and the type that it is read as."""


def load() -> Settings:
    """The stack's configuration, checked. Raises ConfigError with every mistake in it."""
    problems = list(_unknown_keys())
    values: dict[str, Any] = {}
    unread = set()
    for key, kind in KEYS.items():
        try:
            values[key] = _read(key)
        except ValueError as error:
            problems.append(str(error))
            # A stand-in, so that a mistake here does not hide those in its section.
            values[key] = () if kind is list else kind()
            unread.add(key)
    region = pulumi.Config("aws").get("region")
    if region is None:
        problems.append(
            "aws:region is not set; every stack has its own Region. Run `pulumi config set aws:region us-east-1`."
        )
    else:
        values["region"] = region
    settings = _assemble(values, unread, problems)
    if settings is None or problems:
        raise ConfigError(problems)
    return settings


def _assemble(values: dict[str, Any], unread: Collection[str], problems: list[str]) -> Settings | None:
    """The settings objects from the values at hand, with their mistakes added to `problems`.

    Keys in `unread` have stand-ins, whose mistakes do not count. Sections that need the Region are left out without it.
    """

    def section(cls: Callable[..., S], **derived: Any) -> S | None:
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        given = {f.name: values[key_of(f.name)] for f in fields if f.name not in derived and key_of(f.name) in values}
        if len(given) + len(derived) < len(fields):
            return None
        try:
            return cls(**given, **derived)
        except ConfigError as error:
            problems.extend(problem for problem in error.problems if problem.split(" ", 1)[0] not in unread)
            return None

    problems.extend(_tag_problems(values["tags"]))
    pair = section(PairSettings, stack=pulumi.get_stack())
    # A wrong name or role must not hide mistakes elsewhere: the other sections get stand-ins for what derives from it.
    names = (pair.prefix, pair.replicator_name, pair.peer_role, pair.role) if pair else ("", "", "", "")
    prefix, replicator_name, source_role, target_role = names
    values["tags"] = {**values["tags"], "msk-dr:pair": values["name"], "msk-dr:role": target_role}
    values["topics"] = _topics(values["topics"], problems)
    cas = values["mtlsCertificateAuthorityArns"]
    parts = {
        "pair": pair,
        "network": section(NetworkSettings),
        "cluster": section(ClusterSettings, cluster_name=prefix),
        "connectivity": section(ConnectivitySettings, mtls=bool(cas)),
        "topics": section(TopicsSettings),
        "replicator": section(
            ReplicatorSettings, replicator_name=replicator_name, source_role=source_role, target_role=target_role
        ),
        "monitoring": section(MonitoringSettings, cluster_name=prefix, replicator_name=replicator_name),
        "client": section(ClientSettings),
    }
    if None in parts.values():
        return None
    if not values["client"]:
        parts["client"] = None
    return Settings(**parts)  # type: ignore[arg-type]


def _topics(declared: list[Any], problems: list[str]) -> tuple[TopicSettings, ...]:
    """The declared topics, those with mistakes left out and their mistakes added to `problems`."""
    topics = []
    shape = "it must be an object with `name`, `partitions` and, if need be, `configs`"
    for position, entry in enumerate(declared):
        where = f"topics[{position}] is {json.dumps(entry)}"
        if not isinstance(entry, dict) or not {"name", "partitions"} <= entry.keys() <= {
            "name",
            "partitions",
            "configs",
        }:
            problems.append(f"{where}; {shape}. Write it like {{name: orders, partitions: 6}}.")
            continue
        name, partitions, configs = entry["name"], entry["partitions"], entry.get("configs", {})
        if not isinstance(name, str) or isinstance(partitions, bool) or not isinstance(partitions, int):
            problems.append(
                f"{where}; name must be text and partitions a whole number. Write it like "
                f"{{name: orders, partitions: 6}}."
            )
            continue
        if not isinstance(configs, dict) or not all(isinstance(v, str | int) for v in configs.values()):
            problems.append(
                f"{where}; configs must be an object of Kafka settings. Write it like {{retention.ms: '604800000'}}."
            )
            continue
        plain = {setting: json.dumps(v) if isinstance(v, bool) else str(v) for setting, v in configs.items()}
        try:
            topics.append(TopicSettings(name=name, partitions=partitions, configs=plain))
        except ConfigError as error:
            problems.extend(error.problems)
    return tuple(topics)


def _read(key: str) -> Any:
    """A key's value in its type; lists as tuples of strings, except `topics`. ValueError says what is wrong."""
    kind, text = KEYS[key], pulumi.Config().get(key)
    if text is None:
        raise ValueError(f"{key} is not set; it has no default. Run `pulumi config set {key} <value>`.")
    if kind is str:
        return text
    value: Any = text
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(text)
    if kind.__name__ != type(value).__name__:  # not isinstance: true is no whole number
        names = {int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}
        raise ValueError(
            f"{key} is {text!r}; it must be {names[kind]}. Correct it with `pulumi config set` or in the stack file."
        )
    if kind is dict and not all(isinstance(item, str) for item in value.values()):
        raise ValueError(f"{key} is {text!r}; every value in it must be text. Put quotation marks around numbers.")
    if kind is list and key != "topics":
        if not all(isinstance(item, str) for item in value):
            raise ValueError(f"{key} is {text!r}; every entry must be text. Put quotation marks around numbers.")
        return tuple(value)
    return value


def _unknown_keys() -> Iterator[str]:
    """Keys under this project's name that nothing reads: mostly typing mistakes, which would be ignored silently."""
    namespace = f"{pulumi.get_project()}:"
    given = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    for key in sorted(key.removeprefix(namespace) for key in given if key.startswith(namespace)):
        if key not in KEYS:
            close = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "Remove it; the keys are listed in Pulumi.yaml."
            yield f"{key} is no key of this program; it would be ignored. {hint}"
