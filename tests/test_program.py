"""The whole program, both stacks in every direction: what is there, what a direction adds, what is exported.

What no unit test can prove: that the engine plans the switch of a direction without touching anything else, and that
the provider takes the inputs. The tests in `tests/engine/` run the real engine for that.
"""

import json
from collections import Counter
from typing import Any, Final

import pytest

from tests.recording import ACCOUNT, DIRECTIONS, EVERYTHING, STACKS, Resource, Run, run_program

REGIONS: Final = {"primary": "us-east-1", "secondary": "us-east-2"}

ALWAYS: Final = Counter(
    {
        "Network": 1,
        "ExpressCluster": 1,
        "Connectivity": 1,
        "Topics": 1,
        "Monitoring": 1,
        "KafkaClient": 1,
        "ec2.Vpc": 1,
        "ec2.Subnet": 4,
        "ec2.InternetGateway": 1,
        "ec2.RouteTable": 1,
        "ec2.Route": 1,
        "ec2.RouteTableAssociation": 1,
        "ec2.SecurityGroup": 4,
        "ec2.Instance": 1,
        "vpc.SecurityGroupIngressRule": 3,
        "vpc.SecurityGroupEgressRule": 4,
        "iam.Role": 1,
        "iam.RolePolicy": 1,
        "iam.RolePolicyAttachment": 1,
        "iam.InstanceProfile": 1,
        "kms.Key": 1,
        "kms.Alias": 1,
        "msk.Cluster": 1,
        "msk.ClusterPolicy": 1,
        "cloudwatch.LogGroup": 1,
        "cloudwatch.MetricAlarm": 17,
        "cloudwatch.Dashboard": 1,
    }
)

WITH_A_REPLICATOR: Final = Counter(
    {
        "Replicator": 1,
        "ReplicatorAlarms": 1,
        "msk.Replicator": 1,
        "iam.Role": 1,
        "iam.RolePolicy": 1,
        "cloudwatch.LogGroup": 1,
        "cloudwatch.MetricAlarm": 13,
    }
)

HOSTS: Final = {
    ("primary", "primary-to-secondary"): False,
    ("primary", "bidirectional"): True,
    ("primary", "secondary-to-primary"): True,
    ("secondary", "primary-to-secondary"): True,
    ("secondary", "bidirectional"): True,
    ("secondary", "secondary-to-primary"): False,
}

UNTAGGED: Final = {
    "ec2.Route",
    "ec2.RouteTableAssociation",
    "iam.RolePolicy",
    "iam.RolePolicyAttachment",
    "kms.Alias",
    "msk.ClusterPolicy",
    "msk.Topic",
    "cloudwatch.Dashboard",
    "sns.TopicSubscription",
}
"""Types that have no tags."""


@pytest.fixture(params=[*HOSTS], ids="-".join)
def run(request: pytest.FixtureRequest) -> Run:
    stack, direction = request.param
    return run_program(stack, direction)


def components(run: Run) -> list[Resource]:
    return [r for r in run.resources if ":index:" in r.typ]


def of_aws(run: Run) -> list[Resource]:
    return [r for r in run.resources if r.typ.startswith("aws:")]


@pytest.mark.parametrize(("stack", "direction"), HOSTS)
def test_a_stack_holds_exactly_this(stack: str, direction: str) -> None:
    hosts = HOSTS[stack, direction]
    assert run_program(stack, direction).kinds() == ALWAYS + (WITH_A_REPLICATOR if hosts else Counter())


@pytest.mark.parametrize("stack", STACKS)
def test_the_direction_changes_nothing_but_the_replicator_and_its_alarms(stack: str) -> None:
    def rest(direction: str) -> dict[str, Resource]:
        all_ = run_program(stack, direction).resources
        return {r.urn: r for r in all_ if "Replicator" not in r.urn.split("::")[2].split("$")[0]}

    assert rest("primary-to-secondary") == rest("bidirectional") == rest("secondary-to-primary")


@pytest.mark.parametrize("stack", STACKS)
def test_the_replicator_a_stack_hosts_is_the_same_in_both_directions_that_have_it(stack: str) -> None:
    hosting = [run_program(stack, direction) for direction in DIRECTIONS if HOSTS[stack, direction]]
    first, second = (sorted(run.resources, key=lambda r: r.urn) for run in hosting)
    assert first == second


