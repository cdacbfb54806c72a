"""Drives the provider in process, the way the engine would: Check, then Create, Diff, Update, Read, Delete.

What this cannot prove is that the engine really sends and accepts such messages; `test_engine.py` does that.
"""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pulumi
from google.rpc import status_pb2  # type: ignore[import-untyped]
from pulumi.runtime import proto
from pulumi_aws import cloudwatch, ec2, iam, kms, msk, sns, vpc

from sandbox.aws.base import kind_of
from sandbox.cloud import Cloud
from sandbox.provider import Provider
from sandbox.regions import ACCOUNT
from sandbox.wire import NO_SECRETS, Props, Secrets, decode, encode

Resource = type[pulumi.CustomResource]

EAST, OHIO = "us-east-1", "us-east-2"


class Refused(Exception):
    """A call that the provider ended with an error; `left` is the half-made resource that came with it."""

    def __init__(self, message: str, left: Any = None) -> None:
        super().__init__(message)
        self.left = left


class Rejected(Exception):
    """A Check that found something wrong: reasons by path."""

    def __init__(self, failures: dict[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {reason}" for path, reason in failures.items()))
        self.failures = failures


class Context:
    """As much of gRPC's `ServicerContext` as the provider uses."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._trailing: dict[str, bytes] = {}

    def peer(self) -> str:
        return self._peer

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._trailing = dict(metadata)

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise Refused(details, self._left())

    def _left(self) -> Any:
        if "grpc-status-details-bin" not in self._trailing:
            return None
        status = status_pb2.Status.FromString(self._trailing["grpc-status-details-bin"])
        left = proto.ErrorResourceInitFailed()
        status.details[0].Unpack(left)
        return left


def context(peer: str) -> Any:
    """A context for calls from `peer`; `Any`, because gRPC's own class has more to it."""
    return Context(peer)


@dataclass(frozen=True)
class Made:
    """A resource as the engine would have it in its state."""

    resource: Resource
    name: str
    id: str
    outputs: Props
    inputs: Props

    def __getitem__(self, key: str) -> Any:
        return self.outputs[key]


class Client:
    """One provider resource in one Region: a connection that has been configured."""

    def __init__(self, cloud: Cloud, region: str, *, peer: str = "", **config: Any) -> None:
        self.cloud = cloud
        self.region = region
        self.provider = Provider(cloud)
        self.context = context(peer or f"ipv4:127.0.0.1:{region}")
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        self.provider.Configure(proto.ConfigureRequest(args=encode({"region": region, **texts})), self.context)

    def check(self, resource: Resource, name: str, inputs: Props, olds: Props | None = None) -> Props:
        """The checked inputs; raises Rejected."""
        return decode(self.check_message(resource, name, encode(inputs), encode(olds or {})).inputs)[0]

    def check_message(self, resource: Resource, name: str, news: Any, olds: Any = None) -> Any:
        seed = name.encode() if olds else os.urandom(8)
        request = proto.CheckRequest(type=kind_of(resource), name=name, news=news, olds=olds, randomSeed=seed)
        response = self.provider.Check(request, self.context)
        if response.failures:
            raise Rejected({failure.property: failure.reason for failure in response.failures})
        return response

    def preview(self, resource: Resource, name: str, inputs: Props) -> Props:
        """The outputs that a preview promises for a new resource."""
        return self._create(resource, name, self.check(resource, name, inputs), preview=True)[1]

    def make(self, resource: Resource, name: str, inputs: Props) -> Made:
        """Creates a resource; raises Rejected or Refused."""
        checked = self.check(resource, name, inputs)
        id_, outputs = self._create(resource, name, checked)
        return Made(resource, name, id_, outputs, checked)

    def diff(self, made: Made, inputs: Props, *, checked: bool = False) -> Any:
        news = inputs if checked else self.check(made.resource, made.name, inputs, made.inputs)
        request = proto.DiffRequest(
            id=made.id,
            type=kind_of(made.resource),
            name=made.name,
            olds=encode(made.outputs),
            news=encode(news),
            old_inputs=encode(made.inputs),
        )
        return self.provider.Diff(request, self.context)

    def change(self, made: Made, inputs: Props, *, preview: bool = False) -> Made:
        """Updates a resource in place; raises Rejected or Refused."""
        news = self.check(made.resource, made.name, inputs, made.inputs)
        request = proto.UpdateRequest(
            id=made.id,
            urn=_urn(made.resource, made.name),
            type=kind_of(made.resource),
            name=made.name,
            olds=encode(made.outputs),
            news=encode(news),
            old_inputs=encode(made.inputs),
            preview=preview,
        )
        outputs = decode(self.provider.Update(request, self.context).properties)[0]
        return Made(made.resource, made.name, made.id, outputs, news)

    def read(self, made: Made) -> Made | None:
        """What a refresh finds, or None."""
        request = proto.ReadRequest(
            id=made.id,
            urn=_urn(made.resource, made.name),
            type=kind_of(made.resource),
            name=made.name,
            properties=encode(made.outputs),
            inputs=encode(made.inputs),
        )
        response = self.provider.Read(request, self.context)
        if not response.id:
            return None
        return Made(made.resource, made.name, response.id, decode(response.properties)[0], decode(response.inputs)[0])

    def delete(self, made: Made) -> None:
        request = proto.DeleteRequest(
            id=made.id,
            urn=_urn(made.resource, made.name),
            type=kind_of(made.resource),
            name=made.name,
            properties=encode(made.outputs),
        )
        self.provider.Delete(request, self.context)

    def invoke(self, token: str, args: Props | None = None) -> Props:
        response = self.provider.Invoke(proto.InvokeRequest(tok=token, args=encode(args or {})), self.context)
        if response.failures:
            raise Rejected({failure.property: failure.reason for failure in response.failures})
        return decode(getattr(response, "return"))[0]

    def create_message(self, resource: Resource, name: str, checked: Props, secrets: Secrets = NO_SECRETS) -> Any:
        request = proto.CreateRequest(
            urn=_urn(resource, name), type=kind_of(resource), name=name, properties=encode(checked, secrets)
        )
        return self.provider.Create(request, self.context)

    def _create(self, resource: Resource, name: str, checked: Props, preview: bool = False) -> tuple[str, Props]:
        request = proto.CreateRequest(
            urn=_urn(resource, name), type=kind_of(resource), name=name, properties=encode(checked), preview=preview
        )
        response = self.provider.Create(request, self.context)
        return response.id, decode(response.properties)[0]


def _urn(resource: Resource, name: str) -> str:
    return f"urn:pulumi:test::sandbox::{kind_of(resource)}::{name}"


def changed(props: Props, path: str, value: Any) -> Props:
    """A copy with another value at a path such as `a.b[0].c`; None takes it out."""
    copied = copy.deepcopy(props)
    target: Any = copied
    *parents, last = path.replace("[", ".[").split(".")
    for part in parents:
        target = target[int(part[1:-1])] if part.startswith("[") else target.setdefault(part, {})
    if last.startswith("["):
        target[int(last[1:-1])] = value
    elif value is None:
        target.pop(last, None)
    else:
        target[last] = value
    return copied


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "kafka.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            }
        ],
    }
)


