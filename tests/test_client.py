"""The client instance: how it is reached, what it may do, and what its start-up script writes.

What no unit test can prove: that the packages and downloads are there, that Session Manager reaches the instance, and
that the tools reach the brokers.
"""

import json
import shlex
import subprocess
from typing import Any, Final

import pulumi
import pytest

from components.client import KafkaClient, client_properties
from components.limits import EXPRESS_KAFKA_VERSIONS
from tests.recording import ACCOUNT, STACKS, Resource, Run, record, run_program, settings_of

REGIONS: Final = {"primary": "us-east-1", "secondary": "us-east-2"}


ARN: Final = f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/msk-dr-primary/0f1e2d3c-0f1e-0f1e-0f1e-0f1e2d3c4b5a-7"


def alone(region: str | None = None, **config: Any) -> Run:
    """The component alone."""
    settings = settings_of("primary", region=region, **config).client
    assert settings is not None
    arn = pulumi.Output.from_input(ARN)
    return record(
        lambda: KafkaClient(
            "c", settings, vpc_id="vpc-1", subnet_id="subnet-1", client_security_group_id="sg-1", cluster_arn=arn
        )
    )


def instance(stack: str = "primary") -> Resource:
    return run_program(stack).one("ec2.Instance")


def user_data(stack: str = "primary") -> str:
    text: str = instance(stack).inputs["userData"]
    return text


def variables(script: str) -> dict[str, str]:
    """Variables that the script's head sets, as the shell reads them."""
    head = script.split("\n# Makes the instance", 1)[0]
    return dict(assignment.split("=", 1) for assignment in shlex.split(head, comments=True))


def group(run: Run) -> Resource:
    return run.one("ec2.SecurityGroup", f"{run.exports['clusterName']}-client")


def test_nothing_reaches_it_and_it_reaches_https_and_the_brokers() -> None:
    run = run_program("primary")
    own = group(run)
    to_it = [r for r in run.of("vpc.SecurityGroupIngressRule") if r.inputs["securityGroupId"] == own.id]
    assert to_it == []
    (out,) = [r for r in run.of("vpc.SecurityGroupEgressRule") if r.inputs["securityGroupId"] == own.id]
    assert (out.inputs["fromPort"], out.inputs["toPort"], out.inputs["ipProtocol"]) == (443, 443, "tcp")
    member_of = run.one("ec2.Instance").inputs["vpcSecurityGroupIds"]
    assert member_of == [own.id, run.exports["clientSecurityGroupId"]]


def test_it_has_no_key_pair_and_asks_for_imdsv2_and_encrypts_its_disk() -> None:
    inputs = instance().inputs
    assert inputs.keys() & {"keyName", "userDataBase64"} == set()
    # One hop: a container on the instance gets no credentials.
    assert inputs["metadataOptions"] == {"httpTokens": "required", "httpPutResponseHopLimit": 1}
    assert inputs["rootBlockDevice"]["encrypted"] is True


def test_it_stands_in_the_public_subnet() -> None:
    run = run_program("primary")
    public = run.one("ec2.Subnet", "msk-dr-primary-public")
    assert run.one("ec2.Instance").inputs["subnetId"] == public.id
    assert run.one("ec2.Instance").inputs["associatePublicIpAddress"] is True


