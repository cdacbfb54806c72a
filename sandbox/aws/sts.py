"""STS: who is asking."""

from __future__ import annotations

from sandbox.cloud import Aws
from sandbox.regions import ACCOUNT
from sandbox.wire import Props


def get_caller_identity(aws: Aws, args: Props) -> Props:
    """`aws.getCallerIdentity`."""
    aws.touch("sts:GetCallerIdentity")
    return {"accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:user/sandbox", "id": ACCOUNT, "userId": "AIDASANDBOX"}
