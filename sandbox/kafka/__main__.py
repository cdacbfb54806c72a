"""`python -m sandbox.kafka`: the sandbox's Kafka by itself."""

import signal
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from sandbox.kafka.pair import BarePair
from sandbox.kafka.plane import DataPlane, DataPlaneError
from sandbox.kafka.runtime import RuntimeMissing, ensure_runtime, write_lock
from sandbox.kafka.walkthrough import Walkthrough


@click.group()
def main() -> None:
    """Real Kafka on this machine: a broker for each Region, MirrorMaker 2 as Replicator. Loopback only."""


@main.command()
def setup() -> None:
    """Fetch Java (if need be) and Kafka's jars; does nothing when they are there."""
    runtime = ensure_runtime()
    click.echo(f"{runtime.java}\n{runtime.jars}")


@main.command()
def lock() -> None:
    """Resolve Kafka's jars again and write kafka.lock (for a newer version)."""
    write_lock()


@main.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where data and logs go; an empty one. Without it a temporary one, removed at the end.",
)
def walkthrough(folder: Path | None) -> None:
    """Failover and failback of one topic and one consumer group, with every message counted."""
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"--folder is {folder}; it must be empty. Remove it or name another one.")
    # As Ctrl-C: unwinds, and stops what was started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="msk-dr-kafka-") as temporary,
        DataPlane(folder or Path(temporary)) as plane,
    ):
        walkthrough = Walkthrough(plane, Console(), BarePair(plane))
        checks = walkthrough.run()
        walkthrough.show()
    sys.exit(0 if all(check.holds for check in checks) else 1)


if __name__ == "__main__":
    try:
        main()
    except (DataPlaneError, RuntimeMissing) as problem:
        sys.exit(f"Error: {problem}")