class Network:
    """A VPC with three subnets in three zones and the cluster's security group, as the program builds it."""

    def __init__(self, client: Client, cidr: str = "10.0") -> None:
        self.client = client
        self.zones = client.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"state": "available"})
        self.vpc = client.make(ec2.Vpc, "net", {"cidrBlock": f"{cidr}.0.0/16", "enableDnsHostnames": True})
        self.subnets = [
            client.make(
                ec2.Subnet,
                f"net-{index}",
                {"vpcId": self.vpc.id, "cidrBlock": f"{cidr}.{index}.0/24", "availabilityZone": zone},
            )
            for index, zone in enumerate(self.zones["names"][:3])
        ]
        self.group = client.make(ec2.SecurityGroup, "cluster", {"vpcId": self.vpc.id})

    @property
    def subnet_ids(self) -> list[str]:
        return [subnet.id for subnet in self.subnets]


def cluster_inputs(network: Network, name: str = "orders") -> Props:
    """An Express cluster that passes every rule."""
    return {
        "clusterName": name,
        "kafkaVersion": "3.9.x.kraft",
        "numberOfBrokerNodes": 3,
        "brokerNodeGroupInfo": {
            "instanceType": "express.m7g.large",
            "clientSubnets": network.subnet_ids,
            "securityGroups": [network.group.id],
            "connectivityInfo": {"vpcConnectivity": {"clientAuthentication": {"sasl": {"iam": True}}}},
        },
        "clientAuthentication": {"sasl": {"iam": True}},
        "encryptionInfo": {"encryptionInTransit": {}},
        "enhancedMonitoring": "PER_BROKER",
    }


