"""Who may reach a cluster: rules on the broker ports, and the policy that lets Replicators read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.msk.cluster_policy import ClusterPolicy
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from components.limits import PORTS
from config import ConnectivitySettings, as_inputs

SOURCE_ACTIONS: Final = ("kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2")
"""What the Kafka service must be allowed on a source (developer guide, msk-replicator-prepare-cluster, 2026-09)."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Leave to reach the brokers on a port: from a security group, or else from a network."""

    name: str
    port: int
    group_id: pulumi.Output[str] | None = None
    cidr: str | None = None


class Connectivity(pulumi.ComponentResource):
    """Opens the broker ports to the Replicator, to members of the clients' group and to the clients' networks.

    No rule is open to the world. The cluster policy is there from the first day, so that failback waits for nothing.
    """

    client_security_group_id: pulumi.Output[str]
    """Membership lets an application reach the brokers."""
    replicator_security_group_id: pulumi.Output[str]
    rules: list[pulumi.Resource]
    """What a Replicator has to wait for: the rules, and the policy without which this cluster is no source."""

    def __init__(
        self,
        name: str,
        settings: ConnectivitySettings,
        *,
        vpc_id: pulumi.Input[str],
        cluster_arn: pulumi.Output[str],
        cluster_security_group_id: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("msk-dr:index:Connectivity", name, as_inputs(settings), opts)
        child = pulumi.ResourceOptions(parent=self)

        def group(role: str, description: str) -> SecurityGroup:
            tags = {**settings.tags, "Name": f"{name}-{role}"}
            return SecurityGroup(f"{name}-{role}", description=description, vpc_id=vpc_id, tags=tags, opts=child)

        clients = group("clients", "Clients of the Kafka brokers")
        replicator = group("replicator", "MSK Replicator")
        accesses = list(_accesses(settings, clients.id, replicator.id, cluster_security_group_id))
        self.rules = []
        for access in accesses:
            self.rules.append(
                SecurityGroupIngressRule(
                    f"{name}-from-{access.name}",
                    description=f"Kafka from {access.name}",
                    security_group_id=cluster_security_group_id,
                    ip_protocol="tcp",
                    from_port=access.port,
                    to_port=access.port,
                    referenced_security_group_id=access.group_id,
                    cidr_ipv4=access.cidr,
                    tags=settings.tags,
                    opts=child,
                )
            )
            if access.group_id is not None:
                self.rules.append(
                    SecurityGroupEgressRule(
                        f"{name}-{access.name}-to-brokers",
                        description="Kafka to the brokers",
                        security_group_id=access.group_id,
                        ip_protocol="tcp",
                        from_port=access.port,
                        to_port=access.port,
                        referenced_security_group_id=cluster_security_group_id,
                        tags=settings.tags,
                        opts=child,
                    )
                )
        policy = ClusterPolicy(
            name,
            cluster_arn=cluster_arn,
            policy=pulumi.Output.json_dumps(source_policy(cluster_arn)),
            # Without it the provider would put the policy on the new cluster and go on reading the old one.
            opts=pulumi.ResourceOptions(parent=self, replace_on_changes=["cluster_arn"]),
        )
        self.rules.append(policy)
        self.client_security_group_id = clients.id
        self.replicator_security_group_id = replicator.id
        self.register_outputs(
            {
                "clientSecurityGroupId": self.client_security_group_id,
                "replicatorSecurityGroupId": self.replicator_security_group_id,
            }
        )


def source_policy(cluster_arn: pulumi.Input[str]) -> dict[str, Any]:
    """The cluster policy that lets the account's Replicators in other Regions use the cluster as their source.

    Its resource is the exact ARN, else the service answers `The cluster policy is not valid. Invalid cluster arn`.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ReplicatorSource",
                "Effect": "Allow",
                "Principal": {"Service": ["kafka.amazonaws.com"]},
                "Action": list(SOURCE_ACTIONS),
                "Resource": cluster_arn,
            }
        ],
    }


def _accesses(
    settings: ConnectivitySettings,
    clients: pulumi.Output[str],
    replicator: pulumi.Output[str],
    brokers: pulumi.Output[str],
) -> Iterator[Access]:
    yield Access(name="replicator", port=PORTS["iam"], group_id=replicator)
    yield Access(name="brokers", port=PORTS["iam"], group_id=brokers)
    for mechanism, port in settings.client_ports.items():
        suffix = "" if mechanism == "iam" else f"-{mechanism}"
        yield Access(name=f"clients{suffix}", port=port, group_id=clients)
        for cidr in settings.client_cidrs:
            yield Access(name=f"{cidr.replace('/', '-')}{suffix}", port=port, cidr=cidr)
