"""Failover and failback under load on real Kafka, and that a drill sees what is broken."""

import dataclasses
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from sandbox.drill import __main__ as command_line
from sandbox.drill.accounts import PRIMARY, SECONDARY, Account
from sandbox.drill.run import Drill, LoadStage, Plan, claims
from sandbox.kafka import DataPlane
from sandbox.kafka.pair import FORWARD, FORWARD_SPEC, REVERSE, REVERSE_SPEC, BarePair, Pair
from tests.kafka.leftovers import ROOT, interrupted, processes_of

pytestmark = pytest.mark.kafka

SMALL = Plan(rate=120, producers=2, topics=2, partitions=2, seconds=2, decision_seconds=1, cut_seconds=0.7)

Drilling = Callable[..., AbstractContextManager[Drill]]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    """Two clusters for all tests here that break nothing about them."""
    with DataPlane(tmp_path_factory.mktemp("drills")) as plane:
        yield plane


@pytest.fixture
def drilling(plane: DataPlane, numbers: Iterator[int]) -> Drilling:
    """A drill with topics, groups and Replicators of its own; `specs` changes what the Replicators do."""

    @contextmanager
    def begun(plan: Plan = SMALL, **specs: object) -> Iterator[Drill]:
        plan = dataclasses.replace(plan, prefix=f"drill-{next(numbers)}")
        only = {"topics": (rf"{plan.prefix}\..*",), "groups": (rf"{plan.prefix}\..*",)}
        forward, reverse = (
            dataclasses.replace(spec, **only, **specs)  # type: ignore[arg-type]
            for spec in (FORWARD_SPEC, REVERSE_SPEC)
        )
        pair = BarePair(plane, forward, reverse)
        try:
            pair.deploy()
            with Drill(pair, plan, LoadStage(Console(file=StringIO(), width=200))) as drill:
                yield drill
        finally:
            for region in plane.failed_regions:
                plane.heal_region(region)
            for arn in (FORWARD, REVERSE):
                plane.delete_replicator(arn)

    return begun


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return itertools.count()


def all_held(drill: Drill, found: Account) -> bool:
    """Fails the test with what did not hold."""
    told = [check for check in drill.stage.checks if not check.held]
    told += [claim for claim in claims(found, drill.plan) if not claim[1]]  # type: ignore[misc]
    assert not told
    return True


def failed(drill: Drill, found: Account) -> set[str]:
    return {claim for claim, held, _ in claims(found, drill.plan) if not held}


def test_two_planned_round_trips_lose_nothing_and_a_replicator_created_again_brings_the_predicted_duplicates(
    drilling: Drilling,
) -> None:
    with drilling() as drill:
        drill.begin()
        for _ in range(2):
            drill.switch(SECONDARY)
            drill.flow()
            drill.prepare_failback()
            drill.switch(PRIMARY)
            drill.end_failback()
            drill.flow()
        found = drill.finish()
        assert all_held(drill, found)
        assert [each.name for each in found.switches] == ["failover", "failback", "failover 2", "failback 2"]
        # What was born on the secondary before the first return, and nothing else, came a second time.
        first_outage = {
            write.message
            for write in drill.evidence().writes
            if write.side == SECONDARY and write.acknowledged < drill.switches[1].started
        }
        assert len(first_outage) > 100
        assert found.copied_again(PRIMARY) == found.predicted(PRIMARY) == len(first_outage)
        assert found.copied_again(SECONDARY) == 0
        # Each group sees its share of them as what they are.
        audit = next(each for each in found.groups if each.group.endswith("audit"))
        assert audit.again == audit.log_duplicates <= len(first_outage)


def test_a_standing_pair_survives_an_unplanned_failover_and_two_round_trips_with_nothing_copied_twice(
    drilling: Drilling,
) -> None:
    with drilling() as drill:
        drill.begin()
        drill.prepare_failback()
        drill.lose_the_primary()
        drill.flow()
        drill.heal_the_primary()
        drill.switch(PRIMARY)
        drill.flow()
        drill.switch(SECONDARY)
        drill.flow()
        drill.switch(PRIMARY)
        drill.flow()
        found = drill.finish()
        assert all_held(drill, found)
        assert found.copied_again(PRIMARY) == found.copied_again(SECONDARY) == found.predicted(PRIMARY) == 0

        # The tail was real, no larger than what was written since the cut, and all of it came late.
        lost_region = found.switches[0]
        since_cut = (drill.plan.cut_seconds + 2) * drill.plan.rate
        assert 0 < lost_region.rpo_messages < since_cut
        assert lost_region.late == lost_region.at_risk
        assert drill.plan.cut_seconds / 2 < lost_region.rpo_seconds < drill.plan.cut_seconds + 2
        # What was sent in vain is accounted for as well: sent again, and stored twice where the primary had taken it.
        assert found.not_accepted == 0
        assert found.sent_again(PRIMARY) == found.sent_again(SECONDARY) == sum(each.uncertain for each in found.topics)
        # The parts of the recovery time.
        assert lost_region.rto_seconds is not None and lost_region.without_writers is not None
        assert lost_region.rto_seconds >= lost_region.decision_seconds >= drill.plan.decision_seconds
        assert lost_region.without_writers > drill.plan.decision_seconds