def policy_inputs(cluster_arn: str) -> Props:
    """The policy that lets a Replicator in another Region read from a cluster."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "kafka.amazonaws.com"},
        "Action": ["kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2"],
        "Resource": cluster_arn,
    }
    return {"clusterArn": cluster_arn, "policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


class Pair:
    """Two Regions that are ready for a Replicator from `source` to `target`."""

    def __init__(self, cloud: Cloud) -> None:
        self.source, self.target = Client(cloud, EAST), Client(cloud, OHIO)
        self.source_network, self.target_network = Network(self.source, "10.1"), Network(self.target, "10.2")
        self.source_cluster = self.source.make(msk.Cluster, "source", cluster_inputs(self.source_network))
        self.target_cluster = self.target.make(msk.Cluster, "target", cluster_inputs(self.target_network))
        self.policy = self.source.make(msk.ClusterPolicy, "source", policy_inputs(self.source_cluster.id))
        self.role = self.target.make(iam.Role, "execution", {"assumeRolePolicy": TRUST})
        self.permissions = self.target.make(
            iam.RolePolicy, "execution", {"role": self.role.id, "policy": json.dumps(self.permission_document())}
        )
        group = {"vpcId": self.target_network.vpc.id}
        self.group = self.target.make(ec2.SecurityGroup, "replicator", group)
        peers = {"ipProtocol": "tcp", "fromPort": 9098, "toPort": 9098}
        outward = {"securityGroupId": self.group.id, "referencedSecurityGroupId": self.target_network.group.id, **peers}
        inward = {"securityGroupId": self.target_network.group.id, "referencedSecurityGroupId": self.group.id, **peers}
        self.egress = self.target.make(vpc.SecurityGroupEgressRule, "out", outward)
        self.ingress = self.target.make(vpc.SecurityGroupIngressRule, "in", inward)

    def permission_document(self) -> Props:
        """AWS's documented least privilege for identical names."""
        source, target = self.source_cluster.id, self.target_cluster.id
        topics = [arn.replace(":cluster/", ":topic/") + "/*" for arn in (source, target)]
        groups = [arn.replace(":cluster/", ":group/") + "/*" for arn in (source, target)]
        internal = [f"{topic[:-1]}__amazon_msk_replicator_*" for topic in topics]
        read = ["ReadData", "DescribeTopic", "DescribeTopicDynamicConfiguration"]
        write = ["CreateTopic", "WriteData", "DescribeTopic", "DescribeTopicDynamicConfiguration", "AlterTopic"]
        write += ["AlterTopicDynamicConfiguration"]
        return {
            "Version": "2012-10-17",
            "Statement": [
                _allow(["Connect", "DescribeCluster", "WriteDataIdempotently"], [source, target]),
                _allow([*write, "ReadData"], internal),
                _allow(read, topics[:1]),
                _allow(write, topics[1:]),
                _allow(["DescribeGroup"], groups[:1]),
                _allow(["AlterGroup", "DescribeGroup"], groups[1:]),
            ],
        }

    def inputs(self) -> Props:
        """A Replicator that passes every rule."""
        source, target = self.source_cluster.id, self.target_cluster.id
        return {
            "replicatorName": "east-to-ohio",
            "description": "primary to secondary",
            "serviceExecutionRoleArn": self.role["arn"],
            "kafkaClusters": [
                {
                    "amazonMskCluster": {"mskClusterArn": source},
                    "vpcConfig": {"subnetIds": self.source_network.subnet_ids},
                },
                {
                    "amazonMskCluster": {"mskClusterArn": target},
                    "vpcConfig": {"subnetIds": self.target_network.subnet_ids, "securityGroupsIds": [self.group.id]},
                },
            ],
            "replicationInfoList": {
                "sourceKafkaClusterArn": source,
                "targetKafkaClusterArn": target,
                "targetCompressionType": "NONE",
                "topicReplications": [
                    {
                        "topicsToReplicates": [".*"],
                        "copyAccessControlListsForTopics": False,
                        "startingPosition": {"type": "EARLIEST"},
                        "topicNameConfiguration": {"type": "IDENTICAL"},
                    }
                ],
                "consumerGroupReplications": [
                    {"consumerGroupsToReplicates": [".*"], "consumerGroupOffsetSyncMode": "ENHANCED"}
                ],
            },
        }

    def replicator(self) -> Made:
        return self.target.make(msk.Replicator, "forward", self.inputs())


def _allow(actions: list[str], resources: list[str]) -> Props:
    return {"Effect": "Allow", "Action": [f"kafka-cluster:{action}" for action in actions], "Resource": resources}


def open_cloud(folder: Path) -> Cloud:
    return Cloud(folder, seed="tests")


RESOURCES: tuple[Resource, ...] = (
    ec2.Vpc,
    ec2.Subnet,
    ec2.InternetGateway,
    ec2.RouteTable,
    ec2.Route,
    ec2.RouteTableAssociation,
    ec2.SecurityGroup,
    ec2.Instance,
    vpc.SecurityGroupIngressRule,
    vpc.SecurityGroupEgressRule,
    iam.Role,
    iam.RolePolicy,
    iam.RolePolicyAttachment,
    iam.InstanceProfile,
    kms.Key,
    kms.Alias,
    cloudwatch.LogGroup,
    cloudwatch.MetricAlarm,
    cloudwatch.Dashboard,
    sns.Topic,
    sns.TopicSubscription,
    msk.Cluster,
    msk.ClusterPolicy,
    msk.Replicator,
    msk.Topic,
    msk.Configuration,
    msk.VpcConnection,
)
"""Every type that the sandbox promises to serve."""
