"""What changes of a deployed pair do on real Kafka, and the way out after an engine that died or gave up."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cli import Result
from sandbox.kafka import DataPlane
from tests.engine.deployment import CLUSTER, FOR_TESTS, REGIONS, REPLICATOR, ROOT, Deployment, deployed, of
from tests.engine.test_interrupted import PENDING, die, forget_pending
from tests.kafka.clients import consume, everything, produce
from tests.kafka.conftest import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.engine]

EAST, OHIO = REGIONS["primary"], REGIONS["secondary"]
FORWARD, REVERSE = "msk-dr-primary-to-secondary", "msk-dr-secondary-to-primary"
COMPONENTS = {CLUSTER: "msk-dr:index:ExpressCluster", REPLICATOR: "msk-dr:index:Replicator"}
README = (ROOT / "README.md").read_text()
SYNC_SECONDS = 2
"""How often a Replicator here looks for settings of topics to copy."""


@dataclass(frozen=True)
class Pair:
    """Both stacks, the forward Replicator running; and what was seen while they were made with an engine that died."""

    deployment: Deployment
    cluster_import: Result
    primary_up: Result
    refused: Result
    replicator_import: Result
    secondary_up: Result

    @property
    def plane(self) -> DataPlane:
        return self.deployment.sandbox.plane

    def arn(self, stack: str) -> str:
        return str(self.deployment.pulumi.outputs(stack)["clusterArn"])

    def brokers(self, stack: str) -> str:
        return self.plane.bootstrap(self.arn(stack))

    def replicators(self) -> dict[str, str]:
        """Their ARNs by name, with the state after a space."""
        found = self.deployment.sandbox.api.status()["replicators"]
        return {each["ReplicatorArn"].split("/")[1]: each["ReplicatorArn"] for each in found}

    def state(self, name: str) -> str:
        found = self.deployment.sandbox.api.status()["replicators"]
        return next(str(each["ReplicatorState"]) for each in found if f"/{name}/" in each["ReplicatorArn"])

    def position(self, stack: str, group: str, topic: str) -> int | None:
        """Where the group stands in the topic's only partition."""
        offsets = self.plane.admin(self.arn(stack)).group_offsets(group)
        return next((each.committed for each in offsets if each.topic == topic), None)

    def calls(self, region: str, *wanted: str) -> list[str]:
        """Which of these calls were made for Replicators, in their order."""
        made = [call.operation.removeprefix("kafka:") for call in self.deployment.sandbox.calls(region)]
        return [operation for operation in made if operation in wanted]


def import_as_documented(deployment: Deployment, stack: str, type_: str, name: str, arn: str) -> Result:
    """The README's command, with the ARN filled in."""
    line = next(line for line in README.replace("\\\n", "").splitlines() if f"pulumi import {type_} {name} " in line)
    _, _, resource, logical, _, generate, _, parent = line.replace("$ ", "").split()
    assert (resource, logical) == (type_, name) and f"urn:pulumi:{stack}::" in parent and COMPONENTS[type_] in parent
    parent = parent.strip("'")
    arguments = (resource, logical, arn, generate, "--parent", parent, "--yes", "--skip-preview")
    return deployment.pulumi.engine("import", stack, *arguments).check()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with deployed(tmp_path_factory.mktemp("changes"), kafka=True) as deployment:
        sandbox = deployment.sandbox
        for stack in REGIONS:
            deployment.pulumi.init(stack)
            deployment.configure(stack, **FOR_TESTS, client=False)
        # The cluster is there with all that it needs when the engine dies, but nobody has written it down.
        sandbox.crash_on("kafka:GetBootstrapBrokers", region=EAST)
        die(deployment, "primary", "--parallel", "1")
        (cluster,) = sandbox.api.status()["clusters"]
        imported = import_as_documented(deployment, "primary", CLUSTER, "msk-dr-primary", cluster["ClusterArn"])
        primary_up = deployment.up("primary")
        forget_pending(deployment, "primary")

        # The Replicator is being made when the engine dies.
        sandbox.crash_on("kafka:DescribeReplicator", region=OHIO)
        die(deployment, "secondary", "--parallel", "1")
        refused = deployment.pulumi.up("secondary")
        (replicator,) = sandbox.api.status()["replicators"]
        made = import_as_documented(deployment, "secondary", REPLICATOR, FORWARD, replicator["ReplicatorArn"])
        secondary_up = deployment.up("secondary")
        forget_pending(deployment, "secondary")
        found = Pair(deployment, imported, primary_up, refused, made, secondary_up)
        eventually(lambda: found.state(FORWARD) == "RUNNING", "the Replicator runs")
        yield found