def test_a_newer_image_does_not_replace_it_and_another_script_does() -> None:
    made = instance()
    assert made.ignore_changes == ("ami",)
    assert made.inputs["userDataReplaceOnChange"] is True
    assert made.inputs["ami"] == "ami-of-us-east-1"
    ((_, asked),) = [call for call in run_program("primary").calls if call[0].endswith("getParameter")]
    assert asked == {"name": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"}


def test_it_starts_only_when_it_may_do_what_its_script_does() -> None:
    run = run_program("primary")
    made = run.one("ec2.Instance")
    (policy,) = [r for r in run.of("iam.RolePolicy") if r.parent_kind == "KafkaClient"]
    egress = run.one("vpc.SecurityGroupEgressRule", "msk-dr-primary-client")
    for awaited in (policy, run.one("iam.RolePolicyAttachment"), run.one("iam.InstanceProfile"), egress):
        assert run.waits_for(made, awaited)


@pytest.mark.parametrize("stack", STACKS)
def test_its_role_may_use_its_own_regions_cluster_only(stack: str) -> None:
    run = run_program(stack)
    (policy,) = [r for r in run.of("iam.RolePolicy") if r.parent_kind == "KafkaClient"]
    arn = run.exports["clusterArn"]
    topics, groups = (arn.replace(":cluster/", f":{kind}/") + "/*" for kind in ("topic", "group"))
    statements = {s["Sid"]: s for s in json.loads(policy.inputs["policy"])["Statement"]}
    assert {sid: statement["Resource"] for sid, statement in statements.items()} == {
        "Cluster": arn,
        "Topics": topics,
        "Groups": groups,
        "BootstrapBrokers": "*",
    }
    # Reads, writes and creates; deletes and alters nothing.
    actions = {
        action for statement in statements.values() for action in [statement["Action"]] if isinstance(action, str)
    }
    actions |= {action for s in statements.values() if isinstance(s["Action"], list) for action in s["Action"]}
    assert not any(word in action for action in actions for word in ("Delete", "AlterCluster", "AlterTopic", "*"))


@pytest.mark.parametrize(
    ("region", "arn"),
    [
        ("us-east-1", "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
        ("us-gov-west-1", "arn:aws-us-gov:iam::aws:policy/AmazonSSMManagedInstanceCore"),
    ],
)
def test_session_manager_is_allowed_by_the_managed_policy_of_the_partition(region: str, arn: str) -> None:
    run = alone(region)
    attachment, role = run.one("iam.RolePolicyAttachment"), run.one("iam.Role")
    assert attachment.inputs["policyArn"] == arn
    assert attachment.inputs["role"] == role.id
    (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


@pytest.mark.parametrize("stack", STACKS)
def test_its_script_is_bash_that_stops_at_the_first_error(stack: str) -> None:
    script = user_data(stack)
    assert script.startswith("#!/bin/bash\n")
    assert "set -euo pipefail" in script
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert len(script.encode()) < 16 * 1024  # the most that EC2 takes


@pytest.mark.parametrize("stack", STACKS)
def test_its_script_knows_region_cluster_and_versions_and_no_broker(stack: str) -> None:
    """The brokers' addresses change with the brokers; a script that holds them would replace the instance."""
    run = run_program(stack)
    script = run.one("ec2.Instance").inputs["userData"]
    set_ = variables(script)
    assert set_.pop("CLIENT_PROPERTIES") == client_properties(REGIONS[stack])
    assert set_ == {
        "REGION": REGIONS[stack],
        "CLUSTER_ARN": run.exports["clusterArn"],
        "KAFKA_VERSION": "3.9.2",
        "IAM_AUTH_VERSION": "2.3.5",
    }
    brokers = run.exports["bootstrapBrokers"].split(",")
    assert not any(broker.split(":")[0] in script for broker in brokers)
    assert "aws kafka get-bootstrap-brokers --region $REGION --cluster-arn $CLUSTER_ARN" in script


def test_its_tools_are_of_the_clusters_version() -> None:
    for version, release in EXPRESS_KAFKA_VERSIONS.items():
        script = alone(kafkaVersion=version).one("ec2.Instance").inputs["userData"]
        assert variables(script)["KAFKA_VERSION"] == release


def test_what_it_downloads_comes_over_https_and_kafka_is_checked() -> None:
    script = user_data()
    assert "http://" not in script
    assert "sha512sum --check" in script


@pytest.mark.parametrize("region", ["us-east-1", "us-east-2"])
def test_its_properties_are_for_iam_in_its_own_region(region: str) -> None:
    """Without the Region, the mechanism would ask another Region's STS when it is given a role to take."""
    properties = dict(line.split("=", 1) for line in client_properties(region).splitlines())
    assert properties == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "AWS_MSK_IAM",
        "sasl.jaas.config": f'software.amazon.msk.auth.iam.IAMLoginModule required awsStsRegion="{region}";',
        "sasl.client.callback.handler.class": "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
    }


def test_the_helper_for_the_brokers_runs_in_the_pinned_region(tmp_path: Any) -> None:
    """The part of the script that writes files is run, with the system's folders moved away."""
    script = user_data()
    head, body = script.split("set -euo pipefail\n", 1)
    writes = body[body.index("printf '%s' \"$CLIENT_PROPERTIES\"") :]
    for folder in ("/etc/msk-dr", "/etc/profile.d", "/usr/local/bin"):
        (tmp_path / folder.strip("/")).mkdir(parents=True)
        writes = writes.replace(folder, f"{tmp_path}{folder}")
    subprocess.run(["bash", "-c", f"set -euo pipefail\n{head}\n{writes}"], check=True)

    assert (tmp_path / "etc/msk-dr/client_iam.properties").read_text() == client_properties("us-east-1")
    helper = tmp_path / "usr/local/bin/msk-brokers"
    arn = run_program("primary").exports["clusterArn"]
    assert f"--region us-east-1 --cluster-arn {arn} " in helper.read_text()
    assert helper.stat().st_mode & 0o777 == 0o755
    profile = (tmp_path / "etc/profile.d/msk-dr.sh").read_text()
    assert profile == 'export AWS_REGION=us-east-1 PATH="$PATH:/opt/kafka/bin"\n'
