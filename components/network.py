"""A Region's network: a VPC with three private subnets for the brokers."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import GetAvailabilityZonesFilterArgs
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.get_availability_zones import get_availability_zones_output

from components.limits import EXPRESS_REFUSED_ZONE_IDS, EXPRESS_ZONES
from config import NetworkSettings, as_inputs


class Network(pulumi.ComponentResource):
    """A VPC whose private subnets stand in three zones that have Express brokers, and stay there.

    There is a public subnet and an internet gateway only when a client instance needs to reach Session Manager.
    """

    vpc_id: pulumi.Output[str]
    route_table_id: pulumi.Output[str]
    """The private subnets' route table, for routes to the clients' networks."""
    private_subnet_ids: list[pulumi.Output[str]]
    public_subnet_id: pulumi.Output[str] | None

    def __init__(self, name: str, settings: NetworkSettings, *, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("msk-dr:index:Network", name, as_inputs(settings), opts)
        child = pulumi.ResourceOptions(parent=self)

        vpc = Vpc(
            name,
            cidr_block=settings.vpc_cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={**settings.tags, "Name": name},
            opts=child,
        )
        *private_cidrs, public_cidr = settings.subnet_cidrs
        zone_ids = _zone_ids(settings, child)
        # A zone that is added or fails later must not move a subnet: a cluster with other subnets is another cluster.
        pinned = pulumi.ResourceOptions(
            parent=self, ignore_changes=[] if settings.zone_ids else ["availability_zone_id"]
        )
        private = [
            Subnet(
                f"{name}-private-{letter}",
                vpc_id=vpc.id,
                cidr_block=cidr,
                availability_zone_id=zone_ids[position],
                tags={**settings.tags, "Name": f"{name}-private-{letter}"},
                opts=pinned,
            )
            for position, (letter, cidr) in enumerate(zip("abc", private_cidrs, strict=True))
        ]
        self.vpc_id = vpc.id
        self.route_table_id = vpc.main_route_table_id
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.public_subnet_id = (
            self._public_subnet(name, settings, vpc, public_cidr, zone_ids[0], pinned) if settings.client else None
        )
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "routeTableId": self.route_table_id,
                "privateSubnetIds": self.private_subnet_ids,
                "publicSubnetId": self.public_subnet_id,
            }
        )

    def _public_subnet(
        self,
        name: str,
        settings: NetworkSettings,
        vpc: Vpc,
        cidr: str,
        zone_id: pulumi.Input[str],
        pinned: pulumi.ResourceOptions,
    ) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        tags = {**settings.tags, "Name": f"{name}-public"}
        subnet = Subnet(
            f"{name}-public", vpc_id=vpc.id, cidr_block=cidr, availability_zone_id=zone_id, tags=tags, opts=pinned
        )
        gateway = InternetGateway(f"{name}-public", vpc_id=vpc.id, tags=tags, opts=child)
        table = RouteTable(f"{name}-public", vpc_id=vpc.id, tags=tags, opts=child)
        route = Route(
            f"{name}-public",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=child,
        )
        association = RouteTableAssociation(f"{name}-public", subnet_id=subnet.id, route_table_id=table.id, opts=child)
        # Whoever uses the subnet wants its way out, which nothing else makes them wait for.
        return pulumi.Output.all(subnet.id, route.id, association.id).apply(_first)


def _first(values: Sequence[str]) -> str:
    return values[0]


def _zone_ids(settings: NetworkSettings, child: pulumi.ResourceOptions) -> Sequence[pulumi.Input[str]]:
    if settings.zone_ids:
        return settings.zone_ids
    # Not filtered by state: a zone that fails must not change the choice.
    zones = get_availability_zones_output(
        exclude_zone_ids=list(EXPRESS_REFUSED_ZONE_IDS),
        filters=[GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
        opts=pulumi.InvokeOutputOptions(parent=child.parent),
    )
    chosen = zones.zone_ids.apply(choose_zones)
    return [chosen[position] for position in range(EXPRESS_ZONES)]


def choose_zones(zone_ids: Sequence[str]) -> list[str]:
    """The first three zone ids in alphabetical order. Raises when the Region has fewer zones with Express brokers."""
    if len(zone_ids) < EXPRESS_ZONES:
        raise pulumi.RunError(
            f"the Region has {len(zone_ids)} zones with Express brokers ({', '.join(sorted(zone_ids))}); Express "
            f"brokers need {EXPRESS_ZONES}. Take another Region."
        )
    return sorted(zone_ids)[:EXPRESS_ZONES]
