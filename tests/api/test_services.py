"""The services beside MSK: what the program and its users' tools ask of them."""

import json

import pytest

from tests.api.world import PRIMARY, SECONDARY, World, refusal

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"


def test_the_account_is_the_same_in_both_regions(world: World) -> None:
    for region in (PRIMARY, SECONDARY):
        assert world.client("sts", region).get_caller_identity()["Account"] == "123456789012"


@pytest.mark.parametrize("region", [PRIMARY, SECONDARY])
def test_each_region_has_three_zones_for_express_brokers(world: World, region: str) -> None:
    zones = world.client("ec2", region).describe_availability_zones()["AvailabilityZones"]
    assert {zone["RegionName"] for zone in zones} == {region}
    assert len({zone["ZoneId"] for zone in zones} - {"use1-az3"}) >= 3


@pytest.mark.parametrize("region", [PRIMARY, SECONDARY])
def test_the_clients_image_is_known(world: World, region: str) -> None:
    assert world.client("ssm", region).get_parameter(Name=IMAGE)["Parameter"]["Value"].startswith("ami-")


def test_regions_share_roles_and_nothing_else(world: World) -> None:
    world.network(PRIMARY)
    world.role(None)
    vpcs = [
        {vpc["VpcId"] for vpc in world.client("ec2", region).describe_vpcs()["Vpcs"]} for region in (PRIMARY, SECONDARY)
    ]
    assert world.network(PRIMARY).vpc in vpcs[0] - vpcs[1]
    roles = [
        {role["Arn"] for role in world.client("iam", region).list_roles()["Roles"]} for region in (PRIMARY, SECONDARY)
    ]
    assert roles[0] == roles[1] != set()


def test_the_programs_network_can_be_built(world: World) -> None:
    ec2, network = world.client("ec2", PRIMARY), world.network(PRIMARY)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc)
    table = ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=network.subnets[0])
    ec2.modify_vpc_attribute(VpcId=network.vpc, EnableDnsHostnames={"Value": True})
    (found,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert [route["GatewayId"] for route in found["Routes"] if "0.0.0.0/0" in route.values()] == [gateway]


def test_the_programs_client_can_be_started(world: World) -> None:
    ec2, iam, network = world.client("ec2", PRIMARY), world.client("iam", PRIMARY), world.network(PRIMARY)
    trust = {"Version": "2012-10-17", "Statement": []}
    role = world.role(None, trust).rpartition("/")[2]
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    iam.create_instance_profile(InstanceProfileName="client")
    iam.add_role_to_instance_profile(InstanceProfileName="client", RoleName=role)
    image = world.client("ssm", PRIMARY).get_parameter(Name=IMAGE)["Parameter"]["Value"]
    instance = ec2.run_instances(
        ImageId=image,
        InstanceType="t4g.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=network.subnets[0],
        SecurityGroupIds=[network.replicator_group],
        IamInstanceProfile={"Name": "client"},
    )["Instances"][0]
    assert instance["SubnetId"] == network.subnets[0]
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])


def test_keys_logs_topics_alarms_and_dashboards_can_be_made(world: World) -> None:
    kms, logs = world.client("kms", PRIMARY), world.client("logs", PRIMARY)
    sns, cloudwatch = world.client("sns", PRIMARY), world.client("cloudwatch", PRIMARY)
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": []}))["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/msk-dr", TargetKeyId=key)
    kms.enable_key_rotation(KeyId=key)
    assert kms.describe_key(KeyId="alias/msk-dr")["KeyMetadata"]["KeyId"] == key
    logs.create_log_group(logGroupName="/aws/msk", tags={"a": "b"})
    logs.put_retention_policy(logGroupName="/aws/msk", retentionInDays=7)
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/aws/msk")["logGroups"]
    assert group["retentionInDays"] == 7
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1
    cloudwatch.put_dashboard(DashboardName="msk-dr", DashboardBody=json.dumps({"widgets": []}))
    assert json.loads(cloudwatch.get_dashboard(DashboardName="msk-dr")["DashboardBody"]) == {"widgets": []}
    assert refusal(cloudwatch.put_dashboard, DashboardName="x", DashboardBody="{")[0] != ""
    assert refusal(world.client("kms", SECONDARY).describe_key, KeyId=key)[0] == "NotFoundException"