def test_the_other_stacks_direction_changes_no_resource_of_this_one() -> None:
    runs = [run_program("secondary", peer_direction=direction) for direction in DIRECTIONS[::2]]
    first, *others = ({r.urn: r for r in run.resources} for run in runs)
    assert all(other == first for other in others)


def test_both_stacks_are_alike_but_for_role_and_region() -> None:
    """A standby that lacks something of the primary is found when it is needed."""

    def shape(stack: str) -> Counter[tuple[str, str, str]]:
        run = run_program(stack, "bidirectional", **EVERYTHING)
        return Counter(
            (r.kind, r.name.replace(stack, "this"), r.parent_kind)
            for r in of_aws(run)
            if "Replicator" not in r.parent_kind
        )

    assert shape("primary") == shape("secondary")
    assert shape("primary").total() > 50


def test_every_resource_belongs_to_a_component_and_every_component_to_the_stack(run: Run) -> None:
    assert {r.parent_kind for r in components(run)} == {"Stack"}
    assert {r.parent_kind for r in of_aws(run)} == {r.kind for r in components(run)} - {"Topics"}


def test_every_type_is_there_once_everything_is_on() -> None:
    run = run_program("secondary", "bidirectional", **EVERYTHING)
    added = run.kinds() - ALWAYS - WITH_A_REPLICATOR
    assert added == {
        "msk.Topic": 2,
        "sns.Topic": 1,
        "sns.TopicSubscription": 1,
        # Two more mechanisms for the clients' group, and all three for each of two networks.
        "vpc.SecurityGroupIngressRule": 8,
        "vpc.SecurityGroupEgressRule": 2,
    }


def test_without_a_client_there_is_no_way_from_or_to_the_internet() -> None:
    run = run_program("primary", client=False)
    assert ALWAYS - run.kinds() == {
        "KafkaClient": 1,
        "ec2.Subnet": 1,
        "ec2.InternetGateway": 1,
        "ec2.RouteTable": 1,
        "ec2.Route": 1,
        "ec2.RouteTableAssociation": 1,
        "ec2.SecurityGroup": 1,
        "ec2.Instance": 1,
        "vpc.SecurityGroupEgressRule": 1,
        "iam.Role": 1,
        "iam.RolePolicy": 1,
        "iam.RolePolicyAttachment": 1,
        "iam.InstanceProfile": 1,
    }
    assert run.kinds() - ALWAYS == {}
    assert run.exports["clientInstanceId"] is None
    assert "0.0.0.0/0" not in json.dumps([r.inputs for r in run.resources])


def test_no_resource_names_a_region_or_a_provider_of_its_own(run: Run) -> None:
    """The stack's default provider decides both: a forgotten one could not be told from a wrong one."""
    assert [r.urn for r in of_aws(run) if "region" in r.inputs] == []
    assert {r.provider for r in of_aws(run)} == {""}


def test_only_the_replicator_knows_of_the_other_region(run: Run) -> None:
    """So that nothing else of a stack depends on a Region that may be down."""
    other = next(region for region in REGIONS.values() if region != run.region)
    knowing = {r.urn.split("::")[2].split("$")[0] for r in of_aws(run) if other in json.dumps(r.inputs)}
    assert knowing <= {"msk-dr:index:Replicator"}


def test_everything_that_can_have_tags_tells_its_pair_and_role() -> None:
    run = run_program("secondary", "bidirectional", **EVERYTHING)
    for resource in of_aws(run):
        if resource.kind in UNTAGGED:
            assert "tags" not in resource.inputs
        else:
            expected = {"team": "data", "msk-dr:pair": "msk-dr", "msk-dr:role": "secondary"}
            assert expected.items() <= resource.inputs["tags"].items(), resource.urn


def test_what_cannot_be_made_again_is_protected_until_protection_is_off() -> None:
    def protected(**config: Any) -> list[str]:
        run = run_program("secondary", "bidirectional", **{**EVERYTHING, **config})
        return sorted(r.kind for r in run.resources if r.protect)

    assert protected() == ["kms.Key", "msk.Cluster", "msk.Topic", "msk.Topic"]
    assert protected(protect=False) == []


