"""What a drill makes of what it saw: small histories, each with a result that can be counted by hand."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from sandbox.drill import report
from sandbox.drill.__main__ import main
from sandbox.drill.accounts import (
    IN_PLACE,
    PRIMARY,
    SECONDARY,
    Account,
    Evidence,
    Message,
    Read,
    Record,
    Switch,
    WentBack,
    Write,
    account,
)
from sandbox.drill.run import Plan, claims
from sandbox.stage import Check
from tests.messages import SHAPE

TOPIC, GROUP = "orders", "billing"


def message(number: int) -> Message:
    return Message(0, number)


def write(number: int, at: float, side: str = PRIMARY) -> Write:
    return Write(message(number), TOPIC, side, at - 0.1, at)


def log(*born: tuple[int, str]) -> list[Record]:
    """One partition from its beginning."""
    return [Record(TOPIC, 0, offset, message(number), side) for offset, (number, side) in enumerate(born)]


def read(side: str, offset: int, number: int, at: float) -> Read:
    return Read(side, TOPIC, 0, offset, message(number), at)


FAILOVER = Switch(
    name="failover",
    planned=False,
    source=PRIMARY,
    target=SECONDARY,
    stopped=10.0,
    decided=13.0,
    started=13.5,
    ends={(TOPIC, 0): 2},
)

HISTORY = Evidence(
    topics=[TOPIC],
    groups={GROUP: (TOPIC,)},
    producers=[0],
    # 1 to 3 on the primary, of which 3 is not replicated when it fails; 4 on the secondary.
    writes=[write(1, 7), write(2, 8), write(3, 9.5), write(4, 14, SECONDARY)],
    unacknowledged=[],
    logs={
        PRIMARY: log((1, PRIMARY), (2, PRIMARY), (3, PRIMARY), (4, SECONDARY)),
        SECONDARY: log((1, PRIMARY), (2, PRIMARY), (4, SECONDARY), (3, PRIMARY)),
    },
    reads={
        GROUP: [
            read(PRIMARY, 0, 1, 7.5),
            read(PRIMARY, 1, 2, 8.5),
            read(SECONDARY, 2, 4, 15),
            read(SECONDARY, 3, 3, 20),
        ]
    },
    switches=[FAILOVER],
    creations=[],
    ended=30.0,
)


def changed(**changes: object) -> Account:
    return account(dataclasses.replace(HISTORY, **changes))  # type: ignore[arg-type]


def failing(found: Account) -> list[str]:
    return [claim for claim, held, _ in claims(found, Plan()) if not held]


def test_a_tail_that_arrives_late_is_at_risk_and_not_lost() -> None:
    found = account(HISTORY)
    (switch,) = found.switches
    assert switch.at_risk == switch.late == {TOPIC: 1}
    assert switch.lost == {}
    assert switch.rpo_messages == 1
    assert switch.rpo_seconds == pytest.approx(0.6)  # sent at 9.4, lost sight of at 10
    assert [found.lost(side) for side in (PRIMARY, SECONDARY)] == [0, 0]
    assert found.skipped == found.went_back == 0
    assert failing(found) == []


def test_recovery_time_is_until_the_slowest_client_and_has_the_decision_in_it() -> None:
    (switch,) = account(HISTORY).switches
    assert (switch.decision_seconds, switch.moving_seconds) == (3.0, 0.5)
    assert (switch.first_write, switch.first_read, switch.rto_seconds) == (4.0, 5.0, 5.0)
    assert switch.without_writers == 4.5


def test_a_producer_or_a_group_that_never_works_again_has_no_recovery_time() -> None:
    silent = changed(producers=[0, 1])
    assert silent.switches[0].rto_seconds is None
    assert failing(silent) == ["failover: every producer and every group worked on the secondary"]
    deaf = changed(groups={GROUP: (TOPIC,), "idle": ()}, reads={**HISTORY.reads, "idle": []})
    assert deaf.switches[0].first_read is None


def test_work_on_a_side_counts_only_for_the_stay_it_was_done_in() -> None:
    """A second failover is not answered by the writes of a third, nor by those of the first."""
    again = dataclasses.replace(FAILOVER, name="failover 2", stopped=21.0, decided=21.0, started=22.0)
    back = dataclasses.replace(FAILOVER, name="failback", source=SECONDARY, target=PRIMARY, stopped=23.0, started=24.0)
    third = dataclasses.replace(FAILOVER, name="failover 3", stopped=25.0, decided=25.0, started=26.0)
    writes = [*HISTORY.writes, write(5, 27, SECONDARY)]
    found = changed(switches=[FAILOVER, again, back, third], writes=writes)
    assert [each.first_write for each in found.switches] == [4.0, None, None, 2.0]


def test_what_a_side_never_gets_is_lost_there() -> None:
    logs = {**HISTORY.logs, SECONDARY: log((1, PRIMARY), (2, PRIMARY), (4, SECONDARY))}
    found = changed(logs=logs)
    assert [found.lost(side) for side in (PRIMARY, SECONDARY)] == [0, 1]
    assert (found.switches[0].late, found.switches[0].lost) == ({}, {TOPIC: 1})
    assert failing(found) == [
        "every acknowledged message is in the secondary's logs at the end",
        "failover: what had not been replicated arrived when the Region was back",
    ]


def test_a_message_that_a_group_never_processes_is_skipped() -> None:
    found = changed(reads={GROUP: HISTORY.reads[GROUP][:-1]})
    assert (found.groups[0].skipped, found.groups[0].again) == (1, 0)
    assert failing(found) == ["no group skipped a message"]


def test_messages_of_topics_that_a_group_does_not_read_are_not_skipped() -> None:
    elsewhere = [Record("other", 0, 0, message(9), PRIMARY)]
    logs = {side: [*records, *elsewhere] for side, records in HISTORY.logs.items()}
    assert changed(logs=logs, topics=[TOPIC, "other"]).skipped == 0


def test_a_group_that_goes_back_is_told_from_a_tail_that_comes_late() -> None:
    reads = [
        *HISTORY.reads[GROUP][:2],
        read(PRIMARY, 2, 3, 9.8),
        read(SECONDARY, 0, 1, 14),  # there when the clients started: the position was an old one
        read(SECONDARY, 1, 2, 14),
        read(SECONDARY, 2, 4, 15),
        read(SECONDARY, 3, 3, 20),  # processed on the primary already, and came later
    ]
    (group,) = changed(reads={GROUP: reads}).groups
    assert (group.processed, group.again, group.late_again, group.log_duplicates) == (7, 3, 1, 0)
    assert group.went_back == (WentBack(switch="failover", messages=2, farthest=2),)


def test_a_planned_switch_must_leave_nothing_behind_and_no_group_may_go_back() -> None:
    reads = [*HISTORY.reads[GROUP][:2], read(SECONDARY, 1, 2, 14), *HISTORY.reads[GROUP][2:]]
    found = changed(switches=[dataclasses.replace(FAILOVER, planned=True)], reads={GROUP: reads})
    assert failing(found) == [
        "failover: every acknowledged message was there when the clients started",
        "failover: no group went back",
    ]


def test_reading_again_without_a_switch_is_booked_apart() -> None:
    reads = [*HISTORY.reads[GROUP], read(SECONDARY, 2, 4, 25)]
    (group,) = changed(reads={GROUP: reads}).groups
    assert group.went_back == (WentBack(switch=IN_PLACE, messages=1, farthest=1),)


def test_going_back_to_what_was_read_in_an_earlier_stay_belongs_to_the_switch() -> None:
    back = Switch(
        name="failback",
        planned=True,
        source=SECONDARY,
        target=PRIMARY,
        stopped=21,
        decided=21,
        started=22,
        ends={(TOPIC, 0): 4},
    )
    reads = [*HISTORY.reads[GROUP], read(PRIMARY, 1, 2, 23)]
    (group,) = changed(switches=[FAILOVER, back], reads={GROUP: reads}).groups
    assert group.went_back == (WentBack(switch="failback", messages=1, farthest=1),)


def test_a_record_that_was_copied_twice_is_a_duplicate_of_the_log_and_not_a_group_that_went_back() -> None:
    logs = {**HISTORY.logs, SECONDARY: [*HISTORY.logs[SECONDARY], Record(TOPIC, 0, 4, message(1), PRIMARY)]}
    found = changed(logs=logs, reads={GROUP: [*HISTORY.reads[GROUP], read(SECONDARY, 4, 1, 21)]})
    assert [found.copied_again(side) for side in (PRIMARY, SECONDARY)] == [0, 1]
    assert (found.groups[0].log_duplicates, found.groups[0].went_back) == (1, ())
    assert failing(found) == ["secondary: no record was copied twice, but by Replicators without memory"]


def test_duplicates_of_a_replicator_without_memory_are_predicted_from_what_was_there_at_its_creation() -> None:
    twice = [*HISTORY.logs[PRIMARY], Record(TOPIC, 0, 4, message(4), SECONDARY)]
    logs = {**HISTORY.logs, PRIMARY: twice}
    # Created once on an empty log, once with the first copy of message 4 there.
    found = changed(logs=logs, creations=[{}, {(TOPIC, 0): 4}])
    assert found.predicted(PRIMARY) == found.copied_again(PRIMARY) == 1
    assert failing(found) == []
    # Without a second creation nothing excuses it; and a prediction that does not come true is none either.
    assert failing(changed(logs=logs, creations=[{}])) == [
        "primary: no record was copied twice, but by Replicators without memory"
    ]
    assert failing(changed(creations=[{}, {(TOPIC, 0): 4}])) == [
        "primary: no record was copied twice, but by Replicators without memory"
    ]


def test_a_message_that_was_stored_without_an_acknowledgement_and_sent_again_is_no_copy() -> None:
    """The primary stored message 4 and failed before it said so; the application sent it again."""
    logs = {
        PRIMARY: log((1, PRIMARY), (2, PRIMARY), (3, PRIMARY), (4, PRIMARY), (4, SECONDARY)),
        SECONDARY: log((1, PRIMARY), (2, PRIMARY), (4, SECONDARY), (3, PRIMARY), (4, PRIMARY)),
    }
    found = changed(logs=logs)
    (topic,) = found.topics
    assert (topic.uncertain, topic.acknowledged) == (1, 4)
    assert topic.sent_again == {PRIMARY: 1, SECONDARY: 1}
    assert topic.copied_again == topic.lost == {PRIMARY: 0, SECONDARY: 0}
    assert failing(found) == []


def test_what_was_never_acknowledged_is_neither_lost_nor_at_risk_and_is_said() -> None:
    found = changed(unacknowledged=[message(4), message(9)])  # 4 was accepted when it was sent again
    assert found.not_accepted == 1
    assert [found.lost(side) for side in (PRIMARY, SECONDARY)] == [0, 0]
    assert found.switches[0].rpo_messages == 1
    assert failing(found) == ["every message was accepted in the end"]


def test_a_drill_without_messages_proves_nothing() -> None:
    found = changed(writes=[], logs={PRIMARY: [], SECONDARY: []}, reads={GROUP: []}, switches=[])
    assert failing(found) == [
        "every acknowledged message is in the primary's logs at the end",
        "every acknowledged message is in the secondary's logs at the end",
    ]


def test_what_was_at_risk_may_not_be_older_than_the_cut_and_a_while() -> None:
    old = HISTORY.writes[2]._replace(sent=-3.0)
    found = changed(writes=[*HISTORY.writes[:2], old, HISTORY.writes[3]])
    assert found.switches[0].rpo_seconds == 13.0
    assert failing(found) == ["failover: nothing older than 10.5 s was at risk"]


def test_the_report_has_the_numbers_the_failed_claims_and_what_is_not_proven(tmp_path: Path) -> None:
    checks = [Check("a claim", True, "seen", 0.1), Check("another | claim", False, "3 lost", 0.2)]
    run = report.Run(scenario="unplanned", seconds=61.2, checks=checks, account=account(HISTORY))
    text, data = report.write(tmp_path / "report", Plan(), [run])
    written = text.read_text()
    assert "**Something did not hold.**" in written
    assert "| ✗ **failed** | another \\| claim | 3 lost |" in written
    assert "| RTO | 5.0 s (decision 3.0 s, the rest 2.0 s) |" in written
    assert "| RPO, messages at risk | 1 (orders 1) |" in written
    assert "| decision seconds | 3 |" in written
    assert all(each in written for each in report.NOT_PROVEN)
    found = json.loads(data.read_text())
    assert (found["held"], found["settings"]["rate"]) == (False, Plan().rate)
    (switch,) = found["runs"][0]["account"]["switches"]
    assert (switch["rpo_messages"], switch["rto_seconds"], switch["late"]) == (1, 5.0, {TOPIC: 1})
    assert [check["held"] for check in found["runs"][0]["checks"]] == [True, False]


def test_a_run_without_an_account_or_without_checks_did_not_hold() -> None:
    held = [Check("a claim", True, "seen", 0.1)]
    assert report.Run(scenario="planned", seconds=1, checks=held, account=account(HISTORY)).held
    assert not report.Run(scenario="planned", seconds=1, checks=held, account=None).held
    assert not report.Run(scenario="planned", seconds=1, checks=[], account=account(HISTORY)).held
    assert "could be counted" in report.markdown(
        Plan(), [report.Run(scenario="planned", seconds=1, checks=held, account=None)]
    )
    assert not report.as_data(Plan(), [])["held"]


@pytest.mark.parametrize(
    "options",
    [
        ["--rate", "5"],
        ["--rate", "2000"],
        ["--rate", "many"],
        ["--producers", "0"],
        ["--topics", "11"],
        ["--partitions", "0"],
        ["--seconds", "2"],
        ["--seconds", "nan"],
        ["--decision-seconds", "-1"],
        ["--cut-seconds", "61"],
        ["--rate", "10", "--seconds", "3"],
        ["--scenario", "planned", "--cut-seconds", "1"],
        ["--scenario", "planned", "--decision-seconds", "1"],
    ],
    ids=" ".join,
)
def test_options_that_cannot_be_are_refused_before_anything_starts(tmp_path: Path, options: Sequence[str]) -> None:
    folder = tmp_path / "drill"
    result = CliRunner().invoke(main, [*options, "--folder", str(folder), "--report", str(tmp_path / "report")])
    assert result.exit_code == 2
    told = result.output.partition("Error: ")[2].strip()
    assert SHAPE.search(told.removeprefix(f"Invalid value for '{options[0]}': ")), told
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "planned" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    result = CliRunner().invoke(main, ["--scenario", "planned", "--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert "it must be empty, or new" in result.output
    assert mine.read_text() == "mine"
