"""IAM: roles, their policies, instance profiles. One service for all Regions; its records are in `global`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pulumi_aws import iam

from sandbox.aws.base import RecordHandler, glob, in_range, json_failures, kind_of, listed, statements
from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.regions import ACCOUNT
from sandbox.rules import AutoName, Rules
from sandbox.wire import UNKNOWN, Props

ROLE = kind_of(iam.Role)
ROLE_POLICY = kind_of(iam.RolePolicy)
ATTACHMENT = kind_of(iam.RolePolicyAttachment)
INSTANCE_PROFILE = kind_of(iam.InstanceProfile)

_DATE = "2026-11-22T12:00:00Z"

_ON_CLUSTERS = "Connect DescribeCluster AlterCluster WriteDataIdempotently"
_ON_TOPICS = (
    "DescribeTopic CreateTopic AlterTopic WriteData ReadData DescribeTopicDynamicConfiguration "
    "AlterTopicDynamicConfiguration"
)
_ON_GROUPS = "AlterGroup DescribeGroup"


def _kafka_statement(resource: str, actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": [f"kafka-cluster:{a}" for a in actions.split()], "Resource": resource}


MANAGED_POLICIES: dict[str, str] = {
    "AmazonMSKFullAccess": '{"Statement": [{"Effect": "Allow", "Action": "kafka:*", "Resource": "*"}]}',
    "AmazonSSMManagedInstanceCore": '{"Statement": [{"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}]}',
    "CloudWatchAgentServerPolicy": '{"Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}',
    # Version 2, 2024-03-25.
    "service-role/AWSMSKReplicatorExecutionRole": json.dumps(
        {
            "Statement": [
                _kafka_statement("arn:aws:kafka:*:*:cluster/*", f"{_ON_TOPICS} {_ON_CLUSTERS} {_ON_GROUPS}"),
                _kafka_statement("arn:aws:kafka:*:*:topic/*/*", f"{_ON_TOPICS} AlterCluster"),
                _kafka_statement("arn:aws:kafka:*:*:group/*/*", _ON_GROUPS),
            ]
        }
    ),
}
"""AWS's own policies that the sandbox knows; all but the last only roughly, because nothing here depends on them."""


def role_named(aws: Aws, name: str) -> Props:
    """A role, or IAM's error."""
    role = aws.get(ROLE, name)
    if role is None:
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", status=404)
    return role


def policies_of(aws: Aws, role: str) -> Iterator[str]:
    """The documents of every policy that a role has, inline or attached."""
    for held in aws.table(ROLE_POLICY).values():
        if held["role"] == role:
            yield held["policy"]
    record = aws.get(ROLE, role) or {}
    for inline in record.get("inlinePolicies", []):
        if "policy" in inline:
            yield inline["policy"]
    attached = [held["policyArn"] for held in aws.table(ATTACHMENT).values() if held["role"] == role]
    for arn in (*attached, *record.get("managedPolicyArns", [])):
        yield MANAGED_POLICIES[arn.partition(":policy/")[2]]


def allows(documents: Iterable[str], action: str, resource: str) -> bool:
    """Whether the policies allow an action on a resource. A denial wins; conditions are taken as met."""
    allowed = False
    for document in documents:
        for statement in statements(document):
            if _covers(statement, action, resource):
                if statement["Effect"] == "Deny":
                    return False
                allowed = True
    return allowed


def _covers(statement: dict[str, Any], action: str, resource: str) -> bool:
    actions = any(glob(pattern, action, ignore_case=True) for pattern in listed(statement.get("Action")))
    if "NotAction" in statement:
        actions = not any(glob(pattern, action, ignore_case=True) for pattern in listed(statement["NotAction"]))
    return actions and any(glob(pattern, resource) for pattern in listed(statement.get("Resource")))


def trusts(document: str, service: str) -> bool:
    """Whether a trust policy lets a service assume the role."""
    return any(
        statement["Effect"] == "Allow"
        and any(glob(pattern, "sts:AssumeRole", ignore_case=True) for pattern in listed(statement.get("Action")))
        and service in listed(_principal(statement).get("Service"))
        for statement in statements(document)
    )


