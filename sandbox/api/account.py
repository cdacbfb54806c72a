"""What MSK looks at outside itself: subnets, security groups and roles of the one pretended account.

`Account` is all that the MSK side knows of EC2 and IAM, so that another holder of them can be put in moto's place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final, Protocol

ACCOUNT: Final = "123456789012"
"""The pretended account; AWS uses this number in its documentation, and moto by default."""

REGIONS: Final = ("us-east-1", "us-east-2")

Policy = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet, with its zone by id, which means the same place to everybody."""

    id: str
    vpc_id: str
    zone_id: str
    cidr: str


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What one rule of a security group lets through; no port means every port. One of `cidr` and `group_id` is set."""

    first_port: int | None
    last_port: int | None
    cidr: str | None = None
    group_id: str | None = None

    def lets(self, port: int, *, group_id: str, cidrs: tuple[str, ...]) -> bool:
        """Whether a member of the group, at an address in any of the networks, gets through to the port."""
        if self.first_port is not None and self.last_port is not None and not self.first_port <= port <= self.last_port:
            return False
        if self.group_id is not None:
            return self.group_id == group_id
        if self.cidr is None:
            return False
        mine = ip_network(self.cidr)
        others = [ip_network(cidr) for cidr in cidrs]
        return any(mine.version == other.version and other.subnet_of(mine) for other in others)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """A security group; rules for TCP or for every protocol only."""

    id: str
    vpc_id: str
    ingress: tuple[Opening, ...]
    egress: tuple[Opening, ...]


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role: who may take it, and every policy on it, inline or attached."""

    arn: str
    trust: Policy
    policies: tuple[Policy, ...]


class Account(Protocol):
    """Answers are None for what does not exist."""

    def subnet(self, region: str, id_: str) -> Subnet | None: ...

    def security_group(self, region: str, id_: str) -> SecurityGroup | None: ...

    def default_security_group(self, region: str, vpc_id: str) -> SecurityGroup | None: ...

    def role(self, arn: str) -> Role | None: ...