def test_a_cluster_that_nobody_wrote_down_is_made_known_as_it_is(pair: Pair) -> None:
    assert of(pair.cluster_import.steps, CLUSTER)[0].op == "import"
    assert not of(pair.primary_up.changes, CLUSTER)
    assert {step.op for step in pair.primary_up.changes} == {"create"}
    assert pair.deployment.pulumi.outputs("primary")["bootstrapBrokers"] == pair.plane.bootstrap(pair.arn("primary"))
    settled = pair.deployment.settled("primary")
    assert PENDING not in settled.output


def test_a_replicator_in_the_making_when_the_engine_died_is_refused_a_second_time_until_it_is_made_known(
    pair: Pair,
) -> None:
    assert not pair.refused.ok
    assert "ConflictException: A resource with this name already exists." in pair.refused.output
    assert of(pair.replicator_import.steps, REPLICATOR)[0].op == "import"
    assert not of(pair.secondary_up.changes, REPLICATOR)
    assert pair.replicators().keys() == {FORWARD}
    settled = pair.deployment.settled("secondary")
    assert PENDING not in settled.output
    pair.deployment.pulumi.refresh("secondary", "--expect-no-changes").check()


def test_lists_and_flags_of_a_replicator_change_in_place_and_kafka_does_what_they_say(pair: Pair) -> None:
    deployment, plane = pair.deployment, pair.plane
    source, target = pair.brokers("primary"), pair.brokers("secondary")
    before = pair.replicators()[FORWARD]
    for topic in ("orders", "audit"):
        plane.create_topic(pair.arn("primary"), topic, partitions=1)
        produce(source, topic, ["one"])
    for group in ("shop", "batch"):
        assert consume(source, "orders", group, 1) == ["one"]
    for topic in ("orders", "audit"):
        eventually(lambda topic=topic: topic in plane.list_topics(pair.arn("secondary")), f"{topic} there")  # type: ignore[misc]
        eventually(lambda topic=topic: everything(target, topic) == ["one"], f"{topic} copied")  # type: ignore[misc]
    for group in ("shop", "batch"):
        eventually(lambda group=group: pair.position("secondary", group, "orders") == 1, f"{group} placed")  # type: ignore[misc]

    deployment.sandbox.forget_calls()
    settings = {"topicsToExclude": ["audit"], "consumerGroupsToExclude": ["batch"], "copyTopicConfigurations": False}
    deployment.configure("secondary", **settings)
    result = deployment.up("secondary")
    assert [step.op for step in of(result.changes, REPLICATOR)] == ["update"]
    assert pair.calls(OHIO, "CreateReplicator", "UpdateReplicationInfo") == ["UpdateReplicationInfo"]
    deployment.settled("secondary")
    plane.alter_topic(pair.arn("primary"), "orders", configs={"retention.ms": "7200000"})
    for topic in ("orders", "audit"):
        produce(source, topic, ["two"])
    for group in ("shop", "batch"):
        assert consume(source, "orders", group, 1) == ["two"]
    eventually(lambda: pair.position("secondary", "shop", "orders") == 2, "shop placed anew")
    time.sleep(2 * SYNC_SECONDS)
    assert everything(target, "orders") == ["one", "two"]
    assert everything(target, "audit") == ["one"]
    assert pair.position("secondary", "batch", "orders") == 1
    assert "retention.ms" not in plane.describe_topic(pair.arn("secondary"), "orders").configs

    # The provider keeps an exclusion that is taken out: one that matches nothing has to take its place.
    nothing = {"topicsToExclude": ["^$"], "consumerGroupsToExclude": ["^$"]}
    deployment.configure("secondary", **{**settings, **nothing, "copyTopicConfigurations": None})
    assert [step.op for step in of(deployment.up("secondary").changes, REPLICATOR)] == ["update"]
    eventually(lambda: everything(target, "audit") == ["one", "two"], "the rest of audit")
    eventually(lambda: pair.position("secondary", "batch", "orders") == 2, "batch placed anew")
    eventually(
        lambda: plane.describe_topic(pair.arn("secondary"), "orders").configs.get("retention.ms") == "7200000",
        "the topic's settings copied",
    )
    assert everything(target, "orders") == ["one", "two"]
    assert pair.replicators() == {FORWARD: before}
    deployment.settled("secondary")