def test_the_logical_names_of_what_holds_data_stay_as_they_are() -> None:
    """A new logical name is a new resource, and the old one is deleted with its data, unless it becomes an alias."""
    run = run_program("secondary", "bidirectional", **EVERYTHING)
    kept = ("msk.Cluster", "msk.Topic", "msk.Replicator", "kms.Key", "ec2.Vpc", "ec2.Subnet", "ec2.SecurityGroup")
    assert [(r.kind, r.name) for kind in kept for r in run.of(kind)] == [
        ("msk.Cluster", "msk-dr-secondary"),
        ("msk.Topic", "msk-dr-secondary-orders"),
        ("msk.Topic", "msk-dr-secondary-payments.v1_eu-1"),
        ("msk.Replicator", "msk-dr-primary-to-secondary"),
        ("kms.Key", "msk-dr-secondary"),
        ("ec2.Vpc", "msk-dr-secondary"),
        ("ec2.Subnet", "msk-dr-secondary-private-a"),
        ("ec2.Subnet", "msk-dr-secondary-private-b"),
        ("ec2.Subnet", "msk-dr-secondary-private-c"),
        ("ec2.Subnet", "msk-dr-secondary-public"),
        ("ec2.SecurityGroup", "msk-dr-secondary"),
        ("ec2.SecurityGroup", "msk-dr-secondary-client"),
        ("ec2.SecurityGroup", "msk-dr-secondary-clients"),
        ("ec2.SecurityGroup", "msk-dr-secondary-replicator"),
    ]


@pytest.mark.parametrize(("stack", "direction"), HOSTS)
def test_a_stack_exports_what_others_need(stack: str, direction: str) -> None:
    exports = dict(run_program(stack, direction).exports)
    region, other = REGIONS[stack], next(name for name in STACKS if name != stack)
    assert exports.pop("clusterArn").startswith(f"arn:aws:kafka:{region}:{ACCOUNT}:cluster/msk-dr-{stack}/")
    assert [address.split(":")[1] for address in exports.pop("bootstrapBrokers").split(",")] == ["9098"] * 3
    assert exports.pop("bootstrapBrokersVpcConnectivity").split(":")[-1] == "14003"
    assert len(set(exports.pop("subnetIds"))) == 3
    ids = {key: exports.pop(key).split("-")[0] for key in [*exports] if key.endswith("Id")}
    assert ids == {
        "vpcId": "vpc",
        "routeTableId": "rtb",
        "clusterSecurityGroupId": "sg",
        "clientSecurityGroupId": "sg",
        "clientInstanceId": "i",
    }
    properties = dict(line.split("=", 1) for line in exports.pop("clientProperties").splitlines())
    assert properties["bootstrap.servers"].endswith(f".kafka.{region}.amazonaws.com:9098")
    assert f'awsStsRegion="{region}"' in properties["sasl.jaas.config"]
    arn, name = exports.pop("replicatorArn"), exports.pop("replicatorName")
    if HOSTS[stack, direction]:
        assert name == f"msk-dr-{other}-to-{stack}"
        assert arn.startswith(f"arn:aws:kafka:{region}:{ACCOUNT}:replicator/{name}/")
    else:
        assert (arn, name) == (None, None)
    assert exports == {
        "role": stack,
        "direction": direction,
        "region": region,
        "clusterName": f"msk-dr-{stack}",
        "kafkaVersion": "3.9.x.kraft",
        "dashboardName": f"msk-dr-{stack}",
    }


@pytest.mark.parametrize(("stack", "direction"), HOSTS)
def test_a_stack_asks_aws_only_for_what_it_needs(stack: str, direction: str) -> None:
    run = run_program(stack, direction)
    expected = ["aws:index/getAvailabilityZones:getAvailabilityZones", "aws:ssm/getParameter:getParameter"]
    if HOSTS[stack, direction]:
        expected.append("aws:index/getCallerIdentity:getCallerIdentity")
    assert sorted(token for token, _ in run.calls) == sorted(expected)


def test_only_a_primary_stack_without_a_replicator_comes_up_before_the_other_one() -> None:
    assert run_program("primary").reads == ()
    assert run_program("primary", "bidirectional").reads == ("organization/msk-dr/secondary",)
    assert run_program("secondary").reads == ("organization/msk-dr/primary",)
    assert run_program("secondary", "secondary-to-primary", peer_outputs={}).kinds() == ALWAYS
