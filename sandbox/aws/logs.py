"""CloudWatch Logs: log groups."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pulumi_aws import cloudwatch

from sandbox.aws.base import RecordHandler, arn, kind_of, one_of
from sandbox.aws.kms import lets_service_use, usable_key
from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.rules import AutoName, Rules
from sandbox.wire import UNKNOWN, Props

LOG_GROUP = kind_of(cloudwatch.LogGroup)

# PutRetentionPolicy takes these and no others; 0 is the provider's way of saying "never".
RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def admit_log_group(aws: Aws, name: str | None) -> bool:
    """Whether logs can be delivered to the group."""
    return name is not None and aws.get(LOG_GROUP, name) is not None


class LogGroup(RecordHandler):
    resource = cloudwatch.LogGroup
    label = "CloudWatch Logs Log Group"
    creates, reads = "logs:CreateLogGroup", "logs:DescribeLogGroups"
    updates, deletes = "logs:PutRetentionPolicy", "logs:DeleteLogGroup"
    rules = Rules(
        autoname=AutoName("name", 512),
        defaults={"retentionInDays": 0, "skipDestroy": False},
        replace=frozenset({"logGroupClass", "name", "namePrefix"}),
        computed=frozenset({"deletionProtectionEnabled", "logGroupClass"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        days = inputs["retentionInDays"]
        if days != UNKNOWN and days not in RETENTION_DAYS:
            allowed = " ".join(map(str, RETENTION_DAYS))
            yield Failure("retentionInDays", f"expected retention_in_days to be one of [{allowed}], got {days}")
        yield from one_of(inputs, "logGroupClass", ("STANDARD", "INFREQUENT_ACCESS", "DELIVERY"))
        name = inputs["name"]
        if name != UNKNOWN and not re.fullmatch(r"[.\-_/#A-Za-z0-9]{1,512}", name):
            reason = "must have 1 to 512 letters, digits and characters of .-_/# only"
            yield Failure("name", f"name is {name}; it {reason}")

    def admit(self, aws: Aws, inputs: Props) -> None:
        if aws.get(LOG_GROUP, inputs["name"]) is not None:
            raise AwsError("ResourceAlreadyExistsException", "The specified log group already exists")
        self._admit_key(aws, inputs)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self._admit_key(aws, inputs)

    def _admit_key(self, aws: Aws, inputs: Props) -> None:
        reference = inputs.get("kmsKeyId")
        if reference is None:
            return
        key = usable_key(aws, reference)
        if key is None or not lets_service_use(key, f"logs.{aws.region}.amazonaws.com"):
            group = arn("logs", aws.region, f"log-group:{inputs['name']}")
            message = f"The specified KMS key does not exist or is not allowed to be used with Arn '{group}'"
            raise AwsError("AccessDeniedException", message)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return str(inputs["name"])

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {
            "arn": arn("logs", aws.region, f"log-group:{id_}"),
            "deletionProtectionEnabled": inputs.get("deletionProtectionEnabled", False),
            "logGroupClass": inputs.get("logGroupClass", "STANDARD"),
        }

    def follow_up(self, inputs: Props) -> tuple[str, ...]:
        return ("logs:PutRetentionPolicy",) if inputs["retentionInDays"] else ()

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        if record["deletionProtectionEnabled"]:
            raise AwsError("ValidationException", "The log group has deletion protection enabled")


HANDLERS = (LogGroup(),)
