"""The stand-in's own networks and roles, as the MSK API wants to see them: there is one account, not two."""

import json
from collections.abc import Iterator
from typing import Final

from sandbox.api.account import Opening, Role, SecurityGroup, Subnet
from sandbox.aws import ec2, iam
from sandbox.cloud import Aws, Cloud
from sandbox.state import GLOBAL

_ANYWHERE: Final = "0.0.0.0/0"


class CloudAccount:
    """An `Account` on a `Cloud`. Its calls may come from any thread that does not hold the cloud's lock."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def subnet(self, region: str, id_: str) -> Subnet | None:
        with self._cloud.lock:
            found = Aws(self._cloud, region).get(ec2.SUBNET, id_)
        if found is None:
            return None
        return Subnet(id=id_, vpc_id=found["vpcId"], zone_id=found["availabilityZoneId"], cidr=found["cidrBlock"])

    def security_group(self, region: str, id_: str) -> SecurityGroup | None:
        with self._cloud.lock:
            aws = Aws(self._cloud, region)
            found = aws.get(ec2.SECURITY_GROUP, id_)
            if found is None:
                return None
            ingress, egress = (tuple(_openings(aws, id_, direction)) for direction in ec2.DIRECTIONS)
        if found.get("isDefault"):
            # What EC2 gives every VPC's default group; the record of it holds no rules.
            ingress += (Opening(first_port=None, last_port=None, group_id=id_),)
            egress += (Opening(first_port=None, last_port=None, cidr=_ANYWHERE),)
        return SecurityGroup(id=id_, vpc_id=found["vpcId"], ingress=ingress, egress=egress)

    def default_security_group(self, region: str, vpc_id: str) -> SecurityGroup | None:
        with self._cloud.lock:
            network = Aws(self._cloud, region).get(ec2.VPC, vpc_id)
        return self.security_group(region, network["defaultSecurityGroupId"]) if network else None

    def role(self, arn: str) -> Role | None:
        name = arn.rpartition("/")[2]
        with self._cloud.lock:
            aws = Aws(self._cloud, GLOBAL)
            found = aws.get(iam.ROLE, name)
            if found is None or found["arn"] != arn:
                return None
            policies = tuple(json.loads(document) for document in iam.policies_of(aws, name))
        return Role(arn=arn, trust=json.loads(found["assumeRolePolicy"]), policies=policies)


def _openings(aws: Aws, group: str, direction: ec2.Direction) -> Iterator[Opening]:
    for rule in ec2.group_rules(aws, group, direction):
        for peer in sorted(rule.groups):
            yield Opening(first_port=rule.first_port, last_port=rule.last_port, group_id=peer)
        for cidr in rule.cidrs:
            yield Opening(first_port=rule.first_port, last_port=rule.last_port, cidr=cidr)
