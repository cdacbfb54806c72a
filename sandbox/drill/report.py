"""What a drill found, for people and for programs: tables on the terminal and in Markdown, everything in JSON."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from sandbox.drill.accounts import SIDES, Account, GroupAccount, SwitchAccount, TopicAccount
from sandbox.drill.load import COMMIT_SECONDS
from sandbox.drill.run import Plan
from sandbox.stage import Check

NOT_PROVEN: Final = (
    "How MSK Replicator behaves: MirrorMaker 2 copies here. It does the same with identical names, headers and group "
    "offsets, but its speed, its latency and what it does under pressure are its own.",
    "Anything that needs more than one broker: each Region has one, so no replica is behind and no broker fails alone.",
    "Latency and bandwidth between the Regions: everything is on loopback of one machine, and shares its processors.",
    "TLS, IAM and quotas: clients and Replicators connect in plaintext, and nothing is throttled.",
    "The decision time: it is a setting of the drill. In an outage it is how long people and alarms take.",
    "Moving clients: producers and consumers are threads that get another address at once. DNS, roll-outs, start-up "
    "and warm caches come on top.",
    "Applications that differ from these: producers here keep what was not acknowledged and send it again on the other "
    f"side; consumers commit every {COMMIT_SECONDS:g} s what they have processed.",
    "A Region that never comes back: here it does, with all that it had. What was at risk would be lost without it.",
    "The gates' own time: metrics are published every second here and every minute at MSK, so a planned switch takes "
    "minutes there.",
)

TERMS: Final = {
    "at risk": "acknowledged before the clients started on the other side, and not there at that moment",
    "late": "at risk, and on the other side by the end of the drill",
    "lost": "acknowledged, and not in that side's log at the end",
    "RPO": "messages at risk, and how old the oldest of them was when the source stopped",
    "RTO": "from the stop of the producers, or the failure, until every producer had an acknowledgement and every "
    "group had processed a message on the other side",
    "without writers": "from the last acknowledgement of one side to the first of the other",
    "copied again": "more copies of one record than one in a log; predicted: by a reverse Replicator that was created "
    "again, without memory",
    "sent again": "there from two sendings: the first was stored without an acknowledgement, so the application sent "
    "the message again",
    "uncertain": "stored, but never acknowledged by the side it was sent to",
    "went back": "processed again after a switch, because the group's position on the other side was an older one",
    "late again": "processed again because it arrived late, after the group had processed it on the failed side",
    "skipped": "in a log at the end, and never processed by the group",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One scenario. `account` is None when it ended before anything could be counted."""

    scenario: str
    seconds: float
    checks: Sequence[Check]
    account: Account | None

    @property
    def held(self) -> bool:
        return self.account is not None and bool(self.checks) and all(check.held for check in self.checks)


@dataclass(frozen=True)
class Sheet:
    """A table before it is drawn."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def sheets(account: Account) -> Iterator[Sheet]:
    """The numbers of an account."""
    yield Sheet(
        "Switches",
        ("", *(f"{each.name} to the {each.target}" for each in account.switches)),
        [(name, *map(value, account.switches)) for name, value in _SWITCH.items()],
    )
    yield Sheet(
        "Topics (messages; by side: primary / secondary)",
        ("topic", *_TOPIC),
        [(each.topic, *(value(each) for value in _TOPIC.values())) for each in account.topics],
    )
    yield Sheet(
        "Consumer groups (messages)",
        ("group", *_GROUP),
        [(each.group, *(value(each) for value in _GROUP.values())) for each in account.groups],
    )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def _total(by_topic: Mapping[str, int]) -> str:
    shown = ", ".join(f"{topic} {count:,}" for topic, count in sorted(by_topic.items()))
    return f"{sum(by_topic.values()):,}" + (f" ({shown})" if shown else "")


def _rto(switch: SwitchAccount) -> str:
    rto = switch.rto_seconds
    if rto is None:
        return _seconds(rto)
    waited = switch.moving_seconds if switch.planned else switch.decision_seconds
    what = "gates" if switch.planned else "decision"
    return f"{rto:.1f} s ({what} {waited:.1f} s, the rest {rto - waited:.1f} s)"


_SWITCH: Final[Mapping[str, Callable[[SwitchAccount], str]]] = {
    "kind": lambda switch: "planned" if switch.planned else "unplanned",
    "RPO, messages at risk": lambda switch: _total(switch.at_risk),
    "of these arrived late": lambda switch: _total(switch.late),
    "of these lost": lambda switch: _total(switch.lost),
    "RPO, age of the oldest": lambda switch: _seconds(switch.rpo_seconds),
    "RTO": _rto,
    "every producer wrote after": lambda switch: _seconds(switch.first_write),
    "every group processed after": lambda switch: _seconds(switch.first_read),
    "without writers": lambda switch: _seconds(switch.without_writers),
}


def _sides(values: Mapping[str, int]) -> str:
    return " / ".join(f"{values[side]:,}" for side in SIDES)


def _back(group: GroupAccount) -> str:
    steps = [
        f"{each.messages:,} at {each.switch}, {each.farthest:,} in one partition at most" for each in group.went_back
    ]
    return "; ".join(steps) or "0"


_TOPIC: Final[Mapping[str, Callable[[TopicAccount], str]]] = {
    "acknowledged": lambda topic: f"{topic.acknowledged:,}",
    "lost": lambda topic: _sides(topic.lost),
    "copied again": lambda topic: _sides(topic.copied_again),
    "of these predicted": lambda topic: _sides(topic.predicted),
    "sent again": lambda topic: _sides(topic.sent_again),
    "uncertain": lambda topic: f"{topic.uncertain:,}",
}
_GROUP: Final[Mapping[str, Callable[[GroupAccount], str]]] = {
    "topics": lambda group: f"{len(group.topics)}",
    "processed": lambda group: f"{group.processed:,}",
    "skipped": lambda group: f"{group.skipped:,}",
    "again": lambda group: f"{group.again:,}",
    "went back": _back,
    "late again": lambda group: f"{group.late_again:,}",
    "log duplicates": lambda group: f"{group.log_duplicates:,}",
}


def show(run: Run, console: Console) -> None:
    """The numbers of a run as tables."""
    for sheet in sheets(run.account) if run.account else ():
        table = Table(*sheet.columns, title=sheet.title, title_justify="left")
        for row in sheet.rows:
            table.add_row(*row)
        console.print()
        console.print(table)


def write(folder: Path, plan: Plan, runs: Sequence[Run]) -> tuple[Path, Path]:
    """Writes `drill.md` and `drill.json` to the folder; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text, data = _files(folder)
    text.write_text(markdown(plan, runs))
    data.write_text(json.dumps(as_data(plan, runs), indent=2) + "\n")
    return text, data


