"""An update that dies half-way, and what brings the stack back.

A killed engine leaves its lock, which `pulumi cancel` removes, and a note of what it was creating. The next `up` goes
on from there. One thing it cannot know: whether a creation that was asked for was also carried out. Where it was, and
the thing has a name of its own, the next `up` is refused; `pulumi import` makes it known. The warning about unfinished
creations stays until `pulumi refresh --clear-pending-creates`. (`--import-pending-creates` only forgets them: Pulumi
3.259, self-managed state.)
"""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.cli import Result
from sandbox.cloud import Call
from tests.engine.deployment import CLUSTER, REGIONS, REPLICATOR, Deployment, assert_same, changes, warnings

pytestmark = pytest.mark.engine

PENDING = "pending operations from previous deployment"


def die(deployment: Deployment, stack: str, *arguments: str) -> None:
    """An update during which the engine is killed, as asked for before; then the lock that it left is removed."""
    result = deployment.pulumi.up(stack, *arguments)
    assert result.code == -9, f"the engine was to be killed:\n{result.output}"
    assert list(deployment.sandbox.folder.glob("backend/.pulumi/locks/**/*.json")), "a killed engine leaves its lock"
    deployment.pulumi.run("cancel", "--yes", "--stack", stack).check()


def make_known(deployment: Deployment, stack: str, type_: str, name: str, component: str) -> Result:
    """Imports what was created at AWS, but not written down, into its place in the program."""
    (id_,) = deployment.sandbox.resources(REGIONS[stack], type_)
    parent = f"parent=urn:pulumi:{stack}::msk-dr::{component}::{name}"
    return deployment.pulumi.engine(
        "import", stack, type_, name, id_, "--parent", parent, "--yes", "--skip-preview", "--generate-code=false"
    ).check()


def forget_pending(deployment: Deployment, stack: str) -> None:
    deployment.pulumi.refresh(stack, "--clear-pending-creates").check()
    assert not deployment.pending(stack)


def test_an_update_that_dies_again_and_again_ends_where_an_undisturbed_one_does(
    nothing: Deployment, template_state: Callable[[str], dict[str, Any]]
) -> None:
    """One creation at a time, each time killed before it is carried out: nothing is made twice."""
    for nth in (1, 8, 20):
        nothing.sandbox.crash_on("create", nth=nth)
        die(nothing, "primary", "--parallel", "1")
    result = nothing.up("primary")
    assert {step.op for step in result.changes} == {"create"}
    assert any(PENDING in warning for warning in warnings(result))
    assert len(nothing.pending("primary")) == 3
    forget_pending(nothing, "primary")
    assert_same(nothing.state("primary"), template_state("primary"), "after the last update")
    assert not any(PENDING in warning for warning in warnings(nothing.settled("primary")))
    assert {
        len(ids) for type_, ids in nothing.existing().items() if type_ in ("aws:ec2/vpc:Vpc", "aws:kms/key:Key")
    } == {1}


def test_an_update_stopped_by_ctrl_c_is_simply_continued(
    nothing: Deployment, template_state: Callable[[str], dict[str, Any]]
) -> None:
    """Asked to stop, the engine waits for what it has begun, writes it down and takes its lock away."""

    def stop(call: Call) -> None:
        if call.operation == "kafka:CreateCluster" and nothing.pulumi.process is not None:
            nothing.pulumi.process.send_signal(signal.SIGINT)

    nothing.sandbox.on_call(stop)
    assert not nothing.pulumi.up("primary").ok
    nothing.sandbox.on_call(None)
    (cluster,) = nothing.sandbox.resources("us-east-1", CLUSTER)
    assert not nothing.pending("primary")

    assert {step.op for step in nothing.up("primary").changes} == {"create"}
    assert [*nothing.sandbox.resources("us-east-1", CLUSTER)] == [cluster]
    nothing.settled("primary")
    assert_same(nothing.state("primary"), template_state("primary"), "after the second update")


def test_a_cluster_created_while_the_engine_died_is_made_known_and_finished_in_place(
    nothing: Deployment, template_state: Callable[[str], dict[str, Any]]
) -> None:
    """It takes half an hour to create, so it is kept: what is still missing, multi-VPC connectivity, is turned on."""
    nothing.sandbox.crash_on("kafka:CreateCluster", when="after")
    die(nothing, "primary", "--parallel", "1")
    assert nothing.pending("primary") == ["msk-dr-primary"]
    make_known(nothing, "primary", CLUSTER, "msk-dr-primary", "msk-dr:index:ExpressCluster")

    result = nothing.up("primary")
    assert [step.op for step in result.changes if step.type == CLUSTER] == ["update"]
    assert not {step.op for step in result.changes} - {"create", "update"}
    (cluster,) = nothing.sandbox.resources("us-east-1", CLUSTER).values()
    connectivity = cluster["brokerNodeGroupInfo"]["connectivityInfo"]
    assert connectivity["vpcConnectivity"]["clientAuthentication"]["sasl"]["iam"]
    forget_pending(nothing, "primary")
    nothing.settled("primary")
    assert_same(nothing.state("primary"), template_state("primary"), "after the import")


def test_a_replicator_created_while_the_engine_died_is_refused_a_second_time_until_it_is_made_known(
    primary: Deployment, template_state: Callable[[str], dict[str, Any]]
) -> None:
    name = "msk-dr-primary-to-secondary"
    primary.sandbox.crash_on("kafka:CreateReplicator", when="after")
    die(primary, "secondary", "--parallel", "1")
    refused = primary.pulumi.up("secondary")
    assert not refused.ok
    assert "ConflictException: A resource with this name already exists." in refused.output
    assert f"{REPLICATOR}::{name}, interrupted while creating" in refused.output

    make_known(primary, "secondary", REPLICATOR, name, "msk-dr:index:Replicator")
    result = primary.up("secondary")
    assert {step.op for step in result.changes} == {"create"}
    forget_pending(primary, "secondary")
    primary.settled("secondary")
    assert_same(primary.state("secondary"), template_state("secondary"), "after the import")


@pytest.mark.parametrize(
    ("values", "operation"),
    [
        ({"rpoSeconds": 30}, "update"),
        ({"startingPosition": "LATEST"}, "kafka:DeleteReplicator"),
        ({"direction": "secondary-to-primary"}, "kafka:DeleteReplicator"),
    ],
    ids=["updates", "replaces", "deletes"],
)
def test_an_update_that_dies_while_it_changes_what_exists_is_finished_by_the_next_one(
    values: dict[str, object], operation: str, pair: Deployment
) -> None:
    pair.configure("secondary", **values)
    pair.sandbox.crash_on(operation, when="after")
    die(pair, "secondary")
    assert pair.up("secondary").changes
    assert not pair.pending("secondary")
    pair.settled("secondary")
    replicators = pair.sandbox.resources("us-east-2", REPLICATOR)
    assert len(replicators) == (0 if "direction" in values else 1)


def test_a_call_that_fails_once_is_made_up_for_by_the_next_update(pair: Deployment) -> None:
    """Without a pause in between, as the failed update ended in order."""
    pair.configure("primary", direction="bidirectional")
    pair.sandbox.fail_once("kafka:CreateReplicator")
    failed = pair.pulumi.up("primary")
    assert not failed.ok
    assert "StatusCode: 500" in failed.output
    assert pair.pulumi.outputs("primary")["clusterArn"], "a failed update keeps what the other stack reads"
    result = pair.up("primary")
    assert ("create", REPLICATOR, "msk-dr-secondary-to-primary") in changes(result)
    pair.settled("primary")
