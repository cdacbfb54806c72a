"""Small programs for the sandbox's own tests on the real engine; the config value `scene` picks one."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_aws import cloudwatch, msk
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.get_availability_zones import get_availability_zones
from pulumi_aws.provider import Provider

config = pulumi.Config()


def cluster() -> None:
    """A VPC with an Express cluster that logs, and a topic."""
    from pulumi_aws.ec2.security_group import SecurityGroup

    zones = get_availability_zones(state="available").names
    network = Vpc("net", cidr_block="10.0.0.0/16")
    subnets = [
        Subnet(f"net-{index}", vpc_id=network.id, cidr_block=f"10.0.{index}.0/24", availability_zone=zones[index])
        for index in range(3)
    ]
    group = SecurityGroup("brokers", vpc_id=network.id, description=config.get("groupDescription"))
    logs = cloudwatch.LogGroup("logs", retention_in_days=config.get_int("days") or 7)
    iam = msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityClientAuthenticationSaslArgs(iam=True)
    private = msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityArgs(
        client_authentication=msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityClientAuthenticationArgs(
            sasl=iam
        )
    )
    made = msk.Cluster(
        "orders",
        msk.ClusterArgs(
            cluster_name=config.get("clusterName"),
            kafka_version="3.9.x.kraft",
            number_of_broker_nodes=3,
            broker_node_group_info=msk.ClusterBrokerNodeGroupInfoArgs(
                instance_type="express.m7g.large",
                client_subnets=[subnet.id for subnet in subnets],
                security_groups=[group.id],
                connectivity_info=msk.ClusterBrokerNodeGroupInfoConnectivityInfoArgs(vpc_connectivity=private),
            ),
            client_authentication=msk.ClusterClientAuthenticationArgs(
                sasl=msk.ClusterClientAuthenticationSaslArgs(iam=True)
            ),
            logging_info=msk.ClusterLoggingInfoArgs(
                broker_logs=msk.ClusterLoggingInfoBrokerLogsArgs(
                    cloudwatch_logs=msk.ClusterLoggingInfoBrokerLogsCloudwatchLogsArgs(
                        enabled=True, log_group=logs.name
                    )
                )
            ),
        ),
    )
    msk.Topic("orders", cluster_arn=made.arn, name="orders", partition_count=3, replication_factor=3)
    pulumi.export("arn", made.arn)
    pulumi.export("brokers", made.bootstrap_brokers_sasl_iam)
    pulumi.export("privateBrokers", made.bootstrap_brokers_vpc_connectivity_sasl_iam)


def mistakes() -> None:
    """A misspelt key in a dict, and a number for a text: the SDK lets both through."""
    from pulumi_aws.ec2.security_group import SecurityGroup

    rule: Any = {"protocol": "tcp", "from_port": 1, "to_port": 2, "cidr_block": ["10.0.0.0/8"]}
    version: Any = 3.9
    SecurityGroup("group", ingress=[rule], description=version)


def unserved() -> None:
    from pulumi_aws.ssm.parameter import Parameter

    Parameter("note", type="String", value="x")


def names() -> None:
    """Log groups whose class replaces them: one named by us, one automatically, one with an option."""
    kind = config.get("class") or "STANDARD"
    cloudwatch.LogGroup("named", name="named", log_group_class=kind)
    cloudwatch.LogGroup("automatic", log_group_class=kind)
    days = config.get_int("days") or 7
    cloudwatch.LogGroup(
        "option", retention_in_days=days, opts=pulumi.ResourceOptions(replace_on_changes=["retention_in_days"])
    )


def secret() -> None:
    logs = cloudwatch.LogGroup("logs", tags={"owner": config.require_secret("owner"), "open": "y"})
    pulumi.export("owner", logs.tags.apply(lambda tags: (tags or {})["owner"]))


def regions() -> None:
    """Resources in two Regions: by provider, and by their own property."""
    ohio = Provider("ohio", region="us-east-2")
    for name, region, opts in (
        ("default", None, None),
        ("provider", None, pulumi.ResourceOptions(provider=ohio)),
        ("property", "us-west-2", None),
    ):
        network = Vpc(name, cidr_block="10.0.0.0/16", region=region, opts=opts)
        pulumi.export(name, network.arn)


def many() -> None:
    """Enough log groups for something to happen in the middle."""
    for index in range(8):
        cloudwatch.LogGroup(f"logs-{index}", name=f"logs-{index}")


globals()[config.require("scene")]()
