"""`python -m sandbox.kafka`: the sandbox's Kafka by itself."""

import sys

import click

from sandbox.kafka.plane import DataPlaneError
from sandbox.kafka.runtime import RuntimeMissing, ensure_runtime, write_lock


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


if __name__ == "__main__":
    try:
        main()
    except (DataPlaneError, RuntimeMissing) as problem:
        sys.exit(f"Error: {problem}")
