"""KMS: keys and aliases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from pulumi_aws import kms

from sandbox.aws.base import (
    RecordHandler,
    arn,
    glob,
    in_range,
    json_failures,
    kind_of,
    listed,
    one_of,
    statements,
    uuid_of,
)
from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.regions import ACCOUNT
from sandbox.rules import AutoName, Rules
from sandbox.wire import UNKNOWN, Props

KEY = kind_of(kms.Key)
ALIAS = kind_of(kms.Alias)

_ROOT = f"arn:aws:iam::{ACCOUNT}:root"
_DEFAULT_POLICY = json.dumps(
    {
        "Id": "key-default-1",
        "Statement": [
            {
                "Action": "kms:*",
                "Effect": "Allow",
                "Principal": {"AWS": _ROOT},
                "Resource": "*",
                "Sid": "Enable IAM User Permissions",
            }
        ],
        "Version": "2012-10-17",
    }
)


def usable_key(aws: Aws, reference: str) -> Props | None:
    """An enabled key of this Region by id, ARN, alias name or alias ARN."""
    name = reference.rpartition(":")[2]
    if reference.startswith("arn:") and reference.split(":")[3] != aws.region:
        return None
    if name.startswith("alias/"):
        name = str((aws.get(ALIAS, name) or {}).get("targetKeyId", ""))
    key = aws.get(KEY, name.removeprefix("key/").rpartition("/")[2])
    return key if key and key["isEnabled"] and "deletionDate" not in key else None


def lets_service_use(key: Props, service: str) -> bool:
    """Whether the key's policy names the service as somebody who may encrypt with it."""
    return any(
        statement["Effect"] == "Allow"
        and service in listed(_principals(statement).get("Service"))
        and any(glob(pattern, "kms:GenerateDataKey", ignore_case=True) for pattern in listed(statement.get("Action")))
        for statement in statements(key["policy"])
    )


def _principals(statement: dict[str, Any]) -> dict[str, Any]:
    principal = statement.get("Principal")
    return principal if isinstance(principal, dict) else {"AWS": principal}


class Key(RecordHandler):
    resource = kms.Key
    label = "KMS Key"
    creates, reads, updates, deletes = "kms:CreateKey", "kms:DescribeKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"
    rules = Rules(
        defaults={
            "bypassPolicyLockoutSafetyCheck": False,
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "enableKeyRotation": False,
            "isEnabled": True,
            "keyUsage": "ENCRYPT_DECRYPT",
        },
        replace=frozenset({"customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion", "xksKeyId"}),
        computed=frozenset({"description", "multiRegion", "policy", "rotationPeriodInDays"}),
        documents=frozenset({"policy"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from json_failures(inputs, "policy")
        yield from one_of(
            inputs, "keyUsage", ("ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT")
        )
        yield from in_range(inputs, "deletionWindowInDays", 7, 30)
        yield from in_range(inputs, "rotationPeriodInDays", 90, 2560)

    def admit(self, aws: Aws, inputs: Props) -> None:
        self._admit_policy(inputs)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self._admit_policy(inputs)

    def _admit_policy(self, inputs: Props) -> None:
        if "policy" not in inputs:
            return
        try:
            found = statements(inputs["policy"])
        except ValueError as error:
            raise AwsError("MalformedPolicyDocumentException", f"{error}") from error
        if not inputs["bypassPolicyLockoutSafetyCheck"] and not any(map(_keeps_us_in, found)):
            message = "The new key policy will not allow you to update the key policy in the future."
            raise AwsError("MalformedPolicyDocumentException", message)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return uuid_of(aws.digest("key"))

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {
            "arn": arn("kms", aws.region, f"key/{id_}"),
            "description": inputs.get("description", ""),
            "keyId": id_,
            "multiRegion": inputs.get("multiRegion", False),
            "policy": inputs.get("policy", _DEFAULT_POLICY),
            "rotationPeriodInDays": inputs.get("rotationPeriodInDays", 365 if inputs["enableKeyRotation"] else 0),
        }

    def follow_up(self, inputs: Props) -> tuple[str, ...]:
        return ("kms:EnableKeyRotation",) if inputs["enableKeyRotation"] else ()

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        record = super().read(aws, id_, known)
        return None if record is None or "deletionDate" in record else record

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        """A key is only marked: it stays, unusable, until its waiting time is over."""
        with aws.call(self.deletes):
            record = aws.get(KEY, id_)
            if record is not None:
                days = record.get("deletionWindowInDays", 30)
                aws.put(KEY, id_, {**record, "deletionDate": f"in {days} days"})


def _keeps_us_in(statement: dict[str, Any]) -> bool:
    actions = any(glob(pattern, "kms:PutKeyPolicy", ignore_case=True) for pattern in listed(statement.get("Action")))
    return statement["Effect"] == "Allow" and actions and bool({_ROOT, ACCOUNT, "*"} & {*_aws_principals(statement)})


def _aws_principals(statement: dict[str, Any]) -> list[str]:
    return listed(_principals(statement).get("AWS"))


class Alias(RecordHandler):
    resource = kms.Alias
    label = "KMS Alias"
    creates, reads, updates, deletes = "kms:CreateAlias", "kms:ListAliases", "kms:UpdateAlias", "kms:DeleteAlias"
    rules = Rules(
        # The bridge counts the prefix separately.
        autoname=AutoName("name", 238, prefix="alias/"),
        replace=frozenset({"name", "namePrefix"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        name = inputs["name"]
        if name != UNKNOWN and (not re.fullmatch(r"alias/[\w/-]+", name) or name.startswith("alias/aws/")):
            yield Failure(
                "name", f"name is {name}; it must begin with 'alias/' and be comprised of only [a-zA-Z0-9/_-]"
            )

    def admit(self, aws: Aws, inputs: Props) -> None:
        if aws.get(ALIAS, inputs["name"]) is not None:
            message = f"An alias with the name {arn('kms', aws.region, inputs['name'])} already exists"
            raise AwsError("AlreadyExistsException", message)
        self._target(aws, inputs)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self._target(aws, inputs)

    def _target(self, aws: Aws, inputs: Props) -> Props:
        key = usable_key(aws, inputs["targetKeyId"])
        if key is None:
            message = f"Key '{arn('kms', aws.region, 'key/' + inputs['targetKeyId'])}' does not exist"
            raise AwsError("NotFoundException", message)
        return key

    def identify(self, aws: Aws, inputs: Props) -> str:
        return str(inputs["name"])

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {"arn": arn("kms", aws.region, id_), "targetKeyArn": self._target(aws, inputs)["arn"]}

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        record = super().read(aws, id_, known)
        if record is None:
            return None
        key = usable_key(aws, record["targetKeyId"])
        return {**record, "targetKeyArn": key["arn"]} if key else record


HANDLERS = (Key(), Alias())