def test_the_direction_flips_while_messages_flow_without_loss_and_with_the_predicted_duplicates(
    drilling: Drilling,
) -> None:
    with drilling() as drill:
        drill.begin()
        drill.switch(SECONDARY)
        drill.prepare_failback()
        drill.end_failback()
        drill.prepare_failback()
        drill.switch(PRIMARY)
        drill.end_failback()
        drill.prepare_failback()  # with the load on the primary
        drill.end_failback()
        found = drill.finish()
        assert all_held(drill, found)
        born_there = {write.message for write in drill.evidence().writes if write.side == SECONDARY}
        # Three Replicators without memory: the second one brings again what the first one had brought until it was
        # ended in mid-stream, the third one all of it.
        assert len(drill.creations) == 3
        assert len(born_there) < found.copied_again(PRIMARY) == found.predicted(PRIMARY) < 2 * len(born_there)
        assert found.copied_again(SECONDARY) == 0


def test_without_the_loop_filter_the_drill_reports_duplicates(drilling: Drilling) -> None:
    plan = dataclasses.replace(SMALL, rate=20, seconds=1, patience=3)
    with drilling(plan, drop_returning=False) as drill:
        drill.begin()
        drill.prepare_failback()
        found = drill.finish()
    assert found.copied_again(PRIMARY) > 0 and found.copied_again(SECONDARY) > 0
    assert {
        "primary: no record was copied twice, but by Replicators without memory",
        "secondary: no record was copied twice, but by Replicators without memory",
    } <= failed(drill, found)


def test_without_offset_sync_the_drill_reports_groups_that_went_back(drilling: Drilling) -> None:
    plan = dataclasses.replace(SMALL, patience=3)
    with drilling(plan, sync_group_offsets=False) as drill:
        drill.begin()
        drill.switch(SECONDARY)
        drill.flow(1)
        found = drill.finish()
    gates = {check.claim for check in drill.stage.checks if not check.held}
    assert "failover: all groups stand at the end of every partition on the secondary" in gates
    assert failed(drill, found) == {
        "failover: no group went back",
        # The drill ends on the secondary, so what was written there is not on the primary yet.
        "every acknowledged message is in the primary's logs at the end",
    }
    # To the very beginning: each group processes again all that it had processed on the primary.
    for group in found.groups:
        before = sum(read.side == PRIMARY for read in drill.evidence().reads[group.group])
        assert [each.messages for each in group.went_back] == [before]


class FrozenOnTheWayBack(BarePair):
    """The reverse Replicator stands still from its beginning, as one that cannot keep up."""

    def prepare_failback(self) -> None:
        super().prepare_failback()
        self.cut = self.plane.cut_off(self.reverse)  # kept: it is thawed when nobody holds it any more
        self.cut.__enter__()


def test_with_broken_lag_gates_the_drill_reports_the_loss_and_fails(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def opened(folder: Path, _: LoadStage) -> Iterator[Pair]:
        with DataPlane(folder / "plane") as plane:
            yield FrozenOnTheWayBack(plane)

    monkeypatch.setattr(command_line, "opened", opened)
    monkeypatch.setattr(Drill, "_gate", lambda drill, what, condition: True)
    options = ["--scenario", "planned", "--rate", "100", "--topics", "1", "--partitions", "2", "--seconds", "3"]
    report = tmp_path / "report"
    result = CliRunner().invoke(command_line.main, [*options, "--folder", str(folder), "--report", str(report)])
    assert result.exit_code == 1, result.output
    found = json.loads((report / "drill.json").read_text())
    (run,) = found["runs"]
    assert not found["held"] and not run["held"]
    not_held = {check["claim"] for check in run["checks"] if not check["held"]}
    assert "every acknowledged message is in the primary's logs at the end" in not_held
    assert "failback: every acknowledged message was there when the clients started" in not_held
    (topic,) = run["account"]["topics"]
    # At least what was written on the secondary under load.
    assert topic["lost"]["primary"] > 200 and topic["lost"]["secondary"] == 0
    assert "Something did not hold" in result.output
    assert processes_of(tmp_path) == []


DRILL = [sys.executable, "-m", "sandbox.drill", "--rate", "100", "--topics", "2", "--partitions", "2", "--seconds", "3"]


@pytest.mark.engine
def test_both_scenarios_hold_on_the_deployed_pair_and_leave_only_the_report(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    command = [*DRILL, "--scenario", "both", "--folder", str(folder), "--report", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((report / "drill.json").read_text())
    assert found["held"]
    planned, unplanned = found["runs"]
    assert [planned["scenario"], unplanned["scenario"]] == ["planned", "unplanned"]
    assert [switch["rpo_messages"] for switch in planned["account"]["switches"]] == [0, 0]
    assert unplanned["account"]["switches"][0]["rpo_messages"] > 0
    assert all(group["skipped"] == 0 for run in found["runs"] for group in run["account"]["groups"])
    text = (report / "drill.md").read_text()
    assert "## What the numbers do not prove" in text and "✗" not in text
    assert str(report / "drill.md") in done.stdout
    assert processes_of(tmp_path) == []
    assert not folder.exists()


@pytest.mark.engine
def test_a_drill_that_is_told_to_end_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    command = [*DRILL, "--folder", str(folder), "--report", str(tmp_path / "report")]
    assert interrupted(command, folder, signal.SIGTERM) == 130
    assert processes_of(tmp_path) == []
    assert not folder.exists()
