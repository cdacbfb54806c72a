"""The primary stack in its default direction as one would write it down at once: no components, no configuration.

`make bench` checks that it registers the same resources as the program, and compares how long the two take.
"""

import json
from pathlib import Path

import pulumi
from pulumi_aws import GetAvailabilityZonesFilterArgs, cloudwatch, iam, msk
from pulumi_aws.ec2 import InstanceMetadataOptionsArgs, InstanceRootBlockDeviceArgs
from pulumi_aws.ec2.instance import Instance
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.get_availability_zones import get_availability_zones_output
from pulumi_aws.kms.alias import Alias
from pulumi_aws.kms.key import Key
from pulumi_aws.msk.cluster_policy import ClusterPolicy
from pulumi_aws.ssm.get_parameter import get_parameter_output
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

NAME = "msk-dr-primary"
TAGS = {"msk-dr:pair": "msk-dr", "msk-dr:role": "primary"}
TOPICS = pulumi.Config().require_int("topics")

zones = get_availability_zones_output(
    exclude_zone_ids=["use1-az3"],
    filters=[GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
).zone_ids.apply(sorted)
vpc = Vpc(
    NAME,
    cidr_block="10.10.0.0/16",
    enable_dns_support=True,
    enable_dns_hostnames=True,
    tags={**TAGS, "Name": NAME},
)
subnets = [
    Subnet(
        f"{NAME}-{kind}",
        vpc_id=vpc.id,
        cidr_block=f"10.10.{64 * position}.0/18",
        availability_zone_id=zones[position % 3],
        tags={**TAGS, "Name": f"{NAME}-{kind}"},
    )
    for position, kind in enumerate(("private-a", "private-b", "private-c", "public"))
]
PUBLIC = f"{NAME}-public"
gateway = InternetGateway(PUBLIC, vpc_id=vpc.id, tags={**TAGS, "Name": PUBLIC})
table = RouteTable(PUBLIC, vpc_id=vpc.id, tags={**TAGS, "Name": PUBLIC})
route = Route(PUBLIC, route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id)
association = RouteTableAssociation(PUBLIC, subnet_id=subnets[3].id, route_table_id=table.id)

key = Key(NAME, description="Encryption at rest", enable_key_rotation=True, tags=TAGS)
Alias(NAME, name=f"alias/{NAME}", target_key_id=key.key_id)
logs = cloudwatch.LogGroup(NAME, name=f"/aws/vendedlogs/msk/{NAME}", retention_in_days=30, tags=TAGS)
brokers, clients, replicator, client = (
    SecurityGroup(name, description=name, vpc_id=vpc.id, tags={**TAGS, "Name": name})
    for name in (NAME, f"{NAME}-clients", f"{NAME}-replicator", f"{NAME}-client")
)
sasl = msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityClientAuthenticationSaslArgs(iam=True)
cluster = msk.Cluster(
    NAME,
    cluster_name=NAME,
    kafka_version="3.9.x.kraft",
    number_of_broker_nodes=3,
    enhanced_monitoring="PER_BROKER",
    broker_node_group_info=msk.ClusterBrokerNodeGroupInfoArgs(
        instance_type="express.m7g.large",
        client_subnets=[subnet.id for subnet in subnets[:3]],
        security_groups=[brokers.id],
        connectivity_info=msk.ClusterBrokerNodeGroupInfoConnectivityInfoArgs(
            vpc_connectivity=msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityArgs(
                client_authentication=(
                    msk.ClusterBrokerNodeGroupInfoConnectivityInfoVpcConnectivityClientAuthenticationArgs(sasl=sasl)
                )
            )
        ),
    ),
    client_authentication=msk.ClusterClientAuthenticationArgs(
        sasl=msk.ClusterClientAuthenticationSaslArgs(iam=True, scram=False), unauthenticated=False
    ),
    encryption_info=msk.ClusterEncryptionInfoArgs(
        encryption_at_rest_kms_key_arn=key.arn,
        encryption_in_transit=msk.ClusterEncryptionInfoEncryptionInTransitArgs(client_broker="TLS", in_cluster=True),
    ),
    logging_info=msk.ClusterLoggingInfoArgs(
        broker_logs=msk.ClusterLoggingInfoBrokerLogsArgs(
            cloudwatch_logs=msk.ClusterLoggingInfoBrokerLogsCloudwatchLogsArgs(enabled=True, log_group=logs.name)
        )
    ),
    rebalancing=msk.ClusterRebalancingArgs(status="ACTIVE"),
    tags=TAGS,
)
for number in range(TOPICS):
    msk.Topic(
        f"{NAME}-topic-{number}",
        name=f"topic-{number}",
        cluster_arn=cluster.arn,
        partition_count=1,
        replication_factor=3,
        configs=json.dumps({"message.timestamp.before.max.ms": str(2**63 - 1)}),
    )
SOURCE_ACTIONS = ["kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2"]
ClusterPolicy(
    NAME,
    cluster_arn=cluster.arn,
    policy=pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": ["kafka.amazonaws.com"]},
                    "Action": SOURCE_ACTIONS,
                    "Resource": cluster.arn,
                }
            ],
        }
    ),
)
for member, group in (("replicator", replicator), ("brokers", brokers), ("clients", clients)):
    SecurityGroupIngressRule(
        f"{NAME}-from-{member}",
        security_group_id=brokers.id,
        ip_protocol="tcp",
        from_port=9098,
        to_port=9098,
        referenced_security_group_id=group.id,
        tags=TAGS,
    )
    SecurityGroupEgressRule(
        f"{NAME}-{member}-to-brokers",
        security_group_id=group.id,
        ip_protocol="tcp",
        from_port=9098,
        to_port=9098,
        referenced_security_group_id=brokers.id,
        tags=TAGS,
    )


