"""Checks of security groups and of the instances behind them."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .reader import Props, Resource
from .rule import Findings, Stack
from .tokens import (
    CLUSTER,
    DEFAULT_SECURITY_GROUP,
    EGRESS_RULE,
    INGRESS_RULE,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
)

KAFKA_PORTS: Final = ((9092, 9098), (9192, 9198), (14001, 14100), (20098, 20098))
"""Brokers inside, brokers with public access, private connectivity between VPCs, IAM over IPv6.

Sources: developer guide, port-info and aws-access-mult-vpc (2026-09)."""

IAM_PORT: Final = 9098

WIDEST_PRIVATE: Final = {4: 8, 6: 7}
"""Prefix lengths of the widest private networks, 10.0.0.0/8 and fc00::/7: what is wider holds much of the world."""

ALL_PORTS: Final = (0, 65535)

IMDS: Final = "metadataOptions"


@dataclass(frozen=True)
class Opening:
    """What one rule of a security group lets in or out over TCP."""

    kind: str
    """ingress or egress"""
    ports: tuple[int, int]
    cidrs: tuple[str, ...]
    groups: str
    """Path of the other security groups in `props`."""
    itself: bool
    other: bool
    """Prefix lists, whose networks a policy cannot see."""
    props: Props

    def covers(self, port: int) -> bool:
        return self.ports[0] <= port <= self.ports[1]


def openings(resource: Resource) -> Iterator[Opening]:
    """The TCP openings that a resource makes: a security group with rules inside, or a rule of its own."""
    if resource.type in (SECURITY_GROUP, DEFAULT_SECURITY_GROUP):
        for kind in ("ingress", "egress"):
            for inner in resource.items(kind):
                yield from _opening(
                    kind, inner, "protocol", ("cidrBlocks", "ipv6CidrBlocks"), "securityGroups", "prefixListIds"
                )
    elif resource.type == SECURITY_GROUP_RULE:
        kind = resource.text("type")
        yield from _opening(
            kind, resource, "protocol", ("cidrBlocks", "ipv6CidrBlocks"), "sourceSecurityGroupId", "prefixListIds"
        )
    elif resource.type in (INGRESS_RULE, EGRESS_RULE):
        kind = "ingress" if resource.type == INGRESS_RULE else "egress"
        yield from _opening(
            kind, resource, "ipProtocol", ("cidrIpv4", "cidrIpv6"), "referencedSecurityGroupId", "prefixListId"
        )


def _opening(
    kind: str, props: Props, protocol: str, cidrs: tuple[str, str], groups: str, lists: str
) -> Iterator[Opening]:
    spoken = props.text(protocol, "-1").lower()
    if spoken not in ("tcp", "6", "-1", "all"):
        return
    low, high = props.number("fromPort"), props.number("toPort")
    if spoken in ("-1", "all") or low is None or high is None:
        low, high = ALL_PORTS
    yield Opening(
        kind=kind,
        ports=(int(low), int(high)),
        cidrs=tuple(cidr for path in cidrs for cidr in _known_texts(props, path)),
        groups=groups,
        itself=props.flag("self"),
        other=props.has(lists),
        props=props,
    )


def _known_texts(props: Props, path: str) -> list[str]:
    return props.texts(path) if isinstance(props.raw(path), list) else [t for t in [props.known(path)] if t]


def is_world(cidr: str) -> bool:
    """Whether a network is wider than any private one. What is no network is not."""
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return False
    return network.prefixlen < WIDEST_PRIVATE[network.version]


def kafka_stays_inside(resource: Resource) -> Findings:
    for opening in openings(resource):
        low, high = opening.ports
        if opening.kind != "ingress" or not any(low <= last and first <= high for first, last in KAFKA_PORTS):
            continue
        for cidr in filter(is_world, opening.cidrs):
            ports = f"{low}" if low == high else f"{low}-{high}"
            where = f"{opening.props.where} opens" if opening.props.where else "the rule opens"
            yield (
                f"{where} TCP {ports} to {cidr}; Kafka's ports must not be open to the world. Name the clients' "
                "security group or their network instead."
            )


def brokers_are_reachable(replicator: Resource, stack: Stack) -> Findings:
    # Developer guide, msk-replicator-troubleshooting (2026-09): the target's group admits the Replicator's on 9098, and
    # that one lets it out.
    targets = [
        cluster
        for info in replicator.items("replicationInfoList")
        for cluster in stack.targets(replicator, info, "targetKafkaClusterArn", ["arn"], CLUSTER)
    ]
    own = [
        group
        for entry in replicator.items("kafkaClusters")
        for group in stack.targets(replicator, entry, "vpcConfig.securityGroupsIds", ["id"], SECURITY_GROUP)
    ]
    for cluster in targets:
        brokers = stack.targets(cluster, cluster, "brokerNodeGroupInfo.securityGroups", ["id"], SECURITY_GROUP)
        if brokers and not any(_admits(group, own or brokers, stack) for group in brokers):
            yield (
                f"no security group of {cluster.name} admits the Replicator on TCP {IAM_PORT}; it would stay in "
                "CREATING and then fail. Add an ingress rule from the Replicator's security group."
            )
    if own and not any(o.kind == "egress" and o.covers(IAM_PORT) for group in own for o in _openings_of(group, stack)):
        yield (
            f"the Replicator's security group lets nothing out on TCP {IAM_PORT}; it must reach the brokers. Add an "
            "egress rule to the brokers' security group."
        )


def _admits(group: Resource, others: list[Resource], stack: Stack) -> bool:
    wanted = {other.urn for other in others}
    for opening in _openings_of(group, stack):
        if opening.kind == "ingress" and opening.covers(IAM_PORT):
            holder = opening.props
            named = stack.targets(_holder(holder, group), holder, opening.groups, ["id"], SECURITY_GROUP)
            if (
                opening.cidrs
                or opening.other
                or wanted & {g.urn for g in named}
                or (opening.itself and group.urn in wanted)
            ):
                return True
    return False


def _holder(props: Props, group: Resource) -> Resource:
    return props if isinstance(props, Resource) else group


def _openings_of(group: Resource, stack: Stack) -> Iterator[Opening]:
    for rule in stack.of(INGRESS_RULE, EGRESS_RULE, SECURITY_GROUP_RULE):
        if group.urn in [g.urn for g in stack.targets(rule, rule, "securityGroupId", ["id"], SECURITY_GROUP)]:
            yield from openings(rule)
    # Rules inside the group come last: as outputs they are unknown until the group is there.
    yield from openings(group)


def metadata_needs_a_token(instance: Resource) -> Findings:
    # Left out, the image or the account decides, and the API's own default is 'optional'.
    path = f"{IMDS}.httpTokens"
    if (
        instance.text(f"{IMDS}.httpEndpoint", "enabled") != "disabled"
        and (found := instance.text(path, "optional")) != "required"
    ):
        yield (
            f"{path} is {found!r}; it must be 'required', else a request that a program is tricked into sends out the "
            "role's credentials. Set it to 'required'."
        )


def disks_are_encrypted(instance: Resource) -> Findings:
    # Left out, a disk is encrypted only where the account's own default says so, which a policy cannot see.
    if not instance.flag("rootBlockDevice.encrypted"):
        yield (
            "rootBlockDevice.encrypted is not true; it must be true: records and credentials land on the disk. Set it "
            "to true."
        )
    for disk in instance.items("ebsBlockDevices"):
        if not disk.flag("encrypted"):
            yield (
                f"{disk.where}.encrypted is not true; it must be true: records and credentials land on the disk. Set "
                "it to true."
            )


def nobody_calls_in(instance: Resource, stack: Stack) -> Findings:
    for group in stack.targets(instance, instance, "vpcSecurityGroupIds", ["id"], SECURITY_GROUP):
        for opening in _openings_of(group, stack):
            for cidr in filter(is_world, opening.cidrs if opening.kind == "ingress" else ()):
                low, high = opening.ports
                yield (
                    f"security group {group.name} opens TCP {low}-{high} to {cidr}; nobody calls a client from "
                    "outside. Remove the rule, and reach the instance with Session Manager."
                )
