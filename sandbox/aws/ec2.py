"""EC2: networks, security groups and instances, as far as the program uses them.

What replaces and what does not follows terraform-provider-aws 6.6x; error codes and texts are EC2's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pulumi_aws import ec2, vpc

from sandbox.aws.base import RecordHandler, arn, cidr_block, exactly_one, in_range, kind_of, one_of
from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.regions import ACCOUNT, ZONES, zone_id
from sandbox.rules import AutoName, Rules
from sandbox.schema import resource_schema
from sandbox.wire import UNKNOWN, Props

VPC = kind_of(ec2.Vpc)
SUBNET = kind_of(ec2.Subnet)
SECURITY_GROUP = kind_of(ec2.SecurityGroup)
INGRESS_RULE = kind_of(vpc.SecurityGroupIngressRule)
EGRESS_RULE = kind_of(vpc.SecurityGroupEgressRule)
ROUTE_TABLE = kind_of(ec2.RouteTable)
ROUTE = kind_of(ec2.Route)
ASSOCIATION = kind_of(ec2.RouteTableAssociation)
GATEWAY = kind_of(ec2.InternetGateway)
INSTANCE = kind_of(ec2.Instance)
AMI = "ami"


def vpc_of(aws: Aws, subnet: str) -> str:
    """The VPC of a subnet of this Region."""
    return str(find(aws, SUBNET, subnet)["vpcId"])


def find(aws: Aws, kind: str, id_: str) -> Props:
    """A resource of this Region, or EC2's error for one that is not there."""
    code, name = _NOT_FOUND[kind]
    record = aws.get(kind, id_)
    if record is None:
        raise AwsError(code, f"The {name} '{id_}' does not exist")
    return record


_NOT_FOUND = {
    VPC: ("InvalidVpcID.NotFound", "vpc ID"),
    SUBNET: ("InvalidSubnetID.NotFound", "subnet ID"),
    SECURITY_GROUP: ("InvalidGroup.NotFound", "security group"),
    ROUTE_TABLE: ("InvalidRouteTableID.NotFound", "routeTable ID"),
    GATEWAY: ("InvalidGatewayID.NotFound", "gateway ID"),
    AMI: ("InvalidAMIID.NotFound", "image id"),
}


def in_use(aws: Aws, id_: str) -> bool:
    """Whether an instance, cluster, Replicator or VPC connection has interfaces in a subnet or security group."""
    kinds = (
        INSTANCE,
        "aws:msk/cluster:Cluster",
        "aws:msk/replicator:Replicator",
        "aws:msk/vpcConnection:VpcConnection",
    )
    if any(id_ in _network_of(record) for kind in kinds for record in aws.table(kind).values()):
        return True
    if aws.cloud.used_elsewhere is None:
        return False
    with aws.cloud.unlocked():
        return aws.cloud.used_elsewhere(aws.region, id_)


def _network_of(record: Props) -> set[str]:
    brokers = record.get("brokerNodeGroupInfo", {})
    own = {*brokers.get("clientSubnets", []), *brokers.get("securityGroups", [])}
    own |= {*record.get("vpcSecurityGroupIds", []), *record.get("securityGroups", []), record.get("subnetId")}
    own |= {*record.get("clientSubnets", [])}
    # Only the target's entry puts interfaces into the Replicator's Region; the source's subnets are of another one.
    for entry in record.get("kafkaClusters", []):
        config = entry.get("vpcConfig", {})
        own |= {*config.get("subnetIds", []), *config.get("securityGroupsIds", [])}
    return own


def _cidr_failures(inputs: Props, name: str) -> Iterator[Failure]:
    value = inputs.get(name)
    if value is None or value == UNKNOWN:
        return
    try:
        cidr_block(value)
    except ValueError:
        try:
            meant = ipaddress.IPv4Network(value, strict=False)
        except ValueError:
            yield Failure(name, f'"{value}" is not a valid IPv4 CIDR block')
        else:
            yield Failure(name, f'"{value}" is not a valid IPv4 CIDR block; did you mean "{meant}"?')


def _size_failures(inputs: Props, name: str) -> Iterator[Failure]:
    failures = list(_cidr_failures(inputs, name))
    yield from failures
    value = inputs.get(name)
    if value is not None and value != UNKNOWN and not failures and not 16 <= cidr_block(value).prefixlen <= 28:
        yield Failure(name, f'expected "{name}" to contain a network Value with between 16 and 28 significant bits')


