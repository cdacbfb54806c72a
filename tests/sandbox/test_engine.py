"""The real Pulumi engine on the sandbox: what in-process tests cannot know about the engine's side."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.cli import Pulumi, PulumiError, Result
from sandbox.server import Sandbox
from tests.sandbox.kit import EAST, OHIO

pytestmark = pytest.mark.engine

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
PROGRAM = Path(__file__).parent / "program"

Stack = Callable[..., str]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture(scope="module")
def pulumi(sandbox: Sandbox) -> Pulumi:
    return Pulumi(PROGRAM, sandbox.folder / "projects", sandbox.env)


@pytest.fixture
def stack(sandbox: Sandbox, pulumi: Pulumi) -> Iterator[Stack]:
    """Makes a stack of the program, and takes it down again."""
    names: list[str] = []

    def make(scene: str, **values: Any) -> str:
        pulumi.init(scene, {"aws:region": EAST, "scene": scene, **values})
        names.append(scene)
        return scene

    yield make
    sandbox.clear_faults()
    for name in names:
        pulumi.cancel(name)
        pulumi.destroy(name).check()


def messages(result: Result) -> str:
    return "\n".join(diagnostic.message for diagnostic in result.diagnostics)


def test_a_cluster_comes_up_stays_and_goes(sandbox: Sandbox, pulumi: Pulumi, stack: Stack) -> None:
    name = stack("cluster")
    preview = pulumi.preview(name).check()
    assert len(preview.changed("create")) == 8
    sandbox.forget_calls()
    pulumi.up(name).check()
    outputs = pulumi.outputs(name)
    assert outputs["arn"].startswith("arn:aws:kafka:us-east-1:123456789012:cluster/orders-")
    assert outputs["brokers"].count(":9098") == 3
    assert outputs["privateBrokers"].count(":1400") == 3
    assert sandbox.calls(OHIO) == []
    for nothing in (pulumi.preview(name), pulumi.refresh(name), pulumi.up(name)):
        assert nothing.check().changes == []
    pulumi.set_config(name, "days", "30")
    changed = pulumi.up(name).check()
    assert [(step.op, step.name, step.diffs) for step in changed.changes] == [("update", "logs", ("retentionInDays",))]


def test_a_changed_group_replaces_the_cluster_and_what_hangs_on_it(pulumi: Pulumi, stack: Stack) -> None:
    name = stack("cluster", clusterName="orders")
    pulumi.up(name).check()
    pulumi.set_config(name, "groupDescription", "other")
    preview = pulumi.preview(name).check()
    replaced = {step.name: step for step in preview.changes if step.op in ("replace", "delete-replaced")}
    assert {"brokers", "orders"} <= set(replaced)
    up = pulumi.up(name).check()
    order = [(step.op, step.type.rpartition(":")[2]) for step in up.changes]
    deleted, created = order.index(("delete-replaced", "Cluster")), order.index(("create-replacement", "Cluster"))
    assert deleted < created, "a cluster named by the program is deleted first"


def test_a_mistake_is_shown_with_its_path_and_a_hint(sandbox: Sandbox, pulumi: Pulumi, stack: Stack) -> None:
    name = stack("mistakes")
    sandbox.forget_calls()
    result = pulumi.preview(name)
    assert not result.ok
    said = messages(result)
    assert "ingress[0].cidr_block is not a property; did you mean cidrBlocks?" in said
    assert "description is the number 3.9; it must be a string" in said
    assert "aws:ec2/securityGroup:SecurityGroup resource 'group'" in said
    assert {call.operation for call in sandbox.calls(EAST)} == {"sts:GetCallerIdentity"}


def test_another_type_is_refused_by_name(pulumi: Pulumi, stack: Stack) -> None:
    result = pulumi.preview(stack("unserved"))
    assert not result.ok
    assert "aws:ssm/parameter:Parameter is not served by the sandbox" in messages(result)


def test_replacements_come_in_the_order_that_names_allow(pulumi: Pulumi, stack: Stack) -> None:
    name = stack("names")
    pulumi.up(name).check()
    pulumi.set_config(name, "class", "INFREQUENT_ACCESS")
    pulumi.set_config(name, "days", "30")
    up = pulumi.up(name).check()
    order = {
        which: [step.op for step in up.changes if step.name == which and step.op != "replace"]
        for which in ("named", "automatic", "option")
    }
    assert order["named"] == ["delete-replaced", "create-replacement"]
    assert order["automatic"] == ["create-replacement", "delete-replaced"]
    assert order["option"] == ["create-replacement", "delete-replaced"], "replace_on_changes reads the detailed diff"


def test_a_secret_stays_one_in_the_state(sandbox: Sandbox, pulumi: Pulumi, stack: Stack) -> None:
    pulumi.init("secret", {})
    pulumi.run("config", "set", "owner", "--secret", "--stack", "secret", "--", "hunter2").check()
    name = stack("secret")
    pulumi.up(name).check()
    assert pulumi.outputs(name)["owner"] == "hunter2"
    state = pulumi.run("stack", "export", "--stack", name).check().output
    assert "hunter2" not in state
    (group,) = sandbox.resources(EAST, LOG_GROUP).values()
    assert group["tags"] == {"owner": "hunter2", "open": "y"}


def test_each_resource_lands_in_its_region(sandbox: Sandbox, pulumi: Pulumi, stack: Stack) -> None:
    name = stack("regions")
    pulumi.up(name).check()
    outputs = pulumi.outputs(name)
    for which, region in (("default", EAST), ("provider", OHIO), ("property", "us-west-2")):
        assert outputs[which].split(":")[3] == region
        assert len(sandbox.resources(region, "aws:ec2/vpc:Vpc")) == 1
    assert pulumi.preview(name).check().changes == []


def test_a_region_that_is_down_fails_an_update_and_one_that_is_healed_does_not(
    sandbox: Sandbox, pulumi: Pulumi, stack: Stack
) -> None:
    name = stack("many")
    sandbox.fail(EAST)
    result = pulumi.up(name)
    assert not result.ok
    assert "ServiceUnavailable" in messages(result)
    with pytest.raises(PulumiError, match="ended with"):
        result.check()
    sandbox.heal(EAST)
    assert len(pulumi.up(name).check().changed("create")) == 8


def test_an_engine_that_dies_before_a_call_leaves_nothing_in_the_way(
    sandbox: Sandbox, pulumi: Pulumi, stack: Stack
) -> None:
    name = stack("many")
    sandbox.crash_on("logs:CreateLogGroup", nth=4)
    assert pulumi.up(name, "--parallel", "1").code == -signal.SIGKILL
    assert len(sandbox.resources(EAST, LOG_GROUP)) == 3
    assert "the stack is currently locked" in pulumi.up(name).output
    pulumi.cancel(name)
    again = pulumi.up(name).check()
    assert len(again.changed("create")) == 5
    assert len(sandbox.resources(EAST, LOG_GROUP)) == 8


def test_an_engine_that_dies_after_a_call_leaves_what_it_never_heard_of(
    sandbox: Sandbox, pulumi: Pulumi, stack: Stack
) -> None:
    name = stack("many")
    sandbox.crash_on("logs:CreateLogGroup", name="logs-3", when="after")
    assert pulumi.up(name, "--parallel", "1").code == -signal.SIGKILL
    assert "logs-3" in sandbox.resources(EAST, LOG_GROUP)
    pulumi.cancel(name)
    again = pulumi.up(name)
    assert "creating CloudWatch Logs Log Group (logs-3)" in messages(again)
    assert "ResourceAlreadyExistsException" in messages(again)
    sandbox.forget(EAST, LOG_GROUP, "logs-3")
    pulumi.up(name).check()


def test_a_resource_that_was_half_made_is_kept_with_its_error(sandbox: Sandbox, pulumi: Pulumi, stack: Stack) -> None:
    name = stack("cluster")
    sandbox.fail_once("kafka:UpdateConnectivity")
    result = pulumi.up(name)
    assert not result.ok
    assert "UpdateConnectivity" in messages(result)
    (state,) = [resource for resource in pulumi.export(name) if resource["type"] == "aws:msk/cluster:Cluster"]
    assert "UpdateConnectivity" in state["initErrors"][0]
    assert "orders" in pulumi.up(name).check().changed("update")
    assert pulumi.outputs(name)["privateBrokers"].count(":1400") == 3
