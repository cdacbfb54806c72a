"""`python -m sandbox.api` as a process, with the AWS CLI as its client."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.api.world import PRIMARY, ZONES, wait_for

AWS = shutil.which("aws", path=str(Path(sys.executable).parent))


def start(folder: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """The process and its endpoint, once it serves."""
    command = [sys.executable, "-m", "sandbox.api", "serve", "--folder", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"serving us-east-1 and us-east-2 at (http://127\.0\.0\.1:\d+)\n", line)
    assert found, line
    return process, found[1]


@pytest.fixture
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process, endpoint = start(folder, "--create-seconds", "0.1")
    yield process, endpoint
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(served: tuple[subprocess.Popen[str], str], number: signal.Signals) -> None:
    process, endpoint = served
    process.send_signal(number)
    assert process.wait(20) == 0
    with pytest.raises(URLError):
        urlopen(endpoint)


def test_help_tells_the_options() -> None:
    command = [sys.executable, "-m", "sandbox.api", "serve", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for option in ("--folder", "--port", "--create-seconds", "--update-seconds", "--delete-seconds", "--verbose"):
        assert option in text


@pytest.mark.skipif(AWS is None, reason="the AWS CLI is not installed")
def test_the_aws_cli_uses_it(served: tuple[subprocess.Popen[str], str]) -> None:
    _, endpoint = served
    environment = os.environ | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": PRIMARY,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }

    def aws(*arguments: str) -> Any:
        command = [str(AWS), "--output", "json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        return json.loads(done.stdout)

    assert aws("sts", "get-caller-identity")["Account"] == "123456789012"
    vpc = aws("ec2", "create-vpc", "--cidr-block", "10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        aws(
            *("ec2", "create-subnet", "--vpc-id", vpc),
            *("--availability-zone-id", zone, "--cidr-block", f"10.0.{number}.0/24"),
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate(ZONES[PRIMARY])
    ]
    nodes = json.dumps({"InstanceType": "express.m7g.large", "ClientSubnets": subnets})
    arn = aws(
        *("kafka", "create-cluster", "--cluster-name", "cli", "--kafka-version", "3.9.x.kraft"),
        *("--number-of-broker-nodes", "3", "--broker-node-group-info", nodes),
        *("--client-authentication", "Sasl={Iam={Enabled=true}}"),
    )["ClusterArn"]
    described = ("kafka", "describe-cluster-v2", "--cluster-arn", arn)
    wait_for(lambda: aws(*described)["ClusterInfo"]["State"] == "ACTIVE")
    brokers = aws("kafka", "get-bootstrap-brokers", "--cluster-arn", arn)
    assert brokers["BootstrapBrokerStringSaslIam"].count(":9098") == 3
    assert aws("kafka", "list-clusters", "--region", "us-east-2")["ClusterInfoList"] == []
