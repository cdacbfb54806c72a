"""`make demo`: the published procedure on this machine, by the ordinary Pulumi command and Kafka's own tools.

Both stacks come up on a local stand-in for AWS whose clusters are real brokers. Four messages and a consumer group
then go through failover and failback. Each step runs a real command and checks what it claims; the table in the end
says what held. The exit code is 0 when everything held, 1 when something did not, 130 after Ctrl-C.
"""

import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sandbox.cli import PulumiError, Step
from sandbox.deployed import GUARDED, PRIMARY, ROOT, SECONDARY, DeployedPair, deployable, emptied
from sandbox.kafka import RuntimeMissing
from sandbox.kafka.pair import REGIONS
from sandbox.kafka.settings import NEW_GROUP_SECONDS
from sandbox.stage import Stage, signals, summary, terminal, typed

TOPIC: Final = "customer"
GROUP: Final = "msk-consumer"
MESSAGES: Final = ("message 1", "message 2", "message 3", "message 4")
RULE: Final = "msk-replicator-names-identical"

PATIENCE: Final = 60.0
"""Seconds until a step that waits gives up."""

_QUIET_MS: Final = 5000
"""How long a console consumer waits for one more message."""


class NotInTime(Exception):
    """A step did not come within PATIENCE; the check that failed is noted."""


