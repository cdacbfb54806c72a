"""What the sandbox serves: one handler for each resource type, one function for each invoke."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_aws.get_availability_zones import get_availability_zones
from pulumi_aws.get_caller_identity import get_caller_identity
from pulumi_aws.ssm.get_parameter import get_parameter

from sandbox.aws import cloudwatch, ec2, iam, kms, logs, msk, replicator, sns, ssm, sts
from sandbox.aws.base import Handler
from sandbox.cloud import Aws
from sandbox.wire import Props

HANDLERS: Mapping[str, Handler] = {
    handler.kind: handler
    for service in (ec2, iam, kms, logs, cloudwatch, sns, msk, replicator)
    for handler in service.HANDLERS
}
"""By type token."""


@dataclass(frozen=True)
class Function:
    """An invoke: the SDK's function, whose signature tells the arguments, and what it does here."""

    label: str
    function: Callable[..., Any]
    call: Callable[[Aws, Props], Props]


FUNCTIONS: Mapping[str, Function] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": Function(
        "EC2 Availability Zones", get_availability_zones, ec2.get_availability_zones
    ),
    "aws:index/getCallerIdentity:getCallerIdentity": Function(
        "STS Caller Identity", get_caller_identity, sts.get_caller_identity
    ),
    "aws:ssm/getParameter:getParameter": Function("SSM Parameter", get_parameter, ssm.get_parameter),
}
"""By invoke token."""
