"""`make drill`: failover and failback of the deployed pair under load, with every message accounted for.

The exit code is 0 when every claim held, 1 when one did not, 2 for options that cannot be, 130 after Ctrl-C.
"""

import contextlib
import math
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import click
from click.core import ParameterSource
from confluent_kafka import KafkaException
from rich.console import Console
from rich.panel import Panel

from sandbox.cli import PulumiError
from sandbox.deployed import ROOT, deployable, emptied
from sandbox.drill import report
from sandbox.drill.accounts import Account
from sandbox.drill.run import SCENARIOS, Drill, LoadStage, Plan, claims
from sandbox.kafka.pair import Pair
from sandbox.kafka.plane import DataPlaneError
from sandbox.kafka.runtime import RuntimeMissing
from sandbox.kafka.topics import ClusterUnavailable, TopicError
from sandbox.stage import signals, terminal, typed

BOTH = "both"
MESSAGES_PER_PARTITION = 5
"""In each phase: a group's position is carried over only where something was written."""

_PLAN = Plan()


class Between(click.ParamType[float]):
    """A number within bounds, and why it has them."""

    def __init__(self, least: float, most: float, why: str, *, whole: bool = True) -> None:
        self.name = "number" if whole else "seconds"
        self.least = least
        self.most = most
        self.why = why
        self.whole = whole

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | int:
        try:
            number = int(str(value)) if self.whole else float(str(value))
        except ValueError:
            number = None
        if number is None or not self.least <= number <= self.most:
            key = param.opts[0] if param else "the value"
            kind = "a whole number" if self.whole else "a number of seconds"
            bounds = f"from {self.least:g} to {self.most:g}"
            self.fail(f"{key} is {value}; it must be {kind} {bounds}: {self.why}. Give one in that range.", param, ctx)
        return number


def opened(folder: Path, stage: LoadStage) -> AbstractContextManager[Pair]:
    """The pair that the drill is about, before it is deployed."""
    return deployable(folder, stage)


def run(console: Console, scenario: str, plan: Plan, folder: Path) -> report.Run:
    """One scenario on a fresh pair in a folder."""
    began = time.monotonic()
    stage = LoadStage(console)
    account: Account | None = None
    try:
        with opened(folder, stage) as pair:
            stage.step("Both stacks", "A pair of its own for this scenario.")
            pair.deploy()
            with Drill(pair, plan, stage) as drill:
                account = SCENARIOS[scenario](drill)
    except PulumiError as error:
        stage.output(error.result.output)
        stage.check("every command succeeds", False, typed("pulumi", *error.result.command[1:2]))
    except (TimeoutError, DataPlaneError, ClusterUnavailable, TopicError, KafkaException) as error:
        stage.check("every step ends", False, str(error).splitlines()[0])
    if account is not None:
        for claim, held, seen in claims(account, plan):
            stage.check(claim, held, seen)
    return report.Run(scenario=scenario, seconds=time.monotonic() - began, checks=stage.checks, account=account)