def alarm(
    name: str, metrics: dict[str, str], dimensions: dict[str, str], threshold: float, expression: str = ""
) -> pulumi.Output[str]:
    """A cluster alarm, and its ARN."""
    queries = [
        cloudwatch.MetricAlarmMetricQueryArgs(
            id=id_,
            return_data=not expression,
            metric=cloudwatch.MetricAlarmMetricQueryMetricArgs(
                namespace="AWS/Kafka", metric_name=metric, stat="Average", period=60, dimensions=dimensions
            ),
        )
        for id_, metric in metrics.items()
    ]
    if expression:
        queries.append(cloudwatch.MetricAlarmMetricQueryArgs(id="result", expression=expression, return_data=True))
    return cloudwatch.MetricAlarm(
        f"{NAME}-{name}",
        name=f"{NAME}-{name}",
        metric_queries=queries,
        comparison_operator="GreaterThanThreshold",
        threshold=threshold,
        evaluation_periods=15,
        treat_missing_data="notBreaching",
        tags=TAGS,
    ).arn


whole = {"Cluster Name": NAME}
arns = [
    alarm("controller", {"m": "ActiveControllerCount"}, whole, 1),
    alarm("storage", {"m": "StorageUsed"}, whole, 1e12),
]
for broker in "123":
    one = {**whole, "Broker ID": broker}
    arns += [
        alarm(f"broker-{broker}-cpu", {"user": "CpuUser", "sys": "CpuSystem"}, one, 60, "user + sys"),
        alarm(f"broker-{broker}-bytes-in", {"m": "BytesInPerSec"}, one, 12.48e6),
        alarm(f"broker-{broker}-bytes-out", {"m": "BytesOutPerSec"}, one, 24.96e6),
        alarm(f"broker-{broker}-partitions", {"m": "PartitionCount"}, one, 1200),
        alarm(
            f"broker-{broker}-throttled",
            {"produce": "ProduceThrottleTime", "fetch": "FetchThrottleTime"},
            one,
            0,
            "MAX([FILL(produce, 0), FILL(fetch, 0)])",
        ),
    ]
cloudwatch.Dashboard(
    NAME,
    dashboard_name=NAME,
    dashboard_body=pulumi.Output.json_dumps(
        {
            "widgets": [
                {"type": "alarm", "x": 0, "y": 0, "width": 24, "height": 6, "properties": {"title": "", "alarms": arns}}
            ]
        }
    ),
)

CLIENT = f"{NAME}-client"
trust = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
role = iam.Role(CLIENT, assume_role_policy=json.dumps(trust), tags=TAGS)
attachment = iam.RolePolicyAttachment(
    CLIENT, role=role.name, policy_arn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
)
connect = {"Effect": "Allow", "Action": "kafka-cluster:Connect", "Resource": cluster.arn}
policy = iam.RolePolicy(
    CLIENT, role=role.id, policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [connect]})
)
profile = iam.InstanceProfile(CLIENT, role=role.name, tags=TAGS)
egress = SecurityGroupEgressRule(
    CLIENT,
    security_group_id=client.id,
    ip_protocol="tcp",
    from_port=443,
    to_port=443,
    cidr_ipv4="0.0.0.0/0",
    tags=TAGS,
)
image = get_parameter_output(name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64")
setup = (Path(__file__).resolve().parents[2] / "components" / "client_setup.sh").read_text()
instance = Instance(
    CLIENT,
    ami=image.value,
    instance_type="t4g.small",
    subnet_id=subnets[3].id,
    vpc_security_group_ids=[client.id, clients.id],
    iam_instance_profile=profile.name,
    associate_public_ip_address=True,
    metadata_options=InstanceMetadataOptionsArgs(http_tokens="required", http_put_response_hop_limit=1),
    root_block_device=InstanceRootBlockDeviceArgs(encrypted=True, volume_type="gp3"),
    user_data=pulumi.Output.concat("#!/bin/bash\nCLUSTER_ARN=", cluster.arn, "\n", setup),
    user_data_replace_on_change=True,
    tags={**TAGS, "Name": CLIENT},
    opts=pulumi.ResourceOptions(depends_on=[attachment, policy, egress, route, association]),
)

pulumi.export("clusterArn", cluster.arn)
pulumi.export("bootstrapBrokers", cluster.bootstrap_brokers_sasl_iam)
pulumi.export("subnetIds", [subnet.id for subnet in subnets[:3]])
pulumi.export("clientInstanceId", instance.id)
