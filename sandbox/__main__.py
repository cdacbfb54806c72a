"""`python -m sandbox`: the stand-in for AWS from a shell."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import click

from sandbox.cloud import NOTICE
from sandbox.faults import Faults, Trigger
from sandbox.regions import ZONES
from sandbox.server import Sandbox, environment, running
from sandbox.state import GLOBAL, read_journal, resource_counts

_REGION = click.Choice([GLOBAL, *ZONES])
_NAP = 0.2  # seconds until `serve` notices that it shall stop
_PATIENCE = 10.0  # seconds that `down` waits for the server to end


class Context:
    """What all commands share: the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def faults(self) -> Faults:
        if not self.folder.exists():
            raise click.ClickException(f"{self.folder} does not exist; run `python -m sandbox serve` first")
        return Faults(self.folder / "faults.json")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(__file__).parent.parent / ".sandbox",
    show_default=".sandbox in the checkout",
    help="Where state, calls and faults are kept.",
)
@click.pass_context
def main(context: click.Context, folder: Path) -> None:
    """A local stand-in for AWS that the real `pulumi` command works against.

    Nothing is created at AWS, and nothing listens but on loopback. In one shell:

        python -m sandbox serve

    In another:

    \b
        eval "$(python -m sandbox env)"
        pulumi stack init primary && pulumi up
    """
    context.obj = Context(folder)


@main.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default="any free one", help="Port to listen on."
)
@click.option("--quiet", is_flag=True, help="Do not print every call.")
@click.pass_obj
def serve(context: Context, port: int, quiet: bool) -> None:
    """Run in the foreground until Ctrl-C or `down`.

    State is kept: the next `serve` goes on where this one stopped.
    """
    context.folder.mkdir(parents=True, exist_ok=True)
    _log_to(context.folder / "sandbox.log", quiet)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Sandbox(context.folder, port=port) as sandbox:
            logging.getLogger("sandbox").warning("%s; serving on 127.0.0.1:%d", NOTICE, sandbox.port)
            click.echo('use it in another shell with:  eval "$(python -m sandbox env)"', err=True)
            while True:
                # Not `signal.pause`: a signal that another thread gets would not end it.
                time.sleep(_NAP)
    except KeyboardInterrupt:
        click.echo("stopped; the state is kept", err=True)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error


def _log_to(file: Path, quiet: bool) -> None:
    log = logging.getLogger("sandbox")
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in (logging.StreamHandler(), logging.FileHandler(file)):
        handler.setFormatter(logging.Formatter("%(asctime)s sandbox, not AWS: %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
    if quiet:
        log.handlers[0].setLevel(logging.WARNING)


@main.command()
@click.pass_obj
def status(context: Context) -> None:
    """Show whether it runs, what exists in each Region, and the faults asked for."""
    click.echo(NOTICE)
    server = running(context.folder)
    click.echo(f"running as process {server['pid']} on port {server['port']}" if server else "not running")
    for file in sorted((context.folder / "state").glob("*.jsonl")):
        counts = resource_counts(read_journal(file))
        down = ", down" if file.stem in context.faults.down else ""
        click.echo(f"{file.stem}{down}: {sum(counts.values())} resources")
        for kind, count in counts.items():
            click.echo(f"  {count:5} {kind}")
    if not context.folder.exists():
        return
    for trigger in context.faults.triggers:
        click.echo(f"will {trigger.action} {trigger.when} {trigger.operation} in {trigger.region}, {trigger.nth}. call")


@main.command()
@click.option("--purge", is_flag=True, help="Delete the folder with everything in it, too.")
@click.pass_obj
def down(context: Context, purge: bool) -> None:
    """Stop the server."""
    server = running(context.folder)
    if server is None:
        click.echo("not running")
    else:
        os.kill(server["pid"], signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        while running(context.folder) is not None:
            if time.monotonic() > deadline:
                raise click.ClickException(f"process {server['pid']} did not stop within {_PATIENCE:.0f} s")
            time.sleep(0.05)
        click.echo(f"stopped process {server['pid']}")
    if purge:
        shutil.rmtree(context.folder, ignore_errors=True)
        click.echo(f"deleted {context.folder}")


@main.command()
@click.argument("region", type=_REGION)
@click.pass_obj
def fail(context: Context, region: str) -> None:
    """Make every call to REGION fail from now on.

    IAM is one service for all Regions and is kept as the Region `global`. At AWS its control plane is in us-east-1;
    here `fail us-east-1` leaves it working, so fail `global` too to see an outage that takes it along.
    """
    context.faults.fail(region)
    click.echo(f"{region} is down")


@main.command()
@click.argument("region", type=_REGION)
@click.pass_obj
def heal(context: Context, region: str) -> None:
    """Let REGION answer again."""
    context.faults.heal(region)
    click.echo(f"{region} answers")


def _trigger_options(command: Any) -> Any:
    for option in (
        click.option("--nth", type=click.IntRange(1), default=1, show_default=True, help="Which matching call."),
        click.option("--region", default="*", show_default=True, help="Only calls to this Region."),
        click.option("--name", default="*", show_default=True, help="Only calls for resources of this logical name."),
        click.argument("operation"),
    ):
        command = option(command)
    return command


@main.command("fail-once")
@_trigger_options
@click.pass_obj
def fail_once(context: Context, operation: str, region: str, name: str, nth: int) -> None:
    """Make one call fail.

    OPERATION is an API operation such as kafka:CreateReplicator, a glob such as 'ec2:*', or one of create, update and
    delete for any resource.
    """
    context.faults.add(Trigger("fail", operation, region, name, nth))
    click.echo(f"{operation} will fail once")


@main.command()
@_trigger_options
@click.option("--after", is_flag=True, help="Once the call has been carried out, so that the engine never hears of it.")
@click.pass_obj
def crash(context: Context, operation: str, region: str, name: str, nth: int, after: bool) -> None:
    """Kill the engine that makes a call.

    OPERATION is as for fail-once.
    """
    context.faults.add(Trigger("crash", operation, region, name, nth, "after" if after else "before"))
    click.echo(f"{operation} will be the end of the engine that calls it")


@main.command()
@click.pass_obj
def env(context: Context) -> None:
    """Print what to export, so that the Pulumi CLI in this shell uses the sandbox."""
    server = running(context.folder)
    if server is None:
        raise click.ClickException("not running; start it with `python -m sandbox serve` in another shell")
    click.echo(f"# {NOTICE}")
    for name, value in environment(context.folder, server["port"]).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@main.command()
@click.argument("region", type=_REGION, required=False)
@click.pass_obj
def logs(context: Context, region: str | None) -> None:
    """Print the recorded calls, of REGION or of all, oldest first."""
    click.echo(NOTICE)
    found = []
    for file in (context.folder / "calls").glob("*.jsonl"):
        if region in (None, file.stem):
            found += [json.loads(line) for line in file.read_text().splitlines()]
    for call in sorted((call for call in found if "operation" in call), key=lambda call: str(call["time"])):
        click.echo(f"{call['time']} {call['region']} {call['operation']} {call['resource']} {call['error'] or 'ok'}")


if __name__ == "__main__":
    main(prog_name="python -m sandbox")