@contextlib.contextmanager
def _folders(folder: Path, scenarios: list[str], keep: bool) -> Iterator[dict[str, Path]]:
    """A folder for each scenario; nothing of an earlier run is in it, and nothing stays unless it is kept."""
    folders = {scenario: emptied(folder / scenario) for scenario in scenarios}
    try:
        yield folders
    finally:
        if not keep:
            for each in folders.values():
                shutil.rmtree(each, ignore_errors=True)
            with contextlib.suppress(OSError):  # something else is in it
                folder.rmdir()


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--scenario",
    type=click.Choice([*SCENARIOS, BOTH]),
    default=BOTH,
    help="planned: the clients switch over and back behind the lag gates. unplanned: the primary Region fails in "
    "mid-stream, returns, and the clients switch back. Each has a fresh pair.",
)
@click.option(
    "--rate",
    type=Between(10, 1000, "less shows nothing, more is too much for two processors"),
    default=_PLAN.rate,
    help="Messages per second, of all producers together.",
)
@click.option(
    "--producers", type=Between(1, 10, "each is a thread"), default=_PLAN.producers, help="How many write at a time."
)
@click.option(
    "--topics",
    type=Between(1, 10, "each producer writes to all of them in turn"),
    default=_PLAN.topics,
    help="How many topics. Two groups read one each, a third one all.",
)
@click.option(
    "--partitions",
    type=Between(1, 12, "every partition has to get messages in each phase"),
    default=_PLAN.partitions,
    help="Partitions per topic.",
)
@click.option(
    "--seconds",
    type=Between(3, 300, "every message is kept in memory for the account", whole=False),
    default=_PLAN.seconds,
    help="How long the load runs, at least, before, between and after the switches.",
)
@click.option(
    "--decision-seconds",
    type=Between(0, 300, "clients stand still for that long", whole=False),
    default=_PLAN.decision_seconds,
    help="unplanned: from the failure until somebody decides to move the clients.",
)
@click.option(
    "--cut-seconds",
    type=Between(0, 60, "what is accepted in that time is at risk", whole=False),
    default=_PLAN.cut_seconds,
    help="unplanned: how long before the failure nothing is replicated any more.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / ".sandbox" / "drill",
    show_default=".sandbox/drill",
    help="Where the pairs live.",
)
@click.option("--keep", is_flag=True, help="Leave that folder (state, data, logs) behind.")
@click.option(
    "--report",
    "report_folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / ".sandbox" / "drill-report",
    show_default=".sandbox/drill-report",
    help="Folder for drill.md and drill.json, which stay.",
)
@click.pass_context
def main(
    context: click.Context,
    scenario: str,
    rate: int,
    producers: int,
    topics: int,
    partitions: int,
    seconds: float,
    decision_seconds: float,
    cut_seconds: float,
    folder: Path,
    keep: bool,
    report_folder: Path,
) -> None:
    """Move a pair under load to the secondary Region and back, and account for every message.

    Deploys both stacks with the real Pulumi engine on this machine, without an AWS account: real Kafka runs behind a
    local stand-in for AWS. Reports what was lost, skipped and duplicated, RPO and RTO, and what that does not prove.
    """
    for key in ("decision_seconds", "cut_seconds"):
        if scenario == "planned" and context.get_parameter_source(key) is ParameterSource.COMMANDLINE:
            option = f"--{key.replace('_', '-')}"
            raise click.UsageError(
                f"{option} is {context.params[key]:g}; only an unplanned failover has it. Leave it out, or run "
                "--scenario unplanned."
            )
    least = math.ceil(MESSAGES_PER_PARTITION * topics * partitions / seconds)
    if rate < least:
        raise click.UsageError(
            f"--rate is {rate}; in --seconds {seconds:g} each of {topics} topics' {partitions} partitions has to get "
            f"{MESSAGES_PER_PARTITION} messages. Set --rate {least} at least, more seconds or fewer partitions."
        )
    plan = Plan(
        rate=rate,
        producers=producers,
        topics=topics,
        partitions=partitions,
        seconds=seconds,
        decision_seconds=decision_seconds,
        cut_seconds=cut_seconds,
    )
    console = terminal()
    console.print(
        Panel(
            f"{rate} messages/s under way while the pair is switched over and back, on this machine.\n"
            "[bold]Nothing is created at AWS.[/]",
            title="msk-dr drill",
            border_style="cyan",
            expand=False,
        )
    )
    chosen = [*SCENARIOS] if scenario == BOTH else [scenario]
    began = time.monotonic()
    runs: list[report.Run] = []
    try:
        report.remove(report_folder)
        with signals(), _folders(folder, chosen, keep) as folders:
            for name in chosen:
                console.rule(f"[bold]{name}")
                runs.append(run(console, name, plan, folders[name]))
                report.show(runs[-1], console)
    except KeyboardInterrupt:
        console.print("\n[yellow]Stopped; everything that ran is ended.[/]")
        sys.exit(130)
    except RuntimeMissing as error:
        raise click.ClickException(str(error)) from error
    held = all(each.held for each in runs)
    report.show_verdict(runs, console)
    text, data = report.write(report_folder, plan, runs)
    console.print(f"\nReport: {text}\n        {data}", soft_wrap=True)
    verdict = "Everything held" if held else "[red]Something did not hold[/]"
    console.print(f"\n{verdict}, in {time.monotonic() - began:.0f} s.")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
