"""SSM: the public parameters that name the newest Amazon Linux images."""

from __future__ import annotations

import hashlib

from sandbox.aws.ec2 import AMI
from sandbox.cloud import Aws, AwsError
from sandbox.wire import Props

_PREFIX = "/aws/service/ami-amazon-linux-latest/al2023-ami-"
_VARIANTS = ("kernel-default", "kernel-6.1", "kernel-6.12", "minimal-kernel-default", "minimal-kernel-6.1")
_RELEASE = "ami-release"


def get_parameter(aws: Aws, args: Props) -> Props:
    """`aws.ssm.getParameter`. Image ids are each Region's own, as at AWS."""
    with aws.call("ssm:GetParameter"):
        name = args.get("name")
        if name is None:
            raise AwsError("ValidationException", "name is required")
        architecture = name.rpartition("-")[2]
        if name.removeprefix(_PREFIX).removesuffix(f"-{architecture}") not in _VARIANTS or architecture not in (
            "arm64",
            "x86_64",
        ):
            raise AwsError("ParameterNotFound", "couldn't find resource")
        release = _release(aws)
        image = "ami-0" + hashlib.sha256(f"{aws.cloud.seed}/{aws.region}/{name}/{release}".encode()).hexdigest()[:16]
        if aws.get(AMI, image) is None:
            aws.put(AMI, image, {"architecture": architecture, "name": name, "release": release})
    return {
        **args,
        "arn": f"arn:aws:ssm:{aws.region}::parameter{name}",
        "id": name,
        "insecureValue": image,
        "region": aws.region,
        "type": "String",
        "value": image,
        "version": 100 + release,
        "withDecryption": args.get("withDecryption", True),
    }


def release_images(aws: Aws) -> None:
    """Publishes newer images in a Region: the parameters name them from now on, the old ones still exist."""
    aws.put(_RELEASE, _RELEASE, {"number": _release(aws) + 1})


def _release(aws: Aws) -> int:
    return int((aws.get(_RELEASE, _RELEASE) or {"number": 1})["number"])
