"""EC2: networks, security groups, instances. Every rule has inputs that pass and inputs that break it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pulumi_aws import ec2, iam, msk, vpc

from sandbox.aws.ssm import release_images
from sandbox.cloud import Aws
from sandbox.regions import ZONES
from sandbox.wire import Props
from tests.sandbox.kit import (
    EAST,
    OHIO,
    TRUST,
    Client,
    Made,
    Network,
    Refused,
    Rejected,
    Resource,
    changed,
    cluster_inputs,
)

AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"


def refusal(client: Client, resource: Resource, inputs: Props) -> str:
    with pytest.raises(Refused) as refused:
        client.make(resource, "r", inputs)
    return str(refused.value)


def image(client: Client, name: str = AMI) -> str:
    return str(client.invoke("aws:ssm/getParameter:getParameter", {"name": name})["value"])


@pytest.mark.parametrize("resource", [ec2.Vpc, ec2.Subnet])
@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("10.0.0.5/16", 'did you mean "10.0.0.0/16"?'),
        ("10.0.0.0/8", "between 16 and 28"),
        ("10.0.0.0/29", "between 16 and 28"),
        ("ten", "not a valid IPv4 CIDR block"),
    ],
)
def test_the_provider_refuses_a_block(east: Client, resource: Resource, block: str, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        east.check(
            resource, "r", {"vpcId": "vpc-1", "cidrBlock": block} if resource is ec2.Subnet else {"cidrBlock": block}
        )
    assert reason in rejected.value.failures["cidrBlock"]


def test_a_vpc_has_one_of_two_tenancies(east: Client) -> None:
    with pytest.raises(Rejected) as rejected:
        east.check(ec2.Vpc, "v", {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "host"})
    assert list(rejected.value.failures) == ["instanceTenancy"]


def test_a_vpc_needs_a_block_and_looks_like_one_of_aws(east: Client) -> None:
    made = east.make(ec2.Vpc, "v", {"cidrBlock": "10.0.0.0/16"})
    assert re.fullmatch(r"vpc-0[0-9a-f]{16}", made.id)
    assert made["arn"] == f"arn:aws:ec2:us-east-1:123456789012:vpc/{made.id}"
    assert made["enableDnsHostnames"] is False
    assert made["defaultSecurityGroupId"].startswith("sg-0")
    assert "should be provided" in refusal(east, ec2.Vpc, {})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("vpcId", "vpc-none", "InvalidVpcID.NotFound: The vpc ID 'vpc-none' does not exist"),
        ("cidrBlock", "10.1.0.0/24", "InvalidSubnet.Range: The CIDR '10.1.0.0/24' is invalid."),
        ("cidrBlock", "10.0.0.0/23", "InvalidSubnet.Conflict: The CIDR '10.0.0.0/23' conflicts with another subnet"),
        ("cidrBlock", "10.0.1.128/25", "InvalidSubnet.Conflict"),
        ("availabilityZone", "us-east-2a", "us-east-2a) for parameter availabilityZone is invalid"),
        ("cidrBlock", None, "should be provided"),
    ],
)
def test_the_service_refuses_a_subnet(east: Client, network: Network, path: str, value: Any, message: str) -> None:
    inputs = {"vpcId": network.vpc.id, "cidrBlock": "10.0.9.0/24", "availabilityZone": "us-east-1f"}
    assert message in refusal(east, ec2.Subnet, changed(inputs, path, value))
    assert east.make(ec2.Subnet, "s", inputs)["availabilityZoneId"] == "use1-az5"


def test_a_subnet_is_given_by_zone_name_or_id_but_not_both(east: Client, network: Network) -> None:
    inputs = {"vpcId": network.vpc.id, "cidrBlock": "10.0.9.0/24"}
    assert east.make(ec2.Subnet, "s", {**inputs, "availabilityZoneId": "use1-az2"})["availabilityZone"] == "us-east-1d"
    with pytest.raises(Rejected, match="conflicts with availability_zone_id"):
        east.check(ec2.Subnet, "s", {**inputs, "availabilityZoneId": "use1-az2", "availabilityZone": "us-east-1d"})
    other = {"vpcId": network.vpc.id, "cidrBlock": "10.0.10.0/24", "availabilityZoneId": "use2-az1"}
    assert "availabilityZoneId is invalid" in refusal(east, ec2.Subnet, other)


def test_a_vpc_of_another_region_does_not_exist(cloud: Any, network: Network) -> None:
    inputs = {"vpcId": network.vpc.id, "cidrBlock": "10.0.9.0/24"}
    assert "InvalidVpcID.NotFound" in refusal(Client(cloud, OHIO), ec2.Subnet, inputs)


def test_the_regions_zones_can_be_asked_for(east: Client) -> None:
    zones = east.invoke("aws:index/getAvailabilityZones:getAvailabilityZones")
    assert zones["names"] == [f"us-east-1{letter}" for letter in "abcdef"]
    assert sorted(zones["zoneIds"]) == [f"use1-az{number}" for number in range(1, 7)]
    without = east.invoke(
        "aws:index/getAvailabilityZones:getAvailabilityZones",
        {"excludeZoneIds": ["use1-az3"], "excludeNames": ["us-east-1a"], "state": "available"},
    )
    assert "use1-az3" not in without["zoneIds"]
    assert "us-east-1a" not in without["names"]
    assert len(without["names"]) == 4
    filtered = {"filters": [{"name": "zone-id", "values": ["use1-az1"]}]}
    assert east.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", filtered)["names"] == ["us-east-1c"]
    elsewhere = east.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"region": OHIO})
    assert elsewhere["names"] == [zone.name for zone in ZONES[OHIO]]


def test_an_invoke_with_a_wrong_argument_is_refused(east: Client) -> None:
    token = "aws:index/getAvailabilityZones:getAvailabilityZones"
    with pytest.raises(Rejected, match="did you mean state?"):
        east.invoke(token, {"stat": "available"})
    with pytest.raises(Rejected, match="must be a list"):
        east.invoke(token, {"excludeNames": "us-east-1a"})
    with pytest.raises(Refused, match="The filter 'zone' is invalid"):
        east.invoke(token, {"filters": [{"name": "zone", "values": ["a"]}]})
    with pytest.raises(Refused, match=r"aws:ec2/getVpc:getVpc is not served by the sandbox; it has aws:index/get"):
        east.invoke("aws:ec2/getVpc:getVpc")


def test_a_vpc_has_one_internet_gateway(east: Client, network: Network) -> None:
    made = east.make(ec2.InternetGateway, "g", {"vpcId": network.vpc.id})
    assert made.id.startswith("igw-0")
    assert "already has an internet gateway" in refusal(east, ec2.InternetGateway, {"vpcId": network.vpc.id})
    assert "does not exist" in refusal(east, ec2.InternetGateway, {"vpcId": "vpc-none"})


@pytest.fixture
def table(east: Client, network: Network) -> Made:
    return east.make(ec2.RouteTable, "t", {"vpcId": network.vpc.id})


def test_a_route_has_one_destination_and_one_target(east: Client, network: Network, table: Made) -> None:
    gateway = east.make(ec2.InternetGateway, "g", {"vpcId": network.vpc.id})
    inputs = {"routeTableId": table.id, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway.id}
    made = east.make(ec2.Route, "r", inputs)
    assert made["state"] == "active"
    assert "RouteAlreadyExists" in refusal(east, ec2.Route, inputs)
    assert "does not exist" in refusal(east, ec2.Route, {**inputs, "routeTableId": "rtb-none"})
    other = {**inputs, "destinationCidrBlock": "10.9.0.0/16"}
    assert "does not exist" in refusal(east, ec2.Route, {**other, "gatewayId": "igw-none"})
    foreign_vpc = east.make(ec2.Vpc, "v", {"cidrBlock": "10.9.0.0/16"})
    foreign = east.make(ec2.InternetGateway, "f", {"vpcId": foreign_vpc.id})
    assert "different networks" in refusal(east, ec2.Route, {**other, "gatewayId": foreign.id})
    for spoiled in (
        {**inputs, "destinationIpv6CidrBlock": "::/0"},
        {**inputs, "natGatewayId": "nat-1"},
        changed(inputs, "gatewayId", None),
        changed(inputs, "destinationCidrBlock", None),
    ):
        with pytest.raises(Rejected, match="exactly one of"):
            east.check(ec2.Route, "r", spoiled)
    with pytest.raises(Rejected, match="not a valid IPv4 CIDR block"):
        east.check(ec2.Route, "r", {**inputs, "destinationCidrBlock": "all"})


def test_a_subnet_has_one_route_table_of_its_own_vpc(east: Client, network: Network, table: Made) -> None:
    inputs = {"routeTableId": table.id, "subnetId": network.subnet_ids[0]}
    made = east.make(ec2.RouteTableAssociation, "a", inputs)
    assert "Resource.AlreadyAssociated" in refusal(east, ec2.RouteTableAssociation, inputs)
    foreign_vpc = east.make(ec2.Vpc, "v", {"cidrBlock": "10.9.0.0/16"})
    foreign = east.make(ec2.RouteTable, "f", {"vpcId": foreign_vpc.id})
    other = {"routeTableId": foreign.id, "subnetId": network.subnet_ids[1]}
    assert "different networks" in refusal(east, ec2.RouteTableAssociation, other)
    with pytest.raises(Refused, match="DependencyViolation"):
        east.delete(table)
    east.delete(made)
    east.delete(table)
    assert east.read(table) is None


def test_an_association_moves_to_another_table_in_place(east: Client, network: Network, table: Made) -> None:
    other = east.make(ec2.RouteTable, "o", {"vpcId": network.vpc.id})
    made = east.make(ec2.RouteTableAssociation, "a", {"routeTableId": table.id, "subnetId": network.subnet_ids[0]})
    after = east.change(made, {"routeTableId": other.id, "subnetId": network.subnet_ids[0]})
    assert after["routeTableId"] == other.id


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", "cluster", "InvalidGroup.Duplicate: The security group 'cluster' already exists for VPC"),
        ("name", "größe", "Character sets beyond ASCII are not supported"),
        ("description", "the cluster’s own", "Character sets beyond ASCII are not supported"),
        ("vpcId", "vpc-none", "InvalidVpcID.NotFound"),
        ("vpcId", None, "No default VPC for this user"),
        (
            "ingress",
            [{"protocol": "tcp", "fromPort": 1, "toPort": 2, "securityGroups": ["sg-none"]}],
            "security group 'sg-none' does not exist",
        ),
    ],
)
def test_the_service_refuses_a_security_group(
    east: Client, network: Network, path: str, value: Any, message: str
) -> None:
    east.make(ec2.SecurityGroup, "c", {"vpcId": network.vpc.id, "name": "cluster"})
    inputs = {"vpcId": network.vpc.id, "name": "other"}
    assert message in refusal(east, ec2.SecurityGroup, changed(inputs, path, value))
    assert east.make(ec2.SecurityGroup, "o", inputs)["description"] == "Managed by Pulumi"


@pytest.mark.parametrize(
    ("inputs", "path"),
    [({"name": "sg-mine"}, "name"), ({"name": "a" * 256}, "name"), ({"description": ""}, "description")],
)
def test_the_provider_refuses_a_security_group(east: Client, inputs: Props, path: str) -> None:
    with pytest.raises(Rejected) as rejected:
        east.check(ec2.SecurityGroup, "g", inputs)
    assert list(rejected.value.failures) == [path]


def rule_inputs(network: Network, **other: Any) -> Props:
    return {
        "securityGroupId": network.group.id,
        "ipProtocol": "tcp",
        "fromPort": 9098,
        "toPort": 9098,
        "cidrIpv4": "10.0.0.0/16",
        **other,
    }


@pytest.mark.parametrize("resource", [vpc.SecurityGroupIngressRule, vpc.SecurityGroupEgressRule])
def test_a_security_group_rule_exists_once_for_each_direction(
    east: Client, network: Network, resource: Resource
) -> None:
    made = east.make(resource, "r", rule_inputs(network))
    assert made.id == made["securityGroupRuleId"]
    said = refusal(east, resource, rule_inputs(network))
    assert "InvalidPermission.Duplicate" in said
    assert "peer: 10.0.0.0/16, TCP, from port: 9098, to port: 9098, ALLOW" in said
    assert east.make(resource, "s", rule_inputs(network, toPort=9099)).id


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("securityGroupId", "sg-none", "The security group 'sg-none' does not exist"),
        ("toPort", 9000, "Invalid TCP/UDP port range"),
        ("description", "the brokers' port", "Invalid rule description"),
        ("description", "a" * 256, "Invalid rule description"),
    ],
)
def test_the_service_refuses_a_security_group_rule(
    east: Client, network: Network, path: str, value: Any, message: str
) -> None:
    assert message in refusal(east, vpc.SecurityGroupIngressRule, changed(rule_inputs(network), path, value))


def test_a_referenced_group_must_exist(east: Client, network: Network) -> None:
    inputs = changed({**rule_inputs(network), "referencedSecurityGroupId": "sg-none"}, "cidrIpv4", None)
    assert "'sg-none' does not exist" in refusal(east, vpc.SecurityGroupIngressRule, inputs)


@pytest.mark.parametrize(
    ("spoiled", "path"),
    [
        ({"cidrIpv6": "::/0"}, "cidrIpv6"),
        ({"cidrIpv4": None}, "cidrIpv4"),
        ({"ipProtocol": "-1"}, "ipProtocol"),
        ({"fromPort": None}, "fromPort"),
        ({"cidrIpv4": "10.0.0.1/16"}, "cidrIpv4"),
    ],
)
def test_the_provider_refuses_a_security_group_rule(east: Client, network: Network, spoiled: Props, path: str) -> None:
    inputs = {name: value for name, value in rule_inputs(network, **spoiled).items() if value is not None}
    with pytest.raises(Rejected) as rejected:
        east.check(vpc.SecurityGroupIngressRule, "r", inputs)
    assert list(rejected.value.failures) == [path]


def test_a_security_group_that_is_used_or_named_by_another_cannot_be_deleted(east: Client, network: Network) -> None:
    clients = east.make(ec2.SecurityGroup, "clients", {"vpcId": network.vpc.id})
    inputs = changed({**rule_inputs(network), "referencedSecurityGroupId": clients.id}, "cidrIpv4", None)
    rule = east.make(vpc.SecurityGroupIngressRule, "r", inputs)
    with pytest.raises(Refused, match=f"resource {clients.id} has a dependent object"):
        east.delete(clients)
    cluster = east.make(msk.Cluster, "c", cluster_inputs(network))
    with pytest.raises(Refused, match="has a dependent object"):
        east.delete(network.group)
    east.delete(cluster)
    east.delete(network.group)
    assert east.read(rule) is None, "a group's rules go with it"
    east.delete(clients)


def instance_inputs(east: Client, network: Network, **other: Any) -> Props:
    return {
        "ami": image(east),
        "instanceType": "t4g.small",
        "subnetId": network.subnet_ids[0],
        "vpcSecurityGroupIds": [network.group.id],
        **other,
    }


def test_an_instance_that_passes_looks_like_one_of_aws(east: Client, network: Network) -> None:
    made = east.make(ec2.Instance, "i", instance_inputs(east, network, associatePublicIpAddress=True))
    assert re.fullmatch(r"i-0[0-9a-f]{16}", made.id)
    assert made["privateIp"].startswith("10.0.0.")
    assert made["publicIp"].startswith("203.0.113.")
    assert made["availabilityZone"] == network.zones["names"][0]
    assert made["metadataOptions"]["httpTokens"] == "required"
    assert made["rootBlockDevice"]["volumeType"] == "gp3"
    assert made["instanceState"] == "running"
    assert made["privateDns"].endswith(".ec2.internal")


def test_an_instance_without_an_address_of_its_own_is_private(east: Client, network: Network) -> None:
    made = east.make(ec2.Instance, "i", instance_inputs(east, network))
    assert made["publicIp"] == made["publicDns"] == ""


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("ami", "ami-none", "InvalidAMIID.NotFound"),
        ("instanceType", "t3.small", "'x86_64' of the specified instance type does not match the architecture 'arm64'"),
        ("subnetId", "subnet-none", "InvalidSubnetID.NotFound"),
        ("subnetId", None, "No default VPC"),
        ("vpcSecurityGroupIds", ["sg-none"], "InvalidGroup.NotFound"),
        ("iamInstanceProfile", "none", "Invalid IAM Instance Profile name"),
        ("rootBlockDevice", {"volumeSize": 4}, "smaller than the image's snapshot, expect size >= 8GB"),
    ],
)
def test_the_service_refuses_an_instance(east: Client, network: Network, path: str, value: Any, message: str) -> None:
    assert message in refusal(east, ec2.Instance, changed(instance_inputs(east, network), path, value))


def test_an_instances_group_is_of_its_vpc(east: Client, network: Network) -> None:
    other = east.make(ec2.Vpc, "v", {"cidrBlock": "10.9.0.0/16"})
    group = east.make(ec2.SecurityGroup, "g", {"vpcId": other.id})
    inputs = instance_inputs(east, network, vpcSecurityGroupIds=[group.id])
    assert "belong to different networks" in refusal(east, ec2.Instance, inputs)


@pytest.mark.parametrize(
    ("spoiled", "path"),
    [
        ({"metadataOptions": {"httpTokens": "maybe"}}, "metadataOptions.httpTokens"),
        ({"metadataOptions": {"httpEndpoint": "maybe"}}, "metadataOptions.httpEndpoint"),
        ({"rootBlockDevice": {"volumeType": "gp9"}}, "rootBlockDevice.volumeType"),
        ({"userData": "a", "userDataBase64": "b"}, "userData"),
        ({"userData": "x" * 16385}, "userData"),
        ({"metadataOptions": {"httpPutResponseHopLimit": 65}}, "metadataOptions.httpPutResponseHopLimit"),
        ({"ami": None}, "ami"),
        ({"instanceType": None}, "instanceType"),
    ],
)
def test_the_provider_refuses_an_instance(east: Client, network: Network, spoiled: Props, path: str) -> None:
    inputs = {name: value for name, value in instance_inputs(east, network, **spoiled).items() if value is not None}
    with pytest.raises(Rejected) as rejected:
        east.check(ec2.Instance, "i", inputs)
    assert list(rejected.value.failures) == [path]


def test_an_image_is_of_one_region_and_a_newer_one_changes_nothing_that_runs(
    cloud: Any, east: Client, network: Network
) -> None:
    made = east.make(ec2.Instance, "i", instance_inputs(east, network))
    assert image(Client(cloud, OHIO)) != image(east)
    before = image(east)
    release_images(Aws(cloud, EAST))
    assert image(east) != before
    assert east.make(ec2.Instance, "j", {**instance_inputs(east, network), "ami": before}).id
    assert list(east.diff(made, instance_inputs(east, network)).replaces) == ["ami"]


def test_only_amazon_linux_parameters_exist(east: Client) -> None:
    assert image(east, AMI.replace("arm64", "x86_64")) != image(east)
    with pytest.raises(Refused, match="name is required"):
        east.invoke("aws:ssm/getParameter:getParameter")
    for name in ("/aws/service/none", AMI.replace("arm64", "riscv"), "/my/own"):
        with pytest.raises(Refused, match="ParameterNotFound"):
            image(east, name)


def test_an_instance_holds_its_subnet_group_and_gateway(east: Client, network: Network) -> None:
    gateway = east.make(ec2.InternetGateway, "g", {"vpcId": network.vpc.id})
    made = east.make(ec2.Instance, "i", instance_inputs(east, network, associatePublicIpAddress=True))
    for held in (network.subnets[0], network.group, gateway):
        with pytest.raises(Refused, match="DependencyViolation"):
            east.delete(held)
    for gone in (made, gateway, *network.subnets, network.group, network.vpc):
        east.delete(gone)
        assert east.read(gone) is None


def test_an_instance_profile_must_exist_before_the_instance(east: Client, network: Network) -> None:
    role = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST})
    profile = east.make(iam.InstanceProfile, "p", {"role": role.id})
    inputs = instance_inputs(east, network, iamInstanceProfile=profile.id)
    made = east.make(ec2.Instance, "i", inputs)
    with pytest.raises(Refused, match="Invalid IAM Instance Profile name"):
        east.change(made, {**inputs, "iamInstanceProfile": "none"})