def _principal(statement: dict[str, Any]) -> dict[str, Any]:
    principal = statement.get("Principal")
    return principal if isinstance(principal, dict) else {}


def _admit_document(document: str, *, trust: bool = False) -> None:
    """IAM's rules for a policy of a role; raises AwsError."""
    try:
        found = statements(document)
    except ValueError as error:
        raise AwsError("MalformedPolicyDocument", f"Syntax errors in policy. ({error})") from error
    for statement in found:
        if trust and "Principal" not in statement:
            raise AwsError("MalformedPolicyDocument", "Missing required field Principal")
        if trust and "Resource" in statement:
            raise AwsError("MalformedPolicyDocument", "Has prohibited field Resource")
        if not trust and "Principal" in statement:
            raise AwsError("MalformedPolicyDocument", "Policy document should not specify a principal.")
        if not trust and "Resource" not in statement and "NotResource" not in statement:
            raise AwsError("MalformedPolicyDocument", "Policy statement must contain resources.")
        for action in listed(statement.get("Action")):
            if action != "*" and not re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9*?]+", action):
                message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
                raise AwsError("MalformedPolicyDocument", message)
        for resource in listed(statement.get("Resource")):
            if resource != "*" and not re.fullmatch(r"arn:[^:]*:[^:]*:[^:]*:[^:]*:.+", resource):
                message = f'Resource {resource} must be in ARN format or "*".'
                raise AwsError("MalformedPolicyDocument", message)


def _size(document: str) -> int:
    """What counts towards IAM's limits: everything but white space."""
    return len(re.sub(r"\s", "", document))


def _name_failures(inputs: Props, maximum: int) -> Iterator[Failure]:
    name = inputs["name"]
    if name != UNKNOWN and not re.fullmatch(rf"[\w+=,.@-]{{1,{maximum}}}", name):
        yield Failure(
            "name", f"name is {name}; it must have 1 to {maximum} letters, digits and characters of +=,.@-_ only"
        )