def test_a_replaced_replicator_is_deleted_first_and_the_new_one_remembers_nothing(pair: Pair) -> None:
    deployment, plane = pair.deployment, pair.plane
    source, target = pair.brokers("primary"), pair.brokers("secondary")
    plane.create_topic(pair.arn("primary"), "invoices", partitions=1)
    produce(source, "invoices", ["one", "two"])
    eventually(lambda: "invoices" in plane.list_topics(pair.arn("secondary")), "invoices there")
    eventually(lambda: everything(target, "invoices") == ["one", "two"], "invoices copied")
    before = pair.replicators()[FORWARD]

    deployment.sandbox.forget_calls()
    deployment.configure("secondary", offsetSyncMode="LEGACY")
    steps = of(deployment.up("secondary").changes, REPLICATOR)
    assert [step.op for step in steps] == ["delete-replaced", "replace", "create-replacement"]
    assert pair.calls(OHIO, "CreateReplicator", "DeleteReplicator") == ["DeleteReplicator", "CreateReplicator"]
    assert pair.replicators().keys() == {FORWARD} and pair.replicators()[FORWARD] != before
    eventually(lambda: everything(target, "invoices") == ["one", "two"] * 2, "everything copied a second time")

    # From LATEST it does not even copy what it has not seen.
    deployment.configure("secondary", offsetSyncMode=None, startingPosition="LATEST")
    deployment.up("secondary")
    produce(source, "invoices", ["three"])
    eventually(lambda: everything(target, "invoices")[-1:] == ["three"], "the new message")
    assert everything(target, "invoices") == [*["one", "two"] * 2, "three"]
    deployment.settled("secondary")


@contextmanager
def patience(deployment: Deployment, create: str) -> Iterator[None]:
    """The program with less patience for a new Replicator."""
    main: Path = deployment.pulumi.directory / "__main__.py"
    program = main.resolve()
    main.unlink()
    main.write_text(
        "import runpy\n"
        "from pulumi import CustomTimeouts\n"
        "from components import replicator\n"
        f"replicator.TIMEOUTS = CustomTimeouts(create={create!r})\n"
        f"runpy.run_path({str(program)!r}, run_name='__main__')\n"
    )
    try:
        yield
    finally:
        main.unlink()
        main.symlink_to(program)


def test_a_wait_lasts_as_long_as_the_program_lets_it_and_the_next_up_goes_on(pair: Pair) -> None:
    deployment = pair.deployment
    for stack in REGIONS:
        deployment.configure(stack, direction="bidirectional")
    deployment.up("secondary")
    with patience(deployment, "1s"):
        late = deployment.pulumi.up("primary")
    assert not late.ok
    told = next(each.message for each in late.diagnostics if "timeout" in each.message)
    expected = r"waiting for MSK Replicator \(\S+\) create: timeout while waiting for state to become 'RUNNING' "
    assert re.search(expected + r"\(last state: 'CREATING', timeout: 1s\)", told)
    (held,) = [each for each in deployment.pulumi.export("primary") if each["type"] == REPLICATOR]
    assert held["id"] == pair.replicators()[REVERSE] and held["initErrors"]

    eventually(lambda: pair.state(REVERSE) == "RUNNING", "the Replicator runs all the same")
    result = deployment.up("primary")
    assert not set(result.changed("replace")) and REVERSE in result.changed("update")
    assert pair.replicators()[REVERSE] == held["id"]
    (held,) = [each for each in deployment.pulumi.export("primary") if each["type"] == REPLICATOR]
    assert not held.get("initErrors")
    deployment.settled("primary")
