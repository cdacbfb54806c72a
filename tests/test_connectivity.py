"""Who may reach the brokers: every rule of every security group, and the cluster policy.

What no unit test can prove: that these rules are enough for a Replicator to be created and to run.
"""

import ipaddress
import json

import pytest

from tests.recording import EVERYTHING, STACKS, Run, run_program


def rules(run: Run, kind: str) -> set[tuple[str, int, str]]:
    """Rules as (group, port, other end), groups by their logical names."""
    names = {group.id: group.name.removeprefix("msk-dr-") for group in run.of("ec2.SecurityGroup")}
    found = run.of(f"vpc.SecurityGroup{kind}Rule")
    result = set()
    for rule in found:
        inputs = rule.inputs
        assert inputs["ipProtocol"] == "tcp"
        assert inputs["fromPort"] == inputs["toPort"]
        other = names.get(inputs.get("referencedSecurityGroupId", "")) or inputs["cidrIpv4"]
        result.add((names[inputs["securityGroupId"]], inputs["fromPort"], other))
    assert len(result) == len(found)
    return result


def test_brokers_are_reached_with_iam_by_replicator_clients_and_each_other() -> None:
    run = run_program("primary")
    assert rules(run, "Ingress") == {
        ("primary", 9098, "primary-replicator"),
        ("primary", 9098, "primary-clients"),
        ("primary", 9098, "primary"),
    }
    assert rules(run, "Egress") == {
        ("primary-replicator", 9098, "primary"),
        ("primary-clients", 9098, "primary"),
        ("primary", 9098, "primary"),
        ("primary-client", 443, "0.0.0.0/0"),
    }


def test_each_mechanism_and_each_network_of_clients_adds_its_own_rules() -> None:
    run, plain = run_program("primary", "bidirectional", **EVERYTHING), run_program("primary")
    assert rules(run, "Ingress") - rules(plain, "Ingress") == {
        ("primary", 9096, "primary-clients"),
        ("primary", 9094, "primary-clients"),
        *(("primary", port, cidr) for port in (9098, 9096, 9094) for cidr in EVERYTHING["clientCidrs"]),
    }
    assert rules(run, "Egress") - rules(plain, "Egress") == {
        ("primary-clients", 9096, "primary"),
        ("primary-clients", 9094, "primary"),
    }


@pytest.mark.parametrize("stack", STACKS)
def test_no_rule_lets_the_world_in(stack: str) -> None:
    for rule in run_program(stack, "bidirectional", **EVERYTHING).of("vpc.SecurityGroupIngressRule"):
        assert "cidrIpv6" not in rule.inputs
        assert "prefixListId" not in rule.inputs
        if "referencedSecurityGroupId" not in rule.inputs:
            assert not ipaddress.IPv4Network(rule.inputs["cidrIpv4"]).is_global


def test_only_the_brokers_are_reached_at_all() -> None:
    """Nothing comes in to the client, the Replicator or the members of the clients' group."""
    assert {group for group, _, _ in rules(run_program("primary", "bidirectional", **EVERYTHING), "Ingress")} == {
        "primary"
    }


def test_no_group_has_rules_inside() -> None:
    for group in run_program("primary", "bidirectional", **EVERYTHING).of("ec2.SecurityGroup"):
        assert group.inputs.keys() & {"ingress", "egress"} == set(), group.name


@pytest.mark.parametrize("stack", STACKS)
def test_both_clusters_let_the_kafka_service_make_them_a_source(stack: str) -> None:
    run = run_program(stack)
    policy = run.one("msk.ClusterPolicy")
    arn = run.exports["clusterArn"]
    assert policy.inputs["clusterArn"] == arn
    assert json.loads(policy.inputs["policy"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ReplicatorSource",
                "Effect": "Allow",
                "Principal": {"Service": ["kafka.amazonaws.com"]},
                "Action": ["kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2"],
                "Resource": arn,
            }
        ],
    }


def test_a_new_cluster_gets_a_new_policy() -> None:
    """The provider would put the policy on the new cluster and go on reading the old one."""
    assert run_program("primary").one("msk.ClusterPolicy").replace_on_changes == ("clusterArn",)