class Role(RecordHandler):
    resource = iam.Role
    label = "IAM Role"
    creates, reads, updates, deletes = "iam:CreateRole", "iam:GetRole", "iam:UpdateRole", "iam:DeleteRole"
    rules = Rules(
        autoname=AutoName("name", 64),
        defaults={"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"},
        replace=frozenset({"name", "namePrefix", "path"}),
        computed=frozenset({"inlinePolicies", "managedPolicyArns"}),
        sets=frozenset({"inlinePolicies", "managedPolicyArns"}),
        documents=frozenset({"assumeRolePolicy", "inlinePolicies[].policy"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from json_failures(inputs, "assumeRolePolicy")
        yield from _name_failures(inputs, 64)
        yield from in_range(inputs, "maxSessionDuration", 3600, 43200)

    def admit(self, aws: Aws, inputs: Props) -> None:
        if aws.get(ROLE, inputs["name"]) is not None:
            raise AwsError("EntityAlreadyExists", f"Role with name {inputs['name']} already exists.", status=409)
        self._admit_change(inputs)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self._admit_change(inputs)

    def _admit_change(self, inputs: Props) -> None:
        _admit_document(inputs["assumeRolePolicy"], trust=True)
        if _size(inputs["assumeRolePolicy"]) > 2048:
            raise AwsError("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", status=409)
        for inline in inputs.get("inlinePolicies", []):
            if "policy" in inline:
                _admit_document(inline["policy"])
        for arn in inputs.get("managedPolicyArns", []):
            _admit_managed(arn)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return str(inputs["name"])

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {
            "arn": f"arn:aws:iam::{ACCOUNT}:role{inputs['path']}{id_}",
            "createDate": _DATE,
            "inlinePolicies": inputs.get("inlinePolicies", []),
            "managedPolicyArns": inputs.get("managedPolicyArns", []),
            "uniqueId": f"AROA{aws.digest('role')[:17].upper()}",
        }

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        force = record["forceDetachPolicies"]
        attached = [key for key, held in aws.table(ATTACHMENT).items() if held["role"] == id_]
        inline = [key for key, held in aws.table(ROLE_POLICY).items() if held["role"] == id_]
        if attached and not force:
            raise AwsError("DeleteConflict", "Cannot delete entity, must detach all policies first.", status=409)
        if inline and not force:
            raise AwsError("DeleteConflict", "Cannot delete entity, must delete policies first.", status=409)
        for key in attached:
            aws.remove(ATTACHMENT, key)
        for key in inline:
            aws.remove(ROLE_POLICY, key)
        # The provider takes the role out of its instance profiles itself.
        for profile, held in list(aws.table(INSTANCE_PROFILE).items()):
            if held.get("role") == id_:
                aws.put(INSTANCE_PROFILE, profile, {**held, "role": ""})


class RolePolicy(RecordHandler):
    resource = iam.RolePolicy
    label = "IAM Role Policy"
    creates, reads = "iam:PutRolePolicy", "iam:GetRolePolicy"
    updates, deletes = "iam:PutRolePolicy", "iam:DeleteRolePolicy"
    rules = Rules(
        autoname=AutoName("name", 255),
        replace=frozenset({"name", "namePrefix", "role"}),
        documents=frozenset({"policy"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from json_failures(inputs, "policy")
        yield from _name_failures(inputs, 128)

    def admit(self, aws: Aws, inputs: Props) -> None:
        role_named(aws, inputs["role"])
        _admit_document(inputs["policy"])
        id_ = self.identify(aws, inputs)
        others = [
            held["policy"]
            for key, held in aws.table(ROLE_POLICY).items()
            if held["role"] == inputs["role"] and key != id_
        ]
        if sum(map(_size, (*others, inputs["policy"]))) > 10240:
            message = f"Maximum policy size of 10240 bytes exceeded for role {inputs['role']}"
            raise AwsError("LimitExceeded", message, status=409)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        self.admit(aws, inputs)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"{inputs['role']}:{inputs['name']}"


def _admit_managed(arn: str) -> None:
    prefix, _, name = arn.partition(":policy/")
    if prefix != "arn:aws:iam::aws" or name not in MANAGED_POLICIES:
        message = f"Policy {arn} does not exist or is not attachable."
        raise AwsError("NoSuchEntity", message, status=404)


class RolePolicyAttachment(RecordHandler):
    resource = iam.RolePolicyAttachment
    label = "IAM Policy attachment"
    creates, reads, deletes = "iam:AttachRolePolicy", "iam:ListAttachedRolePolicies", "iam:DetachRolePolicy"
    rules = Rules(replace=frozenset({"policyArn", "role"}), delete_before_replace=True)

    def admit(self, aws: Aws, inputs: Props) -> None:
        role_named(aws, inputs["role"])
        _admit_managed(inputs["policyArn"])

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"{inputs['role']}/{inputs['policyArn']}"


class InstanceProfile(RecordHandler):
    resource = iam.InstanceProfile
    label = "IAM Instance Profile"
    creates, reads = "iam:CreateInstanceProfile", "iam:GetInstanceProfile"
    updates, deletes = "iam:AddRoleToInstanceProfile", "iam:DeleteInstanceProfile"
    rules = Rules(
        autoname=AutoName("name", 255),
        defaults={"path": "/"},
        replace=frozenset({"name", "namePrefix", "path"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        return _name_failures(inputs, 128)

    def admit(self, aws: Aws, inputs: Props) -> None:
        if aws.get(INSTANCE_PROFILE, inputs["name"]) is not None:
            message = f"Instance Profile {inputs['name']} already exists."
            raise AwsError("EntityAlreadyExists", message, status=409)
        self.revise(aws, inputs["name"], {}, inputs)

    def revise(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        if role := inputs.get("role"):
            role_named(aws, role)

    def identify(self, aws: Aws, inputs: Props) -> str:
        return str(inputs["name"])

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        return {
            "arn": f"arn:aws:iam::{ACCOUNT}:instance-profile{inputs['path']}{id_}",
            "createDate": _DATE,
            "uniqueId": f"AIPA{aws.digest('profile')[:17].upper()}",
        }

    def follow_up(self, inputs: Props) -> tuple[str, ...]:
        return ("iam:AddRoleToInstanceProfile",) if "role" in inputs else ()


HANDLERS = (Role(), RolePolicy(), RolePolicyAttachment(), InstanceProfile())
