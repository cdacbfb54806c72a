"""`python -m sandbox.api` as a process, with the AWS CLI as its client."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from sandbox.api.__main__ import main
from tests.api.world import PRIMARY, ZONES

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


def test_ctrl_c_ends_it_in_order(folder: Path) -> None:
    process, endpoint = start(folder)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    with pytest.raises(URLError):
        urlopen(endpoint)


def test_help_tells_the_options() -> None:
    text = CliRunner().invoke(main, ["serve", "--help"]).output
    for option in ("--folder", "--port", "--create-seconds", "--update-seconds", "--delete-seconds", "--verbose"):
        assert option in text


def test_a_folder_that_is_in_use_is_told(folder: Path) -> None:
    folder.mkdir()
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = CliRunner().invoke(main, ["serve", "--folder", str(folder)])
    assert result.exit_code == 1
    assert f"folder is {folder}; another API works on it." in result.output


@pytest.mark.skipif(AWS is None, reason="the AWS CLI is not installed")
def test_the_aws_cli_uses_it_until_sigterm(folder: Path) -> None:
    process, endpoint = start(folder, "--create-seconds", "0")
    try:
        _use(endpoint)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()


def _use(endpoint: str) -> None:
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

    # The account's own default network will do.
    found = aws("ec2", "describe-subnets")["Subnets"]
    subnets = [subnet["SubnetId"] for subnet in found if subnet["AvailabilityZoneId"] in ZONES[PRIMARY]]
    nodes = json.dumps({"InstanceType": "express.m7g.large", "ClientSubnets": subnets})
    arn = aws(
        *("kafka", "create-cluster", "--cluster-name", "cli", "--kafka-version", "3.9.x.kraft"),
        *("--number-of-broker-nodes", "3", "--broker-node-group-info", nodes),
        *("--client-authentication", "Sasl={Iam={Enabled=true}}"),
    )["ClusterArn"]
    while aws("kafka", "describe-cluster-v2", "--cluster-arn", arn)["ClusterInfo"]["State"] != "ACTIVE":
        pass
    brokers = aws("kafka", "get-bootstrap-brokers", "--cluster-arn", arn)
    assert brokers["BootstrapBrokerStringSaslIam"].count(":9098") == 3
    assert aws("kafka", "list-clusters", "--region", "us-east-2")["ClusterInfoList"] == []