def remove(folder: Path) -> None:
    """Removes an earlier report, so that it is not taken for that of a drill that was stopped."""
    for file in _files(folder):
        file.unlink(missing_ok=True)


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "drill.md", folder / "drill.json"


def as_data(plan: Plan, runs: Sequence[Run]) -> dict[str, Any]:
    """Everything, in plain values. Times are seconds."""
    return {
        "held": bool(runs) and all(run.held for run in runs),
        "settings": dataclasses.asdict(plan),
        "runs": [
            {
                "scenario": run.scenario,
                "held": run.held,
                "seconds": round(run.seconds, 1),
                "checks": [dataclasses.asdict(check) for check in run.checks],
                "account": None if run.account is None else _account(run.account),
            }
            for run in runs
        ],
        "terms": TERMS,
        "not_proven": NOT_PROVEN,
    }


def _account(account: Account) -> dict[str, Any]:
    found = dataclasses.asdict(account)
    for switch, known in zip(found["switches"], account.switches, strict=True):
        switch |= {"rpo_messages": known.rpo_messages, "rto_seconds": known.rto_seconds}
    return found


def markdown(plan: Plan, runs: Sequence[Run]) -> str:
    held = bool(runs) and all(run.held for run in runs)
    lines = ["# Drill", "", "Everything held." if held else "**Something did not hold.**", ""]
    lines += ["## Settings", "", *_table(("setting", "value"), _settings(plan)), ""]
    for run in runs:
        lines += [f"## {run.scenario.capitalize()}", "", f"{run.seconds:.0f} s with deployment."]
        lines += ["", *_table(("", "claim", "seen"), [_row(check) for check in run.checks]), ""]
        if run.account is None:
            lines += ["It ended before anything could be counted.", ""]
            continue
        for sheet in sheets(run.account):
            lines += [f"### {sheet.title}", "", *_table(sheet.columns, sheet.rows), ""]
    lines += ["## Words", "", *(f"- **{term}**: {meaning}." for term, meaning in TERMS.items()), ""]
    lines += ["## What the numbers do not prove", "", *(f"- {each}" for each in NOT_PROVEN), ""]
    return "\n".join(lines)


def _settings(plan: Plan) -> list[tuple[str, str]]:
    shown = {key.replace("_", " "): value for key, value in dataclasses.asdict(plan).items()}
    groups = "; ".join(f"{group}: {', '.join(topics)}" for group, topics in plan.groups.items())
    return [*((key, f"{value:g}" if isinstance(value, float) else str(value)) for key, value in shown.items())] + [
        ("consumer groups", groups)
    ]


def _row(check: Check) -> tuple[str, str, str]:
    return "✓" if check.held else "✗ **failed**", check.claim, check.seen


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return [line(columns), line(["---"] * len(columns)), *map(line, rows)]


def show_verdict(runs: Sequence[Run], console: Console) -> None:
    """The table at the end: every claim and gate, and whether it held."""
    table = Table("", "scenario", "claim", "seen", title="What held", title_justify="left")
    for run in runs:
        for check in run.checks:
            table.add_row("[green]✓[/]" if check.held else "[red]✗[/]", run.scenario, check.claim, check.seen)
    console.print()
    console.print(table)
    console.print("\nNot proven by these numbers:")
    for each in NOT_PROVEN:
        console.print(f"  - {each}")
