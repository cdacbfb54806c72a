"""The pair as users have it: both stacks, deployed by the real `pulumi` command on a sandbox with real Kafka."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3  # type: ignore[import-untyped]
import click
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from sandbox import folder as folders
from sandbox.cli import Pulumi, Result
from sandbox.kafka import DataPlane, ensure_runtime
from sandbox.kafka.pair import REGIONS
from sandbox.server import Sandbox
from sandbox.stage import Stage, summary, typed

ROOT: Final = Path(__file__).resolve().parent.parent
PRIMARY, SECONDARY = REGIONS

GUARDED: Final = ("--policy-pack", "policies")

CONFIG: Final[Mapping[str, Any]] = {"iamWaitSeconds": 0, "client": False}
"""What differs from a real deployment: the sandbox knows a role at once, and Kafka's tools run on this machine."""


class DeployedPair:
    """A `Pair` that is changed by `pulumi up` alone and watched through the AWS API. Shows what it does on `stage`.

    Raises PulumiError when a command fails that must not.
    """

    forward: Final = "msk-dr-primary-to-secondary"
    reverse: Final = "msk-dr-secondary-to-primary"

    def __init__(self, sandbox: Sandbox, pulumi: Pulumi, stage: Stage) -> None:
        self.sandbox = sandbox
        self.pulumi = pulumi
        self.stage = stage
        self.primary = self.secondary = ""
        self._clients: dict[str, Any] = {}
        pulumi.on_line = stage.progress

    @property
    def plane(self) -> DataPlane:
        return self.sandbox.plane

    def deploy(self) -> None:
        """The primary first; the secondary hosts the Replicator, as its cluster is the target."""
        for stack in REGIONS:
            self.pulumi.init(stack, CONFIG)
            result = self.command("up", stack, *GUARDED)
            self.stage.check(
                f"{stack} comes up, and the policy pack has nothing against it", result.ok, summary(result)
            )
        self.primary, self.secondary = (str(self.pulumi.outputs(stack)["clusterArn"]) for stack in REGIONS)

    def prepare_failback(self) -> None:
        self.turn("bidirectional")

    def end_failback(self) -> None:
        self.turn("primary-to-secondary")

    def turn(self, direction: str) -> Result:
        """Sets `direction` on the primary stack and updates it."""
        self.configure(PRIMARY, "direction", direction)
        result = self.command("up", PRIMARY)
        self.stage.show_changes(result)
        return result

    def fail(self, region: str) -> None:
        self.sandbox.fail(region)
        self.stage.say(f"[bold]$ sandbox fail {region}[/]  [red]its brokers are frozen, its API refuses every call[/]")

    def heal(self, region: str) -> None:
        with self.stage.command(f"sandbox heal {region}"):
            self.sandbox.heal(region)

    def replicators(self) -> Mapping[str, str]:
        found = self.sandbox.api.status()["replicators"]
        return {each["ReplicatorArn"].split("/")[1]: each["ReplicatorState"] for each in found}

    def metric(self, region: str, name: str, dimensions: Mapping[str, str], since: datetime) -> float | None:
        # Values are looked up by the second, so the one that `since` falls into is too early.
        first = since.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        last = datetime.now(UTC) + timedelta(seconds=1)
        if last <= first:
            return None
        try:
            found = self._cloudwatch(region).get_metric_statistics(
                Namespace="AWS/Kafka",
                MetricName=name,
                Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
                StartTime=first,
                EndTime=last,
                Period=1,
                Statistics=["Maximum"],
            )["Datapoints"]
        except (ClientError, BotoCoreError):  # the Region is down
            return None
        return float(max(found, key=lambda each: each["Timestamp"])["Maximum"]) if found else None

    def _cloudwatch(self, region: str) -> Any:
        if region not in self._clients:
            self._clients[region] = boto3.client(
                "cloudwatch",
                region_name=region,
                endpoint_url=self.sandbox.api.endpoint,
                aws_access_key_id="sandbox",
                aws_secret_access_key="sandbox",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[region]

    def command(
        self, name: str, stack: str, *arguments: str, preview_first: bool = False, may_fail: bool = False
    ) -> Result:
        """An engine command, shown as one would type it."""
        quick = [] if preview_first or name == "preview" else ["--skip-preview"]
        confirmed = [] if name == "preview" else ["--yes"]
        with self.stage.command(typed("pulumi", name, "--stack", stack, *arguments)) as notes:
            result = self.pulumi.engine(name, stack, *confirmed, *quick, *arguments)
            notes.append(summary(result))
        return result if may_fail else result.check()

    def configure(self, stack: str, key: str, value: str | None) -> None:
        shown = ("set", key, value) if value is not None else ("rm", key)
        self.stage.say(f"[bold]$ {typed('pulumi', 'config', *shown, '--stack', stack)}[/]")
        self.pulumi.set_config(stack, key, value)


def emptied(folder: Path) -> Path:
    """The folder without what an earlier run left there. Refuses one that is in use, or that is no sandbox's."""
    if pid := folders.owner(folder):
        raise click.UsageError(f"--folder is {folder}; process {pid} is using it. End that one, or name another.")
    if folder.exists() and any(folder.iterdir()) and folders.MadeAs.read(folder) is None:
        raise click.UsageError(f"--folder is {folder}; it must be empty, or new. Name another one.")
    folders.end_leftovers(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return folder


@contextmanager
def deployable(folder: Path, stage: Stage) -> Iterator[DeployedPair]:
    """A pair that is not deployed yet, on a sandbox in `folder` that ends with the block."""
    ensure_runtime()
    began = time.monotonic()
    sandbox = Sandbox(folder, kafka=True)
    with ExitStack() as running:
        with stage.console.status("starting the sandbox"):
            running.enter_context(sandbox)
        stage.say(f"[dim]the sandbox answers at {sandbox.api.endpoint}, after {time.monotonic() - began:.1f} s[/]")
        yield DeployedPair(sandbox, Pulumi(ROOT, folder / "projects", sandbox.env), stage)
