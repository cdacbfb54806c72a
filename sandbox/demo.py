"""`make demo`: the pair's whole life on this machine, by the ordinary Pulumi command, against the stand-in for AWS.

Each step runs a real command and then checks what it claims; the table at the end says what held. The exit code is 0
when everything held, 1 when something did not, 130 after Ctrl-C.

With `--kafka` the clusters are real brokers, and what is shown is the published procedure: failover and failback of
messages and offsets.
"""

import contextlib
import json
import re
import shutil
import signal
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import click
from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from sandbox.cli import Pulumi, PulumiError, Result, Step
from sandbox.kafka import ensure_runtime
from sandbox.kafka.walkthrough import Walkthrough
from sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
PRIMARY, SECONDARY = "primary", "secondary"
REGIONS = {PRIMARY: "us-east-1", SECONDARY: "us-east-2"}

FOR_THE_DEMO = {"iamWaitSeconds": 0}
"""What differs from a real deployment: the stand-in knows a role at once."""

GUARDED = ("--policy-pack", "policies")
RULE = "msk-replicator-names-identical"


@dataclass(frozen=True)
class Check:
    """A claim, and whether it held."""

    claim: str
    held: bool
    seen: str
    seconds: float


class Demo:
    """The steps, in order. Each notes its checks; a command that fails ends the demo, with what it said."""

    config: ClassVar[Mapping[str, Any]] = FOR_THE_DEMO

    def __init__(self, console: Console, sandbox: Sandbox, pulumi: Pulumi) -> None:
        self.console = console
        self.sandbox = sandbox
        self.pulumi = pulumi
        self.checks: list[Check] = []
        self._status: Status | None = None
        self._done = 0
        self._seconds = 0.0
        pulumi.on_line = self._progress

    def run(self) -> None:
        for number, step in enumerate(self.steps(), start=1):
            title, _, explanation = (step.__doc__ or "").partition(". ")
            self.console.print(f"\n[bold cyan]{number}. {title}.[/] [dim]{explanation}[/]")
            step()

    def steps(self) -> list[Callable[[], None]]:
        return [
            self.deploy,
            self.change_nothing,
            self.prepare_failback,
            self.end_failback,
            self.stop_a_violation,
            self.lose_a_region,
            self.tear_down,
        ]

    def deploy(self) -> None:
        """Deploy both stacks. The primary first; the secondary hosts the Replicator, as its cluster is the target."""
        for stack in REGIONS:
            self.pulumi.init(stack, self.config)
            result = self.command("up", stack, *GUARDED)
            self.check(f"{stack} comes up, and the policy pack has nothing against it", result.ok, _summary(result))
        self.show_pair()
        replicators = {stack: self.pulumi.outputs(stack).get("replicatorName") for stack in REGIONS}
        self.check(
            "only the secondary stack hosts a Replicator",
            replicators == {PRIMARY: None, SECONDARY: "msk-dr-primary-to-secondary"},
            str(replicators[SECONDARY]),
        )

    def change_nothing(self) -> None:
        """Update again. Nothing may change."""
        for stack in REGIONS:
            result = self.command("up", stack)
            self.check(f"a second `up` of {stack} changes nothing", not _changes(result), _summary(result))

    def prepare_failback(self) -> None:
        """Prepare failback. One value on the primary stack, `direction`, adds the reverse Replicator."""
        self.configure(PRIMARY, "direction", "bidirectional")
        result = self.command("up", PRIMARY)
        self.show_changes(result)
        self.added = {step.urn for step in _changes(result) if step.op == "create"}
        self.check(
            "`bidirectional` adds the reverse Replicator and its own parts, nothing else",
            len(self.added) == len(_changes(result)) and all(map(_belongs_to_reverse, self.added)),
            _summary(result),
        )

    def end_failback(self) -> None:
        """End failback. The value goes back, and what it added goes with it."""
        self.configure(PRIMARY, "direction", "primary-to-secondary")
        result = self.command("up", PRIMARY)
        self.show_changes(result)
        removed = {step.urn for step in _changes(result) if step.op == "delete"}
        self.check(
            "switching back removes exactly what was added",
            bool(removed) and removed == self.added and len(removed) == len(_changes(result)),
            _summary(result),
        )

    def stop_a_violation(self) -> None:
        """Weaken the pair. The policy pack stops `up` before the Replicator is touched."""
        self.configure(SECONDARY, "offsetSyncMode", "LEGACY")
        self.configure(SECONDARY, "topicNames", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS")
        self.sandbox.forget_calls()
        result = self.command("up", SECONDARY, *GUARDED, preview_first=True, may_fail=True)
        found = re.findall(rf"^ *- \[mandatory\].*{RULE}.*\n(?:[^\n]+\n)*?(?=\s*- \[|\n)", result.output, re.MULTILINE)
        if found:
            text = Text(textwrap.dedent(found[-1]).strip())
            self.console.print(Panel(text, title="what `pulumi up` says", border_style="red", expand=False))
        touched = [call for call in self.sandbox.calls(REGIONS[SECONDARY]) if "Replicat" in call.operation]
        self.check(
            "a mandatory violation stops `up` before the Replicator is touched",
            not result.ok and bool(found) and not touched,
            RULE,
        )
        for key in ("offsetSyncMode", "topicNames"):
            self.configure(SECONDARY, key, None)

    def lose_a_region(self) -> None:
        """Lose the primary Region. Every call to us-east-1 fails; the secondary stack must not care."""
        self.sandbox.fail(REGIONS[PRIMARY])
        self.console.print(f"  [red]{REGIONS[PRIMARY]} refuses every call now[/]")
        result = self.command("preview", PRIMARY, "--refresh", may_fail=True)
        self.check("the failure is real: the primary stack cannot be refreshed", not result.ok, "the call failed")
        self.sandbox.forget_calls()
        result = self.command("preview", SECONDARY)
        self.check("the secondary stack previews", result.ok and not _changes(result), _summary(result))
        self.configure(SECONDARY, "rpoSeconds", "30")
        result = self.command("up", SECONDARY)
        self.check("and updates: a shorter recovery point objective", bool(result.changed("update")), _summary(result))
        calls = self.sandbox.calls(REGIONS[PRIMARY])
        self.check(f"no call went to {REGIONS[PRIMARY]}", not calls, f"{len(calls)} calls")
        self.sandbox.heal(REGIONS[PRIMARY])

    def tear_down(self) -> None:
        """Take everything down. Protected until told otherwise; the stack that hosts the Replicator first."""
        existing = len(self.pulumi.export(SECONDARY))
        result = self.command("destroy", SECONDARY, preview_first=True, may_fail=True)
        held = not result.ok and len(self.pulumi.export(SECONDARY)) == existing
        self.check("`destroy` is refused while the cluster is protected", held, f"{existing} resources stay")
        for stack in (SECONDARY, PRIMARY):
            self.configure(stack, "protect", "false")
            self.command("up", stack)
            result = self.command("destroy", stack)
            left = self.pulumi.export(stack)
            self.check(f"{stack} is gone", not left, _summary(result))

    def command(
        self, name: str, stack: str, *arguments: str, preview_first: bool = False, may_fail: bool = False
    ) -> Result:
        """An engine command, shown as one would type it. Raises PulumiError when it fails and may not."""
        shown = " ".join(["pulumi", name, "--stack", stack, *arguments])
        self._done = 0
        began = time.monotonic()
        quick = [] if preview_first or name == "preview" else ["--skip-preview"]
        confirmed = [] if name == "preview" else ["--yes"]
        with self.console.status(f"[bold]{shown}") as self._status:
            result = self.pulumi.engine(name, stack, *confirmed, *quick, *arguments)
        self._seconds = time.monotonic() - began
        self.console.print(f"  [bold]$ {shown}[/]  [dim]{_summary(result)}, {self._seconds:.1f} s[/]")
        return result if may_fail else result.check()

    def configure(self, stack: str, key: str, value: str | None) -> None:
        shown = f"set {key} {value}" if value is not None else f"rm {key}"
        self.console.print(f"  [bold]$ pulumi config {shown} --stack {stack}[/]")
        self.pulumi.set_config(stack, key, value)

    def check(self, claim: str, held: bool, seen: str) -> None:
        self.checks.append(Check(claim, held, seen, self._seconds))
        mark = "[green]✓[/]" if held else "[red]✗[/]"
        self.console.print(f"  {mark} {claim} [dim]({seen})[/]")

    def show_pair(self) -> None:
        table = Table(title="What the stacks export", title_justify="left", box=None, padding=(0, 2))
        table.add_column("")
        for stack in REGIONS:
            table.add_column(stack, overflow="fold")
        outputs = {stack: self.pulumi.outputs(stack) for stack in REGIONS}
        for name in ("region", "clusterName", "clusterArn", "bootstrapBrokers", "clientInstanceId", "replicatorName"):
            values = [str(outputs[stack].get(name) or "–") for stack in REGIONS]
            table.add_row(f"[dim]{name}[/]", *(value.replace(",", ",\n") for value in values))
        self.console.print(table)

    def show_changes(self, result: Result) -> None:
        names = {"create": ("+", "green"), "delete": ("-", "red")}
        kinds = Counter((step.op, step.type) for step in _changes(result))
        for (op, kind), count in sorted(kinds.items()):
            sign, colour = names.get(op, ("~", "yellow"))
            self.console.print(f"    [{colour}]{sign} {kind}[/]" + (f" × {count}" if count > 1 else ""))

    def show_result(self) -> bool:
        """The final table; whether everything held."""
        table = Table("", "claim", "seen", title="What held", title_justify="left", show_lines=False)
        for check in self.checks:
            table.add_row("[green]✓[/]" if check.held else "[red]✗[/]", check.claim, check.seen)
        self.console.print()
        self.console.print(table)
        return all(check.held for check in self.checks)

    def _progress(self, line: str) -> None:
        """Counts resources as the CLI reports them, so that a long command does not look hung."""
        if self._status is None or not (found := re.search(r"(created|updated|deleted)\b.*\(", line)):
            return
        self._done += 1
        self._status.update(f"[bold]{self._done} resources {found.group(1)}[/]")


class KafkaDemo(Demo):
    """The published procedure on the pair that the program deploys; the `Pair` of a `Walkthrough`."""

    config = {**FOR_THE_DEMO, "client": False}
    forward = "msk-dr-primary-to-secondary"
    reverse = "msk-dr-secondary-to-primary"

    def steps(self) -> list[Callable[[], None]]:
        return [self.walk, self.tear_down]

    def walk(self) -> None:
        """Fail over and back. Four messages and a consumer group, on real brokers."""
        walkthrough = Walkthrough(self.sandbox.plane, self.console, self)
        try:
            walkthrough.run()
        finally:
            for check in walkthrough.checks:
                expected = "" if check.holds else f", not {check.expected}"
                self.check(check.what, check.holds, f"{check.seen}{expected}")

    def deploy(self) -> None:
        super().deploy()
        arns = {stack: self.pulumi.outputs(stack)["clusterArn"] for stack in REGIONS}
        self.primary, self.secondary = arns[PRIMARY], arns[SECONDARY]

    def replicators(self) -> Mapping[str, str]:
        found = self.sandbox.api.status()["replicators"]
        return {each["ReplicatorArn"].split("/")[1]: each["ReplicatorState"] for each in found}


def _changes(result: Result) -> list[Step]:
    """The changes, without what the engine keeps for itself (the stack, its providers and references)."""
    return [step for step in result.changes if not step.type.startswith("pulumi:")]


def _summary(result: Result) -> str:
    words = {"create": "created", "delete": "deleted", "update": "updated", "replace": "replaced"}
    counts = Counter(step.op for step in _changes(result))
    said = ", ".join(f"{count} {words.get(op, op)}" for op, count in sorted(counts.items())) or "nothing changed"
    return said if result.ok else "stopped"


def _belongs_to_reverse(urn: str) -> bool:
    kind, _, name = urn.rpartition("::")
    return name.startswith("msk-dr-secondary-to-primary") and "msk-dr:index:Replicator" in kind


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the demo alike, also where a shell started it with Ctrl-C ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--folder", type=click.Path(path_type=Path), default=ROOT / ".sandbox" / "demo", help="Where it works.")
@click.option("--keep", is_flag=True, help="Leave the folder (state, calls, logs) behind.")
@click.option("--kafka", is_flag=True, help="Real Kafka behind the clusters: failover and failback of messages.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the checks to this file as JSON.")
def main(folder: Path, keep: bool, kafka: bool, report: Path | None) -> None:
    """Deploy the pair, fail back and lose a Region: on this machine, without an AWS account."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(
        Panel(
            "The real Pulumi engine and this repository's program, against a local stand-in for AWS.\n"
            "[bold]Nothing is created at AWS[/], "
            + ("and real Kafka runs on loopback." if kafka else "and no Kafka runs."),
            title="msk-dr",
            border_style="cyan",
            expand=False,
        )
    )
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    held = False
    try:
        with _signals(), contextlib.ExitStack() as stack:
            if kafka:
                ensure_runtime()
            sandbox = stack.enter_context(Sandbox(folder, kafka=kafka))
            kind = KafkaDemo if kafka else Demo
            demo = kind(console, sandbox, Pulumi(ROOT, folder / "projects", sandbox.env))
            try:
                demo.run()
            except PulumiError as error:
                console.print(f"[red]{' '.join(error.result.command)} failed:[/]")
                console.print(error.result.output, markup=False)
                demo.check("every command succeeds", False, error.result.command[1])
            held = demo.show_result()
            if report:
                report.write_text(json.dumps([vars(check) for check in demo.checks], indent=2) + "\n")
    except KeyboardInterrupt:
        console.print("\n[yellow]Stopped; cleaning up.[/]")
        sys.exit(130)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    console.print(
        f"\n{'Everything held' if held else '[red]Something did not hold[/]'}, in {time.monotonic() - began:.0f} s."
    )
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
