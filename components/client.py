"""An instance with Kafka's command line tools, for the checks of a failover."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi_aws import iam
from pulumi_aws.ec2 import InstanceMetadataOptionsArgs, InstanceRootBlockDeviceArgs
from pulumi_aws.ec2.instance import Instance, InstanceArgs
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ssm.get_parameter import get_parameter_output
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule

from components.limits import EXPRESS_KAFKA_VERSIONS, partition
from config import ClientSettings, as_inputs

IMAGE: Final = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
"""Public parameter that names the newest Amazon Linux 2023 for Graviton."""

IAM_AUTH_VERSION: Final = "2.3.5"
"""Release of aws-msk-iam-auth, Amazon's SASL mechanism for Kafka clients (newest seen in 2026-11)."""

SETUP: Final = Path(__file__).with_name("client_setup.sh")

TRUST_POLICY: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

SESSION_MANAGER: Final = "iam::aws:policy/AmazonSSMManagedInstanceCore"


class KafkaClient(pulumi.ComponentResource):
    """A Graviton instance that is reached by Session Manager only and may use its own Region's cluster only.

    It has no ingress rule, asks for IMDSv2 and encrypts its disk. A newer image does not replace it; another Kafka
    version does. It looks the bootstrap brokers up itself, because they are not stable.
    """

    instance_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: ClientSettings,
        *,
        vpc_id: pulumi.Input[str],
        subnet_id: pulumi.Input[str],
        client_security_group_id: pulumi.Input[str],
        cluster_arn: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("msk-dr:index:KafkaClient", name, as_inputs(settings), opts)
        child = pulumi.ResourceOptions(parent=self)

        role = iam.Role(
            name,
            description="Kafka command line client",
            assume_role_policy=json.dumps(TRUST_POLICY),
            tags=settings.tags,
            opts=child,
        )
        attachment = iam.RolePolicyAttachment(
            name, role=role.name, policy_arn=f"arn:{partition(settings.region)}:{SESSION_MANAGER}", opts=child
        )
        policy = iam.RolePolicy(
            name, role=role.id, policy=pulumi.Output.json_dumps(client_policy(cluster_arn)), opts=child
        )
        profile = iam.InstanceProfile(name, role=role.name, tags=settings.tags, opts=child)
        group = SecurityGroup(
            name,
            description="Kafka command line client",
            vpc_id=vpc_id,
            tags={**settings.tags, "Name": name},
            opts=child,
        )
        egress = SecurityGroupEgressRule(
            name,
            description="HTTPS to Session Manager, package repositories and the AWS API",
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4="0.0.0.0/0",
            tags=settings.tags,
            opts=child,
        )
        image = get_parameter_output(name=IMAGE, opts=pulumi.InvokeOutputOptions(parent=self))
        instance = Instance(
            name,
            InstanceArgs(
                ami=image.value,
                instance_type=settings.client_instance_type,
                subnet_id=subnet_id,
                vpc_security_group_ids=[group.id, client_security_group_id],
                iam_instance_profile=profile.name,
                associate_public_ip_address=True,
                metadata_options=InstanceMetadataOptionsArgs(http_tokens="required", http_put_response_hop_limit=1),
                root_block_device=InstanceRootBlockDeviceArgs(encrypted=True, volume_type="gp3"),
                user_data=cluster_arn.apply(user_data_for(settings)),
                user_data_replace_on_change=True,
                tags={**settings.tags, "Name": name},
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["ami"], depends_on=[attachment, policy, egress]),
        )
        self.instance_id = instance.id
        self.register_outputs({"instanceId": self.instance_id})


def client_policy(cluster_arn: pulumi.Output[str]) -> dict[str, Any]:
    """What Kafka's command line tools need on this cluster (developer guide, iam-access-control, 2026-09)."""
    topics = cluster_arn.apply(lambda arn: f"{arn.replace(':cluster/', ':topic/')}/*")
    groups = cluster_arn.apply(lambda arn: f"{arn.replace(':cluster/', ':group/')}/*")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Cluster",
                "Effect": "Allow",
                "Action": [
                    "kafka-cluster:Connect",
                    "kafka-cluster:DescribeCluster",
                    "kafka-cluster:WriteDataIdempotently",
                    "kafka:DescribeClusterV2",
                ],
                "Resource": cluster_arn,
            },
            {
                "Sid": "Topics",
                "Effect": "Allow",
                "Action": [
                    "kafka-cluster:CreateTopic",
                    "kafka-cluster:DescribeTopic",
                    "kafka-cluster:DescribeTopicDynamicConfiguration",
                    "kafka-cluster:ReadData",
                    "kafka-cluster:WriteData",
                ],
                "Resource": topics,
            },
            {
                "Sid": "Groups",
                "Effect": "Allow",
                "Action": ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"],
                "Resource": groups,
            },
            {
                # This action knows no resources (service authorization reference of Amazon MSK, 2026-09).
                "Sid": "BootstrapBrokers",
                "Effect": "Allow",
                "Action": "kafka:GetBootstrapBrokers",
                "Resource": "*",
            },
        ],
    }


def client_properties(region: str) -> str:
    """A Kafka client's properties for IAM authentication in a Region, all but `bootstrap.servers`.

    The mechanism reads the Region from the brokers' names, and asks the Region's own STS when it is given a role to
    take (`awsStsRegion`), so that nothing depends on another Region.
    """
    lines = [
        "security.protocol=SASL_SSL",
        "sasl.mechanism=AWS_MSK_IAM",
        f'sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required awsStsRegion="{region}";',
        "sasl.client.callback.handler.class=software.amazon.msk.auth.iam.IAMClientCallbackHandler",
    ]
    return "\n".join(lines) + "\n"


def user_data_for(settings: ClientSettings) -> Callable[[str], str]:
    """The start-up script as a function of the cluster's ARN."""

    def user_data(cluster_arn: str) -> str:
        variables = {
            "REGION": settings.region,
            "CLUSTER_ARN": cluster_arn,
            "KAFKA_VERSION": EXPRESS_KAFKA_VERSIONS[settings.kafka_version],
            "IAM_AUTH_VERSION": IAM_AUTH_VERSION,
            "CLIENT_PROPERTIES": client_properties(settings.region),
        }
        lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
        return "\n".join(["#!/bin/bash", *lines, SETUP.read_text()])

    return user_data
