"""`python -m sandbox.api`: the API in the foreground."""

import logging
import signal
import threading
from pathlib import Path

import click

from sandbox.api.account import REGIONS
from sandbox.api.context import Timing
from sandbox.api.server import Api
from sandbox.kafka import DataPlane

_SECONDS = click.FloatRange(min=0)


@click.group()
def main() -> None:
    """The AWS APIs of one pretended account on loopback. Nothing reaches AWS."""


@main.command()
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where the state is.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", help="Port on 127.0.0.1.")
@click.option("--create-seconds", type=_SECONDS, default=Timing.create, show_default=True, help="Time of a creation.")
@click.option("--update-seconds", type=_SECONDS, default=Timing.update, show_default=True, help="Time of an update.")
@click.option("--delete-seconds", type=_SECONDS, default=Timing.delete, show_default=True, help="Time of a deletion.")
@click.option("--kafka", is_flag=True, help="Real Kafka behind the clusters; see `python -m sandbox.kafka setup`.")
@click.option("--verbose", is_flag=True, help="Log every request.")
def serve(
    folder: Path,
    port: int,
    create_seconds: float,
    update_seconds: float,
    delete_seconds: float,
    kafka: bool,
    verbose: bool,
) -> None:
    """Serve until Ctrl-C or SIGTERM. What exists is kept in the folder and there again the next time."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    if verbose:
        logging.getLogger("sandbox.api").setLevel(logging.DEBUG)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    timing = Timing(create=create_seconds, update=update_seconds, delete=delete_seconds)
    data_plane = DataPlane(folder / "kafka") if kafka else None
    try:
        with Api(folder, data_plane, port=port, timing=timing) as api:
            click.echo(f"serving {' and '.join(REGIONS)} at {api.endpoint}")
            stop.wait()
    except (RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