class Demo:
    """The steps, in order. A command that fails, or a wait that is in vain, ends the demo."""

    def __init__(self, pair: DeployedPair, stage: Stage) -> None:
        self.pair = pair
        self.stage = stage
        self.plane = pair.plane

    def run(self) -> None:
        for step in (
            self.deploy,
            self.replicate,
            self.fail_over,
            self.prepare_failback,
            self.cut_over,
            self.end_failback,
            self.count,
            self.stop_a_violation,
            self.tear_down,
        ):
            title, _, explanation = (step.__doc__ or "").partition(". ")
            self.stage.step(title, explanation)
            step()

    def deploy(self) -> None:
        """Deploy both stacks. The primary first; the secondary hosts the Replicator, as its cluster is the target."""
        pair, stage = self.pair, self.stage
        pair.deploy()
        self._show_pair()
        stage.equal("one Replicator runs, primary → secondary", {pair.forward: "RUNNING"}, dict(pair.replicators()))
        for stack in REGIONS:
            result = pair.command("up", stack)
            stage.check(f"a second `up` of {stack} changes nothing", not result.changes, summary(result))

    def replicate(self) -> None:
        """Replicate. A topic, two messages and a consumer group on the primary appear on the secondary."""
        pair, stage = self.pair, self.stage
        made = ("--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", "3")
        self._kafka("kafka-topics.sh", pair.primary, *made)
        self._write(pair.primary, *MESSAGES[:2])
        stage.equal(f"primary: {GROUP} reads messages 1 and 2", [*MESSAGES[:2]], self._read(pair.primary))
        since = datetime.now(UTC)
        with stage.waiting("topic, messages and group position on the secondary"):
            self._until(lambda: self._gate(pair.forward, REGIONS[SECONDARY], since) == 0, "MessageLag of 0")
            self._until(lambda: self._behind(SECONDARY, since) == 0, f"a position of {GROUP} on the secondary")
            time.sleep(NEW_GROUP_SECONDS)
        topics = self._kafka("kafka-topics.sh", pair.secondary, "--list", "--exclude-internal").split()
        stage.equal(f"secondary: {TOPIC} is there, without a prefix", [TOPIC], [t for t in topics if TOPIC in t])
        groups = self._kafka("kafka-consumer-groups.sh", pair.secondary, "--list").split()
        stage.check(f"secondary: {GROUP} is there", GROUP in groups, ", ".join(groups))
        names = ("ReplicationLatency", "MessageLag", "ReplicatorThroughput", "ReplicatorBytesInPerSec")
        seen = {name: self._replicator_metric(name, pair.forward, REGIONS[SECONDARY], since) for name in names}
        self.stage.check(
            "CloudWatch has the Replicator's metrics",
            None not in seen.values(),
            ", ".join(f"{name} {value:,.1f}" for name, value in seen.items() if value is not None),
        )

    def fail_over(self) -> None:
        """Fail over. The primary Region is lost; the clients move to the secondary, and nothing has to be deployed."""
        pair, stage = self.pair, self.stage
        lost = REGIONS[PRIMARY]
        pair.fail(lost)
        result = pair.command("preview", PRIMARY, "--refresh", may_fail=True)
        stage.check("the loss is real: the primary stack cannot be refreshed", not result.ok, summary(result))
        pair.sandbox.forget_calls()
        result = pair.command("preview", SECONDARY)
        stage.check("the secondary stack previews, nothing to change", result.ok and not result.changes, "no changes")
        calls = pair.sandbox.calls(lost)
        stage.check(f"and made no call to {lost}", not calls, f"{len(calls)} calls")
        self._write(pair.secondary, *MESSAGES[2:])
        stage.equal(f"secondary: {GROUP} reads only messages 3 and 4", [*MESSAGES[2:]], self._read(pair.secondary))

    def prepare_failback(self) -> None:
        """Prepare failback. The Region is back; one value on the primary stack adds the reverse Replicator."""
        pair, stage = self.pair, self.stage
        pair.heal(REGIONS[PRIMARY])
        result = pair.turn("bidirectional")
        self._added = {step.urn for step in result.changes if step.op == "create"}
        stage.check(
            "`bidirectional` adds the reverse Replicator and its own parts, nothing else",
            bool(self._added) and len(self._added) == len(result.changes) and all(map(_of_reverse, result.changes)),
            summary(result),
        )
        since = datetime.now(UTC)
        stage.say(f"[bold]$ {self._asking('MessageLag', REGIONS[PRIMARY], self._lag(pair.reverse))}[/]")
        with stage.waiting("MessageLag of 0"):
            self._until(lambda: self._gate(pair.reverse, REGIONS[PRIMARY], since) == 0, "MessageLag of 0")

    def cut_over(self) -> None:
        """Cut over. The producers are stopped; when no consumer is behind, the clients move back."""
        pair, stage = self.pair, self.stage
        since = datetime.now(UTC)
        for side in (SECONDARY, PRIMARY):
            stage.say(f"[bold]$ {self._asking('MaxOffsetLag', REGIONS[side], self._lag_of_group(side))}[/]")
            with stage.waiting(f"MaxOffsetLag of 0 on the {side}"):
                self._until(lambda side=side: self._behind(side, since) == 0, f"MaxOffsetLag of 0 on the {side}")  # type: ignore[misc]
        stage.equal(f"primary: {GROUP} reads nothing again", [], self._read(pair.primary))

    def end_failback(self) -> None:
        """End failback. The value goes back, and what it added goes with it; the forward Replicator copies on."""
        pair, stage = self.pair, self.stage
        result = pair.turn("primary-to-secondary")
        removed = {step.urn for step in result.changes if step.op == "delete"}
        stage.check(
            "switching back removes exactly what was added",
            removed == self._added and len(removed) == len(result.changes),
            summary(result),
        )
        stage.equal("only the forward Replicator is left", {pair.forward: "RUNNING"}, dict(pair.replicators()))
        # A topic of its own: the four messages stay the only ones.
        since = datetime.now(UTC)
        made = ("--create", "--topic", "after-failback", "--partitions", "3", "--replication-factor", "3")
        self._kafka("kafka-topics.sh", pair.primary, *made)
        self._kafka("kafka-console-producer.sh", pair.primary, "--topic", "after-failback", stdin="still replicated\n")
        region = REGIONS[SECONDARY]
        stage.say(f"[bold]$ {self._asking('ReplicatorThroughput', region, {'ReplicatorName': pair.forward})}[/]")
        rates: list[float] = []

        def flows() -> bool:
            rates.append(self._replicator_metric("ReplicatorThroughput", pair.forward, region, since) or 0.0)
            return rates[-1] > 0

        with stage.waiting("throughput of the forward Replicator"):
            self._until(flows, "ReplicatorThroughput above 0")
        stage.check("the forward Replicator copies", rates[-1] > 0, f"ReplicatorThroughput {rates[-1]:,.1f} bytes/s")

    def count(self) -> None:
        """Count. Every message once, on both sides, and nobody has anything left to read."""
        pair, stage = self.pair, self.stage
        since = datetime.now(UTC)
        for side, arn in ((PRIMARY, pair.primary), (SECONDARY, pair.secondary)):
            reader = ("--topic", TOPIC, "--from-beginning", "--timeout-ms", str(_QUIET_MS))
            found = Counter(self._kafka("kafka-console-consumer.sh", arn, *reader).splitlines())
            stage.equal(f"{side}: messages", 4, found.total())
            stage.equal(f"{side}: lost", [], sorted(Counter(MESSAGES) - found))
            stage.equal(f"{side}: twice", [], sorted(found - Counter(MESSAGES)))
            self._until(lambda side=side: self._behind(side, since) is not None, f"MaxOffsetLag on the {side}")  # type: ignore[misc]
            stage.equal(f"{side}: messages that {GROUP} has not read", 0.0, self._behind(side, since))
            self._kafka("kafka-consumer-groups.sh", arn, "--describe", "--group", GROUP)

    def stop_a_violation(self) -> None:
        """Weaken the pair. The policy pack stops `up` before the Replicator is touched."""
        pair, stage = self.pair, self.stage
        weaker = {"offsetSyncMode": "LEGACY", "topicNames": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"}
        for key, value in weaker.items():
            pair.configure(SECONDARY, key, value)
        pair.sandbox.forget_calls()
        result = pair.command("up", SECONDARY, *GUARDED, preview_first=True, may_fail=True)
        found = re.findall(rf"^ *- \[mandatory\].*{RULE}.*\n(?:[^\n]+\n)*?(?=\s*- \[|\n)", result.output, re.MULTILINE)
        if found:
            text = Text(textwrap.dedent(found[-1]).strip())
            stage.console.print(Panel(text, title="what `pulumi up` says", border_style="red", expand=False))
        touched = [call for call in pair.sandbox.calls(REGIONS[SECONDARY]) if "Replicat" in call.operation]
        stage.check(
            "a mandatory violation stops `up` before the Replicator is touched",
            not result.ok and bool(found) and not touched,
            RULE,
        )
        for key in weaker:
            pair.configure(SECONDARY, key, None)

    def tear_down(self) -> None:
        """Take everything down. Protected until told otherwise; the stack that hosts the Replicator first."""
        pair, stage = self.pair, self.stage
        existing = len(pair.pulumi.export(SECONDARY))
        result = pair.command("destroy", SECONDARY, preview_first=True, may_fail=True)
        held = not result.ok and len(pair.pulumi.export(SECONDARY)) == existing
        stage.check("`destroy` is refused while the cluster is protected", held, f"{existing} resources stay")
        for stack in (SECONDARY, PRIMARY):
            pair.configure(stack, "protect", "false")
            pair.command("up", stack)
            result = pair.command("destroy", stack)
            stage.check(f"{stack} is gone", not pair.pulumi.export(stack), summary(result))

    def _kafka(self, tool: str, arn: str, *arguments: str, stdin: str = "") -> str:
        """Runs one of Kafka's own tools against a cluster, as one would type it; what it prints."""
        folder, bootstrap = self.plane.tools(), self.plane.bootstrap(arn)
        command = (tool, "--bootstrap-server", bootstrap, *arguments)
        typed_in = f"echo {typed(stdin.strip())} | " if stdin.count("\n") == 1 else ""
        if stdin.count("\n") > 1:
            typed_in = f"printf '%s\\n' {typed(*stdin.splitlines())} | "
        with self.stage.command(typed_in + typed(*command)):
            done = subprocess.run(
                [folder / tool, *command[1:]],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        self.stage.output(done.stdout)
        # A console consumer that waits in vain for one more message says so on standard error.
        if done.returncode != 0:
            self.stage.output(done.stderr)
            self.stage.check(f"{tool} succeeds", False, f"exit code {done.returncode}")
            raise NotInTime
        return done.stdout

    def _write(self, arn: str, *messages: str) -> None:
        lines = "".join(f"{message}\n" for message in messages)
        self._kafka("kafka-console-producer.sh", arn, "--topic", TOPIC, stdin=lines)

    def _read(self, arn: str) -> list[str]:
        """What the group reads until nothing comes any more."""
        reader = ("--topic", TOPIC, "--group", GROUP, "--from-beginning", "--timeout-ms", str(_QUIET_MS))
        return sorted(self._kafka("kafka-console-consumer.sh", arn, *reader).splitlines())

    def _lag(self, replicator: str) -> Mapping[str, str]:
        return {"ReplicatorName": replicator, "Topic": TOPIC}

    def _lag_of_group(self, side: str) -> Mapping[str, str]:
        return {"Cluster Name": f"msk-dr-{side}", "Consumer Group": GROUP, "Topic": TOPIC}

    def _gate(self, replicator: str, region: str, since: datetime) -> float | None:
        return self.pair.metric(region, "MessageLag", self._lag(replicator), since)

    def _behind(self, side: str, since: datetime) -> float | None:
        """The group's MaxOffsetLag; None while it has no position."""
        return self.pair.metric(REGIONS[side], "MaxOffsetLag", self._lag_of_group(side), since)

    def _replicator_metric(self, name: str, replicator: str, region: str, since: datetime) -> float | None:
        with_topic = name in ("ReplicationLatency", "MessageLag")
        dimensions = self._lag(replicator) if with_topic else {"ReplicatorName": replicator}
        return self.pair.metric(region, name, dimensions, since)

    def _asking(self, name: str, region: str, dimensions: Mapping[str, str]) -> str:
        """The question to CloudWatch as one would type it. (MSK publishes by the minute, the sandbox by the second.)"""
        named = [f"Name={key},Value={value}" for key, value in dimensions.items()]
        return typed(
            *("aws", "cloudwatch", "get-metric-statistics", "--region", region, "--namespace", "AWS/Kafka"),
            *("--metric-name", name, "--statistics", "Maximum", "--dimensions", *named),
        )

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        """Goes on when the condition holds; a step that does not come in time is a check that fails, and the last."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.stage.check(f"{what} within {PATIENCE:g} s", False, "not in time")
                raise NotInTime
            time.sleep(0.3)

    def _show_pair(self) -> None:
        table = Table(title="What the stacks export", title_justify="left", box=None, padding=(0, 2))
        table.add_column("")
        for stack in REGIONS:
            table.add_column(stack, overflow="fold")
        outputs = {stack: self.pair.pulumi.outputs(stack) for stack in REGIONS}
        for name in ("region", "clusterName", "clusterArn", "bootstrapBrokers", "dashboardName", "replicatorName"):
            values = [str(outputs[stack].get(name) or "–") for stack in REGIONS]
            table.add_row(f"[dim]{name}[/]", *values)
        self.stage.console.print(table)


def _of_reverse(step: Step) -> bool:
    """Whether a step belongs to the reverse Replicator's component."""
    kind, _, name = step.urn.rpartition("::")
    return name.startswith(DeployedPair.reverse) and "msk-dr:index:Replicator" in kind


def run(console: Console, folder: Path, report: Path | None = None) -> bool:
    """The whole demo in a folder; whether everything held. The table comes in any case."""
    stage = Stage(console)
    with deployable(folder, stage) as pair:
        try:
            Demo(pair, stage).run()
        except PulumiError as error:
            stage.output(error.result.output)
            stage.check("every command succeeds", False, typed("pulumi", *error.result.command[1:2]))
        except TimeoutError as error:
            stage.check("every command ends", False, str(error).splitlines()[0])
        except NotInTime:
            pass  # it is a check that failed
        held = stage.show_result()
    if report:
        stage.write(report)
    return held


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--folder", type=click.Path(path_type=Path), default=ROOT / ".sandbox" / "demo", help="Where it works.")
@click.option("--keep", is_flag=True, help="Leave the folder (state, calls, logs) behind.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the checks to this file as JSON.")
def main(folder: Path, keep: bool, report: Path | None) -> None:
    """Deploy the pair, lose a Region, fail over and back with every message counted: without an AWS account."""
    console = terminal()
    console.print(
        Panel(
            "The real Pulumi engine and this repository's program, against a local stand-in for AWS\n"
            "with real Kafka behind it, on loopback. [bold]Nothing is created at AWS.[/]",
            title="msk-dr",
            border_style="cyan",
            expand=False,
        )
    )
    emptied(folder)
    began = time.monotonic()
    try:
        with signals():
            held = run(console, folder, report)
    except KeyboardInterrupt:
        console.print("\n[yellow]Stopped; everything that ran is ended.[/]")
        sys.exit(130)
    except RuntimeMissing as error:
        raise click.ClickException(str(error)) from error
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    verdict = "Everything held" if held else "[red]Something did not hold[/]"
    console.print(f"\n{verdict}, in {time.monotonic() - began:.0f} s.")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
