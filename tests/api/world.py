"""A small account to test on: two Regions with a network each, clusters, a role, and what a Replicator needs."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from sandbox.api.account import REGIONS
from sandbox.api.context import Timing
from sandbox.api.server import Api

PRIMARY, SECONDARY = REGIONS
ON_DEMAND = Timing(create=3600, update=3600, delete=3600, give_up=20)
"""Nothing comes to its end before a test waits for it, so that no test depends on how busy the machine is."""

ZONES = {PRIMARY: ("use1-az1", "use1-az2", "use1-az4"), SECONDARY: ("use2-az1", "use2-az2", "use2-az3")}
REFUSED_ZONE = "use1-az3"
IAM_ONLY = {"Sasl": {"Iam": {"Enabled": True}}}
MULTI_VPC_IAM = {"VpcConnectivity": {"ClientAuthentication": {"Sasl": {"Iam": {"Enabled": True}}}}}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "kafka.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def client(api: Api, service: str, region: str, attempts: int = 1, **config: Any) -> Any:
    settings = Config(retries={"total_max_attempts": attempts}, read_timeout=30, **config)
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=api.endpoint,
        aws_access_key_id="AKIATESTTESTTESTTEST",
        aws_secret_access_key="secret",
        config=settings,
    )


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Code and message of the error that a call must end with."""
    try:
        answer = call(**params)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError(f"it was not refused: {answer}")


@dataclass(frozen=True)
class Network:
    vpc: str
    subnets: tuple[str, str, str]
    cluster_group: str
    replicator_group: str