class Vpc(RecordHandler):
    resource = ec2.Vpc
    label = "EC2 VPC"
    creates, reads, updates, deletes = "ec2:CreateVpc", "ec2:DescribeVpcs", "ec2:ModifyVpcAttribute", "ec2:DeleteVpc"
    rules = Rules(
        defaults={"enableDnsSupport": True, "instanceTenancy": "default"},
        replace=frozenset({"cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength"}),
        computed=frozenset(
            {
                "cidrBlock",
                "enableDnsHostnames",
                "enableNetworkAddressUsageMetrics",
                "ipv6CidrBlock",
                "ipv6CidrBlockNetworkBorderGroup",
            }
        ),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from _size_failures(inputs, "cidrBlock")
        yield from one_of(inputs, "instanceTenancy", ("default", "dedicated"))

    def replacing(self, state: Props, inputs: Props) -> Iterable[str]:
        # A VPC can only go from dedicated to default tenancy.
        return ["instanceTenancy"] if inputs.get("instanceTenancy") == "dedicated" else []

    def admit(self, aws: Aws, inputs: Props) -> None:
        if "cidrBlock" not in inputs:
            raise AwsError("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"vpc-0{aws.digest('vpc')[:16]}"

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        group = f"sg-0{aws.digest('default-sg')[:16]}"
        aws.put(SECURITY_GROUP, group, {"name": "default", "vpcId": id_, "isDefault": True})
        return {
            "arn": arn("ec2", aws.region, f"vpc/{id_}"),
            "defaultNetworkAclId": f"acl-0{aws.digest('acl')[:16]}",
            "defaultRouteTableId": (main := f"rtb-0{aws.digest('main-rtb')[:16]}"),
            "defaultSecurityGroupId": group,
            "dhcpOptionsId": f"dopt-0{aws.digest('dopt')[:16]}",
            "enableDnsHostnames": inputs.get("enableDnsHostnames", False),
            "enableNetworkAddressUsageMetrics": inputs.get("enableNetworkAddressUsageMetrics", False),
            "ipv6AssociationId": "",
            "ipv6CidrBlock": "",
            "ipv6CidrBlockNetworkBorderGroup": "",
            "mainRouteTableId": main,
            "ownerId": ACCOUNT,
        }

    def follow_up(self, inputs: Props) -> tuple[str, ...]:
        return ("ec2:ModifyVpcAttribute",) if inputs.get("enableDnsHostnames") else ()

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        inside = [
            other
            for kind in (SUBNET, GATEWAY, ROUTE_TABLE, SECURITY_GROUP)
            for other, held in aws.table(kind).items()
            if held.get("vpcId") == id_ and not held.get("isDefault")
        ]
        if inside:
            raise AwsError("DependencyViolation", f"The vpc '{id_}' has dependencies and cannot be deleted.")
        aws.remove(SECURITY_GROUP, record["defaultSecurityGroupId"])


class Subnet(RecordHandler):
    resource = ec2.Subnet
    label = "EC2 Subnet"
    creates, reads = "ec2:CreateSubnet", "ec2:DescribeSubnets"
    updates, deletes = "ec2:ModifySubnetAttribute", "ec2:DeleteSubnet"
    rules = Rules(
        defaults={
            "assignIpv6AddressOnCreation": False,
            "enableDns64": False,
            "enableResourceNameDnsARecordOnLaunch": False,
            "enableResourceNameDnsAaaaRecordOnLaunch": False,
            "ipv6Native": False,
            "mapPublicIpOnLaunch": False,
        },
        replace=frozenset(
            {
                "availabilityZone",
                "availabilityZoneId",
                "cidrBlock",
                "ipv4IpamPoolId",
                "ipv6Native",
                "outpostArn",
                "vpcId",
            }
        ),
        computed=frozenset({"availabilityZone", "availabilityZoneId", "cidrBlock", "privateDnsHostnameTypeOnLaunch"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from _size_failures(inputs, "cidrBlock")
        if "availabilityZone" in inputs and "availabilityZoneId" in inputs:
            yield Failure("availabilityZone", '"availability_zone": conflicts with availability_zone_id')

    def admit(self, aws: Aws, inputs: Props) -> None:
        network = find(aws, VPC, inputs["vpcId"])
        if "cidrBlock" not in inputs:
            raise AwsError("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
        block = cidr_block(inputs["cidrBlock"])
        if not block.subnet_of(cidr_block(network["cidrBlock"])):
            raise AwsError("InvalidSubnet.Range", f"The CIDR '{block}' is invalid.")
        for other in aws.table(SUBNET).values():
            if other["vpcId"] == inputs["vpcId"] and block.overlaps(cidr_block(other["cidrBlock"])):
                raise AwsError("InvalidSubnet.Conflict", f"The CIDR '{block}' conflicts with another subnet")
        self._zone(aws, inputs)

    def _zone(self, aws: Aws, inputs: Props) -> tuple[str, str]:
        zones = ZONES[aws.region]
        name, id_ = inputs.get("availabilityZone"), inputs.get("availabilityZoneId")
        if name is None and id_ is None:
            return zones[0].name, zones[0].id
        for zone in zones:
            if name in (None, zone.name) and id_ in (None, zone.id):
                return zone.name, zone.id
        parameter = "availabilityZone" if name else "availabilityZoneId"
        allowed = ", ".join(zone.name if name else zone.id for zone in zones)
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({name or id_}) for parameter {parameter} is invalid. Subnets can currently only be created in the "
            f"following availability zones: {allowed}.",
        )

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"subnet-0{aws.digest('subnet')[:16]}"

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        zone, zone_identity = self._zone(aws, inputs)
        return {
            "arn": arn("ec2", aws.region, f"subnet/{id_}"),
            "availabilityZone": zone,
            "availabilityZoneId": zone_identity,
            "ipv6CidrBlockAssociationId": "",
            "ownerId": ACCOUNT,
            "privateDnsHostnameTypeOnLaunch": inputs.get("privateDnsHostnameTypeOnLaunch", "ip-name"),
        }

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        if in_use(aws, id_):
            raise AwsError("DependencyViolation", f"The subnet '{id_}' has dependencies and cannot be deleted.")


class InternetGateway(RecordHandler):
    resource = ec2.InternetGateway
    label = "EC2 Internet Gateway"
    creates, reads = "ec2:CreateInternetGateway", "ec2:DescribeInternetGateways"
    updates, deletes = "ec2:AttachInternetGateway", "ec2:DeleteInternetGateway"
    rules = Rules(computed=frozenset({"vpcId"}))

    def admit(self, aws: Aws, inputs: Props) -> None:
        if network := inputs.get("vpcId"):
            find(aws, VPC, network)
            if any(other.get("vpcId") == network for other in aws.table(GATEWAY).values()):
                raise AwsError("InvalidParameterValue", f"Network {network} already has an internet gateway attached")

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"igw-0{aws.digest('igw')[:16]}"

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {"arn": arn("ec2", aws.region, f"internet-gateway/{id_}"), "ownerId": ACCOUNT}

    def follow_up(self, inputs: Props) -> tuple[str, ...]:
        return ("ec2:AttachInternetGateway",) if "vpcId" in inputs else ()

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        if inputs.get("vpcId", state.get("vpcId")) != state.get("vpcId"):
            self.admit(aws, inputs)

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        network = record.get("vpcId")
        for machine in aws.table(INSTANCE).values():
            if machine["publicIp"] and vpc_of(aws, machine["subnetId"]) == network:
                message = f"Network {network} has some mapped public address(es). Please unmap those public address(es)"
                raise AwsError("DependencyViolation", f"{message} before detaching the gateway.")


class RouteTable(RecordHandler):
    resource = ec2.RouteTable
    label = "EC2 Route Table"
    creates, reads = "ec2:CreateRouteTable", "ec2:DescribeRouteTables"
    updates, deletes = "ec2:CreateRoute", "ec2:DeleteRouteTable"
    rules = Rules(
        replace=frozenset({"vpcId"}),
        computed=frozenset({"propagatingVgws", "routes"}),
        sets=frozenset({"propagatingVgws", "routes"}),
    )

    def admit(self, aws: Aws, inputs: Props) -> None:
        find(aws, VPC, inputs["vpcId"])
        for route in inputs.get("routes", []):
            _admit_route(aws, inputs["vpcId"], route)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        for route in inputs.get("routes", []):
            _admit_route(aws, state["vpcId"], route)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"rtb-0{aws.digest('rtb')[:16]}"

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {
            "arn": arn("ec2", aws.region, f"route-table/{id_}"),
            "ownerId": ACCOUNT,
            "propagatingVgws": inputs.get("propagatingVgws", []),
            "routes": inputs.get("routes", []),
        }

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        if any(held["routeTableId"] == id_ for held in aws.table(ASSOCIATION).values()):
            raise AwsError("DependencyViolation", f"The routeTable '{id_}' has dependencies and cannot be deleted.")
        for route, held in list(aws.table(ROUTE).items()):
            if held["routeTableId"] == id_:
                aws.remove(ROUTE, route)


def _admit_route(aws: Aws, network: str, route: Props) -> None:
    gateway = route.get("gatewayId")
    if gateway and gateway.startswith("igw-") and find(aws, GATEWAY, gateway).get("vpcId") != network:
        raise AwsError(
            "InvalidParameterValue",
            f"route table and network gateway {gateway} belong to different networks",
        )


_ROUTE_TARGETS = (
    "carrierGatewayId",
    "coreNetworkArn",
    "egressOnlyGatewayId",
    "gatewayId",
    "localGatewayId",
    "natGatewayId",
    "networkInterfaceId",
    "odbNetworkArn",
    "transitGatewayId",
    "vpcEndpointId",
    "vpcPeeringConnectionId",
)
_ROUTE_DESTINATIONS = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")


class Route(RecordHandler):
    resource = ec2.Route
    label = "Route"
    creates, reads, updates, deletes = (
        "ec2:CreateRoute",
        "ec2:DescribeRouteTables",
        "ec2:ReplaceRoute",
        "ec2:DeleteRoute",
    )
    rules = Rules(
        replace=frozenset({"routeTableId", *_ROUTE_DESTINATIONS}),
        computed=frozenset({"networkInterfaceId"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from exactly_one(inputs, *_ROUTE_DESTINATIONS)
        yield from exactly_one(inputs, *_ROUTE_TARGETS)
        yield from _cidr_failures(inputs, "destinationCidrBlock")

    def admit(self, aws: Aws, inputs: Props) -> None:
        table = find(aws, ROUTE_TABLE, inputs["routeTableId"])
        _admit_route(aws, table["vpcId"], inputs)
        if self._key(inputs) in aws.table(ROUTE):
            where = f"{inputs['routeTableId']} and destination {self._destination(inputs)}"
            raise AwsError("RouteAlreadyExists", f"The route identified by {where} already exists.")

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        _admit_route(aws, find(aws, ROUTE_TABLE, inputs["routeTableId"])["vpcId"], inputs)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return self._key(inputs)

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {
            "instanceId": "",
            "instanceOwnerId": "",
            "networkInterfaceId": "",
            "origin": "CreateRoute",
            "state": "active",
        }

    def _destination(self, inputs: Props) -> str:
        return next(str(inputs[name]) for name in _ROUTE_DESTINATIONS if name in inputs)

    def _key(self, inputs: Props) -> str:
        # The provider's id ends in a hash of the destination.
        number = sum(index * byte for index, byte in enumerate(self._destination(inputs).encode(), 101))
        return f"r-{inputs['routeTableId']}{number}"


class RouteTableAssociation(RecordHandler):
    resource = ec2.RouteTableAssociation
    label = "Route Table Association"
    creates, reads = "ec2:AssociateRouteTable", "ec2:DescribeRouteTables"
    updates, deletes = "ec2:ReplaceRouteTableAssociation", "ec2:DisassociateRouteTable"
    rules = Rules(replace=frozenset({"gatewayId", "subnetId"}))

    def check(self, inputs: Props) -> Iterable[Failure]:
        return exactly_one(inputs, "subnetId", "gatewayId")

    def admit(self, aws: Aws, inputs: Props) -> None:
        table = find(aws, ROUTE_TABLE, inputs["routeTableId"])
        subnet = inputs.get("subnetId")
        if subnet is None:
            return
        if vpc_of(aws, subnet) != table["vpcId"]:
            raise AwsError(
                "InvalidParameterValue",
                f"Route table {inputs['routeTableId']} and subnet {subnet} belong to different networks",
            )
        for id_, other in aws.table(ASSOCIATION).items():
            if other.get("subnetId") == subnet:
                raise AwsError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {inputs['routeTableId']} conflicts with an existing "
                    f"association ({id_})",
                )

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        find(aws, ROUTE_TABLE, inputs["routeTableId"])

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"rtbassoc-0{aws.digest('rtbassoc')[:16]}"


_DESCRIPTION = r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]"
"""What EC2 takes in names and descriptions of groups and rules."""


class SecurityGroup(RecordHandler):
    resource = ec2.SecurityGroup
    label = "Security Group"
    creates, reads = "ec2:CreateSecurityGroup", "ec2:DescribeSecurityGroups"
    updates, deletes = "ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup"
    rules = Rules(
        autoname=AutoName("name", 255),
        defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
        replace=frozenset({"description", "name", "namePrefix", "vpcId"}),
        computed=frozenset({"egress", "ingress", "vpcId"}),
        sets=frozenset({"egress", "ingress"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        name = inputs["name"]
        if name != UNKNOWN and (name.startswith("sg-") or len(name) > 255):
            yield Failure("name", f"name is {name}; it must not start with sg- and have at most 255 characters")
        description = inputs["description"]
        if description != UNKNOWN and not 0 < len(description) <= 255:
            yield Failure("description", "description cannot be empty or longer than 255 characters")

    def admit(self, aws: Aws, inputs: Props) -> None:
        network = inputs.get("vpcId")
        if network is None:
            raise AwsError("VPCIdNotSpecified", "No default VPC for this user")
        find(aws, VPC, network)
        for name in ("name", "description"):
            if not re.fullmatch(f"{_DESCRIPTION}*", inputs[name]):
                raise AwsError(
                    "InvalidParameterValue",
                    f"Value ({inputs[name]}) for parameter {'GroupName' if name == 'name' else 'GroupDescription'} is "
                    "invalid. Character sets beyond ASCII are not supported.",
                )
        for other in aws.table(SECURITY_GROUP).values():
            if other["vpcId"] == network and other["name"] == inputs["name"]:
                message = f"The security group '{inputs['name']}' already exists for VPC '{network}'"
                raise AwsError("InvalidGroup.Duplicate", message)
        for rule in (*inputs.get("ingress", []), *inputs.get("egress", [])):
            for group in rule.get("securityGroups", []):
                find(aws, SECURITY_GROUP, group)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"sg-0{aws.digest('sg')[:16]}"

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {
            "arn": arn("ec2", aws.region, f"security-group/{id_}"),
            "egress": inputs.get("egress", []),
            "ingress": inputs.get("ingress", []),
            "ownerId": ACCOUNT,
        }

    def follow_up(self, inputs: Props) -> tuple[str, ...]:
        # The provider takes away the rule that allows everything out, which EC2 gives to a new group.
        return ("ec2:RevokeSecurityGroupEgress",)

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        referring = [
            held["securityGroupId"]
            for kind in (INGRESS_RULE, EGRESS_RULE)
            for held in aws.table(kind).values()
            if held.get("referencedSecurityGroupId") == id_ and held["securityGroupId"] != id_
        ]
        if referring or in_use(aws, id_):
            raise AwsError("DependencyViolation", f"resource {id_} has a dependent object")
        for kind in (INGRESS_RULE, EGRESS_RULE):
            for rule, held in list(aws.table(kind).items()):
                if held["securityGroupId"] == id_:
                    aws.remove(kind, rule)


_PEERS = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


Direction = Literal["ingress", "egress"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


@dataclass(frozen=True)
class Opening:
    """What one rule lets through for TCP: a range of ports, and who is on the other side."""

    first_port: int
    last_port: int
    groups: frozenset[str]
    cidrs: tuple[str, ...]


def group_rules(aws: Aws, group: str, direction: Direction) -> Iterator[Opening]:
    """The rules of a security group that concern TCP, inline or resources of their own."""
    for rule in aws.table(INGRESS_RULE if direction == "ingress" else EGRESS_RULE).values():
        if rule["securityGroupId"] == group:
            peer = {rule["referencedSecurityGroupId"]} if "referencedSecurityGroupId" in rule else set()
            ports = rule.get("fromPort", 0), rule.get("toPort", 65535)
            yield from _opening(rule["ipProtocol"], ports, peer, [rule["cidrIpv4"]] if "cidrIpv4" in rule else [])
    for rule in (aws.get(SECURITY_GROUP, group) or {}).get(direction, []):
        named = {*rule.get("securityGroups", []), *([group] if rule.get("self") else [])}
        yield from _opening(rule["protocol"], (rule["fromPort"], rule["toPort"]), named, rule.get("cidrBlocks", []))


def _opening(protocol: str, ports: tuple[int, int], groups: set[str], cidrs: Iterable[str]) -> Iterator[Opening]:
    if protocol in ("-1", "tcp", "6"):
        first, last = (0, 65535) if protocol == "-1" else ports
        yield Opening(first, last, frozenset(groups), tuple(cidrs))


class _SecurityGroupRule(RecordHandler):
    reads, updates = "ec2:DescribeSecurityGroupRules", "ec2:ModifySecurityGroupRules"
    rules = Rules(replace=frozenset({"securityGroupId"}), plugin_framework=True)

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from exactly_one(inputs, *_PEERS)
        yield from _cidr_failures(inputs, "cidrIpv4")
        if inputs["ipProtocol"] == "-1" and ("fromPort" in inputs or "toPort" in inputs):
            yield Failure("ipProtocol", 'ports must not be given with ipProtocol "-1", which means all of them')
        if inputs["ipProtocol"] in ("tcp", "udp") and not ("fromPort" in inputs and "toPort" in inputs):
            yield Failure("fromPort", f"fromPort and toPort are needed with ipProtocol {inputs['ipProtocol']}")

    def replacing(self, state: Props, inputs: Props) -> Iterable[str]:
        # EC2 changes a rule's peer in place, but not the kind of its peer.
        return [name for name in _PEERS if (name in state) != (name in inputs)]

    def admit(self, aws: Aws, inputs: Props) -> None:
        self._admit_change(aws, inputs)
        same = ("securityGroupId", "ipProtocol", "fromPort", "toPort", *_PEERS)
        for other in aws.table(self.kind).values():
            if all(other.get(name) == inputs.get(name) for name in same):
                peer = next(inputs[name] for name in _PEERS if name in inputs)
                ports = f"from port: {inputs.get('fromPort', 0)}, to port: {inputs.get('toPort', 65535)}"
                what = f"peer: {peer}, {inputs['ipProtocol'].upper()}, {ports}, ALLOW"
                raise AwsError("InvalidPermission.Duplicate", f'the specified rule "{what}" already exists')

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self._admit_change(aws, inputs)

    def _admit_change(self, aws: Aws, inputs: Props) -> None:
        find(aws, SECURITY_GROUP, inputs["securityGroupId"])
        if peer := inputs.get("referencedSecurityGroupId"):
            find(aws, SECURITY_GROUP, peer)
        if not re.fullmatch(rf"{_DESCRIPTION}{{0,255}}", inputs.get("description", "")):
            allowed = "strings less than 256 characters from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
            message = f"Invalid rule description '{inputs['description']}'. Valid descriptions are {allowed}"
            raise AwsError("InvalidParameterValue", message)
        if inputs.get("fromPort", 0) > inputs.get("toPort", 65535):
            ports = f"{inputs['fromPort']}-{inputs['toPort']}"
            raise AwsError("InvalidParameterValue", f"Invalid TCP/UDP port range ({ports})")

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"sgr-0{aws.digest('sgr')[:16]}"

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {"arn": arn("ec2", aws.region, f"security-group-rule/{id_}"), "securityGroupRuleId": id_}


class SecurityGroupIngressRule(_SecurityGroupRule):
    resource = vpc.SecurityGroupIngressRule
    label = "VPC Security Group Ingress Rule"
    creates, deletes = "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"


class SecurityGroupEgressRule(_SecurityGroupRule):
    resource = vpc.SecurityGroupEgressRule
    label = "VPC Security Group Egress Rule"
    creates, deletes = "ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress"


_METADATA_DEFAULTS = {
    "httpEndpoint": "enabled",
    "httpProtocolIpv6": "disabled",
    "httpPutResponseHopLimit": 2,  # what Amazon Linux 2023 images ask for
    "httpTokens": "required",
    "instanceMetadataTags": "disabled",
}
_DISK_DEFAULTS = {
    "deleteOnTermination": True,
    "deviceName": "/dev/xvda",
    "encrypted": False,
    "iops": 3000,
    "kmsKeyId": "",
    "throughput": 125,
    "volumeSize": 8,
    "volumeType": "gp3",
}
_INSTANCE_COMPUTED = (
    "associatePublicIpAddress",
    "availabilityZone",
    "capacityReservationSpecification",
    "cpuOptions",
    "disableApiStop",
    "disableApiTermination",
    "ebsBlockDevices",
    "ebsOptimized",
    "enablePrimaryIpv6",
    "enclaveOptions",
    "ephemeralBlockDevices",
    "hostId",
    "hostResourceGroupArn",
    "iamInstanceProfile",
    "instanceInitiatedShutdownBehavior",
    "instanceMarketOptions",
    "ipv6AddressCount",
    "ipv6Addresses",
    "keyName",
    "maintenanceOptions",
    "metadataOptions",
    "monitoring",
    "networkInterfaces",
    "placementGroup",
    "placementGroupId",
    "placementPartitionNumber",
    "primaryNetworkInterface",
    "privateDnsNameOptions",
    "privateIp",
    "rootBlockDevice",
    "secondaryPrivateIps",
    "securityGroups",
    "subnetId",
    "tenancy",
    "userDataBase64",
    "vpcSecurityGroupIds",
)
_NOT_SET_HERE = frozenset(
    {
        "capacityReservationSpecification",
        "cpuOptions",
        "enclaveOptions",
        "instanceMarketOptions",
        "maintenanceOptions",
        "networkInterfaces",
        "primaryNetworkInterface",
        "privateDnsNameOptions",
        "hostResourceGroupArn",
    }
)


_IMAGE_SIZE = 8  # GB, of Amazon Linux 2023


class Instance(RecordHandler):
    resource = ec2.Instance
    label = "EC2 Instance"
    creates, reads = "ec2:RunInstances", "ec2:DescribeInstances"
    updates, deletes = "ec2:ModifyInstanceAttribute", "ec2:TerminateInstances"
    rules = Rules(
        defaults={"getPasswordData": False, "sourceDestCheck": True, "userDataReplaceOnChange": False},
        replace=frozenset(
            {
                "ami",
                "associatePublicIpAddress",
                "availabilityZone",
                "hostId",
                "keyName",
                "placementGroup",
                "privateIp",
                "rootBlockDevice.deviceName",
                "rootBlockDevice.encrypted",
                "rootBlockDevice.kmsKeyId",
                "securityGroups",
                "subnetId",
                "tenancy",
            }
        ),
        computed=frozenset(_INSTANCE_COMPUTED),
        sets=frozenset({"ebsBlockDevices", "securityGroups", "vpcSecurityGroupIds", "ipv6Addresses"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from one_of(inputs, "metadataOptions.httpTokens", ("optional", "required", "no-preference"))
        yield from one_of(inputs, "metadataOptions.httpEndpoint", ("enabled", "disabled"))
        yield from in_range(inputs, "metadataOptions.httpPutResponseHopLimit", 1, 64)
        data = inputs.get("userData", "x")
        if data != UNKNOWN and not 1 <= len(data.encode()) <= 16384:
            yield Failure("userData", "expected length of user_data to be in the range (1 - 16384)")
        yield from one_of(inputs, "rootBlockDevice.volumeType", ("standard", "io1", "io2", "gp2", "sc1", "st1", "gp3"))
        if "userData" in inputs and "userDataBase64" in inputs:
            yield Failure("userData", '"user_data": conflicts with user_data_base64')
        for name in ("ami", "instanceType"):
            if name not in inputs and "launchTemplate" not in inputs:
                yield Failure(name, f"{name} is missing; it is required without launchTemplate")

    def replacing(self, state: Props, inputs: Props) -> Iterable[str]:
        return ["userData", "userDataBase64"] if inputs["userDataReplaceOnChange"] else []

    def admit(self, aws: Aws, inputs: Props) -> None:
        image = find(aws, AMI, inputs["ami"])
        needed = "arm64" if re.match(r"[a-z]+\d+[a-z]*g[a-z]*\.", inputs["instanceType"]) else "x86_64"
        if image["architecture"] != needed:
            raise AwsError(
                "InvalidParameterValue",
                f"The architecture '{needed}' of the specified instance type does not match the architecture "
                f"'{image['architecture']}' of the specified AMI. Specify an instance type and an AMI that have "
                "matching architectures, and try again.",
            )
        if "subnetId" not in inputs:
            raise AwsError(
                "VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic"
            )
        network = vpc_of(aws, inputs["subnetId"])
        for group in inputs.get("vpcSecurityGroupIds", []):
            if find(aws, SECURITY_GROUP, group)["vpcId"] != network:
                message = f"Security group {group} and subnet {inputs['subnetId']} belong to different networks."
                raise AwsError("InvalidParameter", message)
        self._admit_profile(aws, inputs)
        size = inputs.get("rootBlockDevice", {}).get("volumeSize", _IMAGE_SIZE)
        if size < _IMAGE_SIZE:
            message = f"Volume of size {size}GB is smaller than the image's snapshot, expect size >= {_IMAGE_SIZE}GB"
            raise AwsError("InvalidBlockDeviceMapping", message)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self._admit_profile(aws, inputs)
        for group in inputs.get("vpcSecurityGroupIds", []):
            find(aws, SECURITY_GROUP, group)

    def _admit_profile(self, aws: Aws, inputs: Props) -> None:
        profile = inputs.get("iamInstanceProfile")
        if profile and aws.get("aws:iam/instanceProfile:InstanceProfile", profile) is None:
            message = (
                f"Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
            )
            raise AwsError("InvalidParameterValue", message)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"i-0{aws.digest('instance')[:16]}"

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        subnet = find(aws, SUBNET, inputs["subnetId"])
        network = find(aws, VPC, subnet["vpcId"])
        interface = f"eni-0{aws.digest('eni')[:16]}"
        private = inputs.get("privateIp") or str(cidr_block(subnet["cidrBlock"])[10 + self._neighbours(aws, inputs)])
        public = inputs.get("associatePublicIpAddress", subnet["mapPublicIpOnLaunch"])
        number = int(aws.digest("public-ip")[:4], 16)
        address = f"203.0.113.{number % 254 + 1}" if public else ""  # RFC 5737: addresses that reach nothing
        host = f"ec2-{address.replace('.', '-')}.{aws.region}.compute.amazonaws.com"
        computed: Props = {name: inputs[name] for name in _INSTANCE_COMPUTED if name in inputs}
        return {
            **{name: _empty(name) for name in _INSTANCE_COMPUTED if name not in _NOT_SET_HERE},
            "instanceInitiatedShutdownBehavior": "stop",
            "tenancy": "default",
            "vpcSecurityGroupIds": [network["defaultSecurityGroupId"]],
            **computed,
            "arn": arn("ec2", aws.region, f"instance/{id_}"),
            "associatePublicIpAddress": public,
            "availabilityZone": subnet["availabilityZone"],
            "instanceLifecycle": "",
            "instanceState": "running",
            "metadataOptions": {**_METADATA_DEFAULTS, **inputs.get("metadataOptions", {})},
            "outpostArn": "",
            "passwordData": "",
            "primaryNetworkInterfaceId": interface,
            "privateDns": f"ip-{private.replace('.', '-')}.{_private_domain(aws.region)}",
            "privateIp": private,
            "publicDns": host if public and network["enableDnsHostnames"] else "",
            "publicIp": address,
            "rootBlockDevice": {
                **_DISK_DEFAULTS,
                "volumeId": f"vol-0{aws.digest('volume')[:16]}",
                **inputs.get("rootBlockDevice", {}),
            },
            "spotInstanceRequestId": "",
        }

    def _neighbours(self, aws: Aws, inputs: Props) -> int:
        return sum(other["subnetId"] == inputs["subnetId"] for other in aws.table(INSTANCE).values())


def _empty(name: str) -> Any:
    kind = resource_schema(ec2.Instance).inputs[name].type.kind
    return {"boolean": False, "list": [], "integer": 0}.get(kind, "")


def _private_domain(region: str) -> str:
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def get_availability_zones(aws: Aws, args: Props) -> Props:
    """`aws.getAvailabilityZones`: the Region's zones, with the filters that make sense without Local Zones."""
    with aws.call("ec2:DescribeAvailabilityZones"):
        zones = [
            zone
            for zone in ZONES[aws.region]
            if zone.name not in args.get("excludeNames", []) and zone.id not in args.get("excludeZoneIds", [])
        ]
        for wanted in args.get("filters", []):
            zones = [
                zone for zone in zones if _zone_attribute(aws.region, wanted["name"], zone.name) in wanted["values"]
            ]
        if args.get("state", "available") != "available":
            zones = []
    return {
        **args,
        "groupNames": [aws.region] if zones else [],
        "id": aws.region,
        "names": [zone.name for zone in zones],
        "region": aws.region,
        "zoneIds": [zone.id for zone in zones],
    }


def _zone_attribute(region: str, attribute: str, name: str) -> str:
    attributes = {
        "group-name": region,
        "opt-in-status": "opt-in-not-required",
        "region-name": region,
        "state": "available",
        "zone-id": zone_id(region, name) or "",
        "zone-name": name,
        "zone-type": "availability-zone",
    }
    if attribute not in attributes:
        raise AwsError("InvalidParameterValue", f"The filter '{attribute}' is invalid")
    return attributes[attribute]


HANDLERS = (
    Vpc(),
    Subnet(),
    InternetGateway(),
    RouteTable(),
    Route(),
    RouteTableAssociation(),
    SecurityGroup(),
    SecurityGroupIngressRule(),
    SecurityGroupEgressRule(),
    Instance(),
)