@dataclass
class World:
    """Everything is made on first use and stays; names are unique by a counter."""

    api: Api
    _count: int = 0
    _networks: dict[str, Network] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = cache(lambda service, region, **config: client(self.api, service, region, **config))

    def wait_for(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        """What the condition returns once it is true; what takes time is hurried meanwhile."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "it did not happen in time"
            self.api.hurry()
            time.sleep(0.01)
        return found

    def kafka(self, region: str) -> Any:
        return self.client("kafka", region)

    def name(self, prefix: str = "test") -> str:
        self._count += 1
        return f"{prefix}-{self._count}"

    def network(self, region: str) -> Network:
        """Three subnets, the brokers' group that lets the Replicator's in on 9098, and the Replicator's own."""
        if region not in self._networks:
            ec2 = self.client("ec2", region)
            vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
            subnets = tuple(self.subnet(region, vpc, zone, number) for number, zone in enumerate(ZONES[region]))
            brokers, replicator = (
                ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
                for name in ("brokers", "replicator")
            )
            ec2.authorize_security_group_ingress(
                GroupId=brokers,
                IpPermissions=[
                    {
                        "IpProtocol": "tcp",
                        "FromPort": 9098,
                        "ToPort": 9098,
                        "UserIdGroupPairs": [{"GroupId": replicator}],
                    }
                ],
            )
            self._networks[region] = Network(vpc, subnets, brokers, replicator)  # type: ignore[arg-type]
        return self._networks[region]

    def subnet(self, region: str, vpc: str, zone: str, number: int) -> str:
        answer = self.client("ec2", region).create_subnet(
            VpcId=vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZoneId=zone
        )
        return str(answer["Subnet"]["SubnetId"])

    def cluster_request(self, region: str, **changes: Any) -> dict[str, Any]:
        """A `CreateCluster` that the service takes."""
        network = self.network(region)
        request = {
            "ClusterName": self.name("cluster"),
            "KafkaVersion": "3.9.x.kraft",
            "NumberOfBrokerNodes": 3,
            "BrokerNodeGroupInfo": {
                "InstanceType": "express.m7g.large",
                "ClientSubnets": list(network.subnets),
                "SecurityGroups": [network.cluster_group],
            },
            "ClientAuthentication": IAM_ONLY,
        }
        return request | changes

    def cluster(self, region: str, **changes: Any) -> str:
        """The ARN of a new cluster that is ACTIVE."""
        arn = str(self.kafka(region).create_cluster(**self.cluster_request(region, **changes))["ClusterArn"])
        self.wait_active(arn)
        return arn

    def describe(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.kafka(arn.split(":")[3]).describe_cluster_v2(ClusterArn=arn)["ClusterInfo"]
        return found

    def version(self, arn: str) -> str:
        return str(self.describe(arn)["CurrentVersion"])

    def wait_active(self, arn: str) -> None:
        self.wait_for(lambda: self.describe(arn)["State"] == "ACTIVE")

    def source(self, region: str, *, multi_vpc: bool = True, policy: bool = True, **changes: Any) -> str:
        """A cluster that may be a Replicator's source."""
        arn = self.cluster(region, **changes)
        if multi_vpc:
            self.kafka(region).update_connectivity(
                ClusterArn=arn, CurrentVersion=self.version(arn), ConnectivityInfo=MULTI_VPC_IAM
            )
            self.wait_active(arn)
        if policy:
            self.kafka(region).put_cluster_policy(ClusterArn=arn, Policy=json.dumps(source_policy(arn)))
        return arn

    def role(self, policy: dict[str, Any] | None, trust: dict[str, Any] = TRUST) -> str:
        iam = self.client("iam", PRIMARY)
        name = self.name("role")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        if policy is not None:
            iam.put_role_policy(RoleName=name, PolicyName="replicator", PolicyDocument=json.dumps(policy))
        return str(role["Arn"])

    def replicator_request(self, source: str, target: str, role: str, **changes: Any) -> dict[str, Any]:
        """A `CreateReplicator` that the service takes, if the clusters do."""
        here, there = self.network(source.split(":")[3]), self.network(target.split(":")[3])
        request = {
            "ReplicatorName": self.name("replicator"),
            "ServiceExecutionRoleArn": role,
            "KafkaClusters": [
                {"AmazonMskCluster": {"MskClusterArn": source}, "VpcConfig": {"SubnetIds": list(here.subnets)}},
                {
                    "AmazonMskCluster": {"MskClusterArn": target},
                    "VpcConfig": {"SubnetIds": list(there.subnets), "SecurityGroupIds": [there.replicator_group]},
                },
            ],
            "ReplicationInfoList": [
                {
                    "SourceKafkaClusterArn": source,
                    "TargetKafkaClusterArn": target,
                    "TargetCompressionType": "NONE",
                    "TopicReplication": {
                        "TopicsToReplicate": [".*"],
                        "TopicNameConfiguration": {"Type": "IDENTICAL"},
                        "StartingPosition": {"Type": "EARLIEST"},
                        "CopyAccessControlListsForTopics": False,
                    },
                    "ConsumerGroupReplication": {
                        "ConsumerGroupsToReplicate": [".*"],
                        "ConsumerGroupOffsetSyncMode": "ENHANCED",
                    },
                }
            ],
        }
        return request | changes

    def replicator_state(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.kafka(arn.split(":")[3]).describe_replicator(ReplicatorArn=arn)
        return found

    def settled(self, arn: str) -> dict[str, Any]:
        """The Replicator once it is neither being created nor updated."""

        def found() -> dict[str, Any] | None:
            state = self.replicator_state(arn)
            return state if state["ReplicatorState"] in {"RUNNING", "FAILED"} else None

        settled: dict[str, Any] = self.wait_for(found)
        return settled

    def delete_replicator(self, arn: str) -> None:
        kafka = self.kafka(arn.split(":")[3])
        kafka.delete_replicator(ReplicatorArn=arn)
        self.wait_for(lambda: is_gone(kafka.describe_replicator, ReplicatorArn=arn))


def is_gone(call: Callable[..., Any], **params: Any) -> bool:
    try:
        call(**params)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "NotFoundException")
    return False


def source_policy(arn: str, *without: str) -> dict[str, Any]:
    actions = ["kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": ["kafka.amazonaws.com"]},
                "Action": [action for action in actions if action not in without],
                "Resource": arn,
            }
        ],
    }


def execution_policy(*without: str) -> dict[str, Any]:
    """What AWS's managed policy allows (version 2), less some actions."""
    cluster = ["Connect", "DescribeCluster", "WriteDataIdempotently"]
    topic = [
        *("DescribeTopic", "CreateTopic", "AlterTopic", "WriteData", "ReadData"),
        *("DescribeTopicDynamicConfiguration", "AlterTopicDynamicConfiguration"),
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [f"kafka-cluster:{action}" for action in actions if action not in without],
                "Resource": f"arn:aws:kafka:*:*:{kind}/*",
            }
            for kind, actions in (("cluster", cluster), ("topic", topic), ("group", ["AlterGroup", "DescribeGroup"]))
        ],
    }
