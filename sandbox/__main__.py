"""`sandbox`, or `python -m sandbox`: the stand-in for AWS from a shell."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
import psutil
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table

from sandbox import folder as folders
from sandbox.cloud import NOTICE
from sandbox.control import Control, Unreachable
from sandbox.faults import Faults, Trigger
from sandbox.folder import MadeAs, Server
from sandbox.regions import ZONES
from sandbox.state import GLOBAL, read_journal, resource_counts

ROOT: Final = Path(__file__).resolve().parent.parent

_REGION = click.Choice([GLOBAL, *ZONES])
_HOME: Final = "us-east-1"
"""The primary stack's Region, whose client instance a shell stands for unless it is told another one."""

_START_SECONDS: Final = 300.0
"""How long a start may take: with deployed stacks, brokers and Replicators start one after the other."""

_STOP_SECONDS: Final = 90.0
"""How long a stop may take before it is forced: Replicators and brokers are asked to end, then killed."""

_NAP: Final = 0.2
_LOOK: Final = 0.05


class Context:
    """What all commands share: the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def log(self) -> Path:
        return self.folder / folders.LOG

    @property
    def faults(self) -> Faults:
        if not self.folder.exists():
            raise click.ClickException(f"{self.folder} does not exist; run `{_prog()} up` first")
        return Faults(self.folder / folders.FAULTS)

    @property
    def server(self) -> Server:
        """The running sandbox; an error when there is none."""
        server = folders.running(self.folder)
        if server is None:
            busy = folders.owner(self.folder)
            state = f"process {busy} is starting or stopping" if busy else "not running"
            raise click.ClickException(f"{state}; `{_prog()} up` starts it and waits for it")
        return server


def _prog() -> str:
    """The command as it was typed, up to the name of what to do."""
    root = click.get_current_context().find_root()
    typed = root.info_name or "sandbox"
    if root.get_parameter_source("folder") is ParameterSource.COMMANDLINE:
        typed += f" --folder {shlex.quote(str(root.params['folder']))}"
    return typed


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong as the error of a command."""
    try:
        yield
    except (RuntimeError, Unreachable) as error:
        raise click.ClickException(str(error)) from error


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    # In a file or a pipe nothing shall be cut or broken.
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=200)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / ".sandbox",
    show_default=".sandbox in the checkout",
    help="Where everything is kept.",
)
@click.pass_context
def main(context: click.Context, folder: Path) -> None:
    """A local AWS for this project: the real `pulumi` command, boto3, the AWS CLI and Kafka's tools work against it.

    Nothing is created at AWS, and nothing listens but on loopback.

    \b
        sandbox up
        eval "$(sandbox env)"
        pulumi stack init primary && pulumi up
        kafka-topics.sh --bootstrap-server "$(msk-brokers)" --command-config "$CLIENT_PROPERTIES" --list
        sandbox down

    `python -m sandbox` in the checkout is the same command.
    """
    context.obj = Context(folder)


# Starting and stopping


def _start_options(command: Any) -> Any:
    seconds = click.FloatRange(min=0)
    for option in (
        click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the Pulumi provider."),
        click.option("--delete-seconds", type=seconds, help="Time of a deletion of an MSK resource.  [default: 0.3]"),
        click.option("--update-seconds", type=seconds, help="Time of an update of an MSK resource.  [default: 0.3]"),
        click.option("--create-seconds", type=seconds, help="Time of a creation of an MSK resource.  [default: 0.5]"),
        click.option(
            "--kafka/--no-kafka",
            default=None,
            help="Real Kafka behind an AWS API, or only the stand-in for Pulumi.  [default: as the folder was made; "
            "--kafka for a new one]",
        ),
    ):
        command = option(command)
    return command


@main.command()
@_start_options
@click.pass_obj
def up(context: Context, /, kafka: bool | None, port: int, **seconds: float | None) -> None:
    """Start it in the background.

    Returns once it answers. What an earlier one kept (`down --keep`) is there again. Times are for MSK alone, which is
    served with Kafka.
    """
    console = _console(stderr=True)
    new = not self_made(context.folder)
    with_kafka = _mode(context.folder, kafka)
    if _already(context, with_kafka):
        return
    if with_kafka:
        _fetch_kafka()
    options = [f"--{name.replace('_', '-')}={value}" for name, value in seconds.items() if value is not None]
    mode = "--kafka" if with_kafka else "--no-kafka"
    command = [sys.executable, "-m", "sandbox", "--folder", str(context.folder), "serve", "--background", mode]
    context.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with context.log.open("a") as log:
        before = log.tell()
        child = subprocess.Popen(
            [*command, f"--port={port}", *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        with console.status("Starting") as status:
            while child.poll() is None and folders.running(context.folder) is None:
                passed = time.monotonic() - began
                if passed > _START_SECONDS:
                    raise click.ClickException(f"not up after {_START_SECONDS:.0f} s; read {context.log}")
                status.update(f"Starting {MadeAs(with_kafka).mode}, {passed:.0f} s")
                time.sleep(_LOOK)
        if child.poll() is not None:
            raise click.ClickException(f"it did not start:\n{_end_of(context.log, before)}")
    except BaseException:
        _end(child)
        if new:
            folders.remove(context.folder)
        raise
    console.print(f"{NOTICE}; up in {time.monotonic() - began:.0f} s as process {child.pid}, {MadeAs(with_kafka).mode}")
    _hint(console)


def self_made(folder: Path) -> bool:
    """Whether a sandbox was ever started in the folder."""
    return MadeAs.read(folder) is not None


def _mode(folder: Path, asked: bool | None) -> bool:
    """With Kafka or without: what was asked for, else what the folder was made with."""
    if asked is None:
        made = MadeAs.read(folder)
        return made.kafka if made else True
    with _told():
        folders.check_mode(folder, kafka=asked)
    return asked


def _already(context: Context, kafka: bool) -> bool:
    """Whether one runs in the folder; waits for one that is about to."""
    console = _console(stderr=True)
    deadline = time.monotonic() + _START_SECONDS
    while folders.owner(context.folder) is not None:
        if server := folders.running(context.folder):
            console.print(f"already running as process {server.pid}, {MadeAs(kafka).mode}")
            _hint(console)
            return True
        if time.monotonic() > deadline:
            raise click.ClickException(f"process {folders.owner(context.folder)} is neither up nor gone")
        time.sleep(_LOOK)
    return False


def _fetch_kafka() -> None:
    from sandbox.kafka import RuntimeMissing, ensure_runtime

    try:
        ensure_runtime()
    except RuntimeMissing as error:
        raise click.ClickException(str(error)) from error


def _hint(console: Console) -> None:
    console.print(f'use it in this shell with:  [bold]eval "$({_prog()} env)"[/]', soft_wrap=True)


def _end_of(log: Path, start: int, lines: int = 15) -> str:
    """What the log says from a position on, at most its last lines."""
    with log.open(errors="replace") as file:
        file.seek(start)
        return "\n".join(file.read().splitlines()[-lines:])


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends a server that is still starting."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@main.command()
@_start_options
@click.option("--quiet", is_flag=True, help="Do not print every call.")
@click.option("--background", is_flag=True, hidden=True)
@click.pass_obj
def serve(
    context: Context, /, kafka: bool | None, port: int, quiet: bool, background: bool, **seconds: float | None
) -> None:
    """Run in the foreground until Ctrl-C or `down`.

    State is kept: the next start goes on where this one stopped.
    """
    with_kafka = _mode(context.folder, kafka)
    if with_kafka:
        _fetch_kafka()
    # Nothing of the user's own AWS shall matter here, nor a proxy on the way to loopback.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    _stop_on_signals()
    from sandbox.api.context import Timing
    from sandbox.server import Sandbox

    wanted = {name.removesuffix("_seconds"): value for name, value in seconds.items() if value is not None}
    try:
        context.folder.mkdir(parents=True, exist_ok=True)
        _log_to(None if background else context.log, quiet)
        with _failures(), Sandbox(context.folder, port=port, kafka=with_kafka, timing=Timing(**wanted)) as sandbox:
            logging.getLogger("sandbox").warning("%s; serving on 127.0.0.1:%d", NOTICE, sandbox.port)
            if not background:
                click.echo(f'use it in another shell with:  eval "$({_prog()} env)"', err=True)
            while True:
                # Not `signal.pause`: a signal that another thread gets would not end it.
                time.sleep(_NAP)
    except KeyboardInterrupt:
        click.echo("stopped; the state is kept", err=True)


@contextmanager
def _failures() -> Iterator[None]:
    """What keeps a sandbox from starting, as the error of the command."""
    from sandbox.kafka import DataPlaneError

    try:
        yield
    except (RuntimeError, OSError, DataPlaneError) as error:
        raise click.ClickException(str(error)) from error


def _stop_on_signals() -> None:
    """Ctrl-C, `down` and a closed terminal unwind alike; a second one does not cut that short."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, stop)


def _log_to(file: Path | None, quiet: bool) -> None:
    """To stderr, and to the file. A sandbox in the background has the file as its stderr."""
    log = logging.getLogger("sandbox")
    log.setLevel(logging.INFO)
    log.propagate = False
    handlers: list[logging.Handler] = [logging.StreamHandler(), *([logging.FileHandler(file)] if file else [])]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s sandbox, not AWS: %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
    if quiet:
        log.handlers[0].setLevel(logging.WARNING)


@main.command()
@click.option("--keep", is_flag=True, help="Keep what exists (state, messages, stacks) for the next `up`.")
@click.pass_obj
def down(context: Context, keep: bool) -> None:
    """Stop it and remove what it made.

    Clusters, messages, stacks, logs: nothing is left, but files of others in the folder stay. It also tidies up after a
    sandbox that was killed.
    """
    pid = _stop(context)
    said = f"stopped process {pid}" if pid else "not running"
    if not context.folder.exists() or (keep and not self_made(context.folder)):
        click.echo(said)
    elif keep:
        folders.end_leftovers(context.folder)
        click.echo(f"{said}; what exists is kept in {context.folder}")
    else:
        with _told():
            folders.remove(context.folder)
        click.echo(f"{said}; removed what was in {context.folder}")


def _stop(context: Context) -> int | None:
    """Stops the sandbox of the folder; the id of its process, None when there was none."""
    pid = folders.owner(context.folder)
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        with _console(stderr=True).status(f"Stopping process {pid}"):
            while folders.owner(context.folder) == pid or _alive(process):
                if time.monotonic() > deadline:
                    process.kill()
                time.sleep(_LOOK)
    except psutil.NoSuchProcess:
        pass
    except psutil.AccessDenied as error:
        raise click.ClickException(f"process {pid} belongs to somebody else") from error
    return pid


def _alive(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended may be there until its parent looks."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


# Looking


@main.command()
@click.option("--types", is_flag=True, help="Resources by type, too.")
@click.pass_obj
def status(context: Context, types: bool) -> None:
    """Show whether it runs, and what exists.

    Regions with the number of their resources, clusters and Replicators with their states, and the faults asked for.
    """
    console = _console()
    console.print(NOTICE)
    server, made = folders.running(context.folder), MadeAs.read(context.folder)
    busy = folders.owner(context.folder)
    if server:
        console.print(f"running as process {server.pid} on port {server.port}")
    else:
        console.print(f"process {busy} is starting or stopping" if busy else "not running")
    if made is None:
        return
    console.print(f"made {made.mode}, kept in {context.folder}, log in {folders.LOG}", soft_wrap=True)
    faults = context.faults
    seen = {}
    if server and server.endpoint:
        console.print(f"AWS API at {server.endpoint}")
        with _told():
            seen = Control(server.endpoint).status()
    msk = [*seen.get("clusters", []), *seen.get("replicators", [])]
    regions = _table("Region", "state", "resources")
    counts = {file.stem: resource_counts(read_journal(file)) for file in (context.folder / "state").glob("*.jsonl")}
    for region in sorted({*counts, *faults.down, *seen.get("regions", [])}):
        of_msk = [each for each in msk if _region_of(each) == region]
        state = "[red]down[/]" if region in faults.down else "up"
        regions.add_row(region, state, str(sum(counts.get(region, {}).values()) + len(of_msk)))
    console.print(regions)
    if types:
        for region, by_type in sorted(counts.items()):
            for kind, count in by_type.items():
                console.print(f"{region}  {count:4} {kind}")
    if msk:
        _show_msk(console, seen)
    for trigger in faults.triggers:
        console.print(
            f"will {trigger.action} {trigger.when} {trigger.operation} in {trigger.region}, {trigger.nth}. call",
            markup=False,
        )


def _show_msk(console: Console, seen: dict[str, Any]) -> None:
    clusters = _table("cluster", "Region", "state", "bootstrap")
    for each in seen["clusters"]:
        clusters.add_row(_name(each), _region_of(each), each["State"], each["Bootstrap"] or "")
    console.print(clusters)
    replicators = _table("Replicator", "Region", "state", "reason")
    for each in seen["replicators"]:
        why = (each["StateInfo"] or {}).get("Message", "")
        replicators.add_row(_name(each), _region_of(each), each["ReplicatorState"], why)
    if seen["replicators"]:
        console.print(replicators)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column == "resources" else "left", overflow="fold")
    return table


def _arn(msk: dict[str, Any]) -> str:
    return str(msk.get("ClusterArn") or msk["ReplicatorArn"])


def _region_of(msk: dict[str, Any]) -> str:
    return _arn(msk).split(":")[3]


def _name(msk: dict[str, Any]) -> str:
    return _arn(msk).split("/")[1]


@main.command()
@click.argument("region", type=_REGION, required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--kafka", is_flag=True, help="The logs of brokers and Replicators instead: files and their last lines.")
@click.pass_obj
def logs(context: Context, region: str | None, follow: bool, kafka: bool) -> None:
    """Print the recorded calls, oldest first.

    To REGION, or to all. `pulumi` marks a call that the Pulumi provider makes, `api` a request to the AWS API since its
    start: boto3, the AWS CLI, and again what the provider asked of MSK.
    """
    if kafka:
        _kafka_logs(context.folder, region)
        return
    click.echo(NOTICE)
    seen: set[str] = set()
    while True:
        with _told():
            lines = _calls(context.folder, region)
        for line in lines:
            if line not in seen:
                click.echo(line)
        if not follow:
            return
        seen.update(lines)
        try:
            time.sleep(1)
        except KeyboardInterrupt:
            return


def _calls(folder: Path, region: str | None) -> list[str]:
    found = []
    for file in (folder / "calls").glob("*.jsonl"):
        for call in map(json.loads, file.read_text().splitlines()):
            if "operation" in call:
                outcome = f"{call['resource']} {call['error'] or 'ok'}"
                found.append((call["time"], call["region"], "pulumi", call["operation"], outcome))
    server = folders.running(folder)
    if server and server.endpoint:
        for call in Control(server.endpoint).calls():
            outcome = "ok" if call["status"] < 400 else str(call["status"])
            found.append((call["time"], call["region"], "api", call["operation"], outcome))
    return [" ".join(call) for call in sorted(found, key=lambda call: call[0]) if region in (None, call[1])]


def _kafka_logs(folder: Path, region: str | None, lines: int = 20) -> None:
    state = folder / "kafka" / "state.json"
    if not state.exists():
        raise click.ClickException(f"{folder} has no clusters; deploy a stack first")
    known = json.loads(state.read_text())
    for each in [*known["clusters"], *known["replicators"]]:
        where = each["arn"].split(":")[3]
        log = folder / "kafka" / each["folder"] / "process.log"
        if region in (None, where):
            click.echo(f"==> {each['arn'].split('/')[1]} in {where}: {log}")
            if log.exists():
                click.echo(_end_of(log, 0, lines))


@main.command()
@click.argument("region", type=_REGION, default=_HOME)
@click.pass_obj
def env(context: Context, region: str) -> None:
    """Print what to export in a shell.

    With it the Pulumi CLI, boto3, the AWS CLI and Kafka's console tools use the sandbox, as they do AWS on the client
    instance of REGION (us-east-1). `msk-brokers` prints the bootstrap address of the cluster there.
    """
    server = context.server
    click.echo(f"# {NOTICE}")
    variables = folders.environment(context.folder, server.port) | folders.client_environment(server, region)
    if server.endpoint:
        click.echo(f"unset {' '.join(folders.CONFLICTING)}")
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    first = [server.tools, str(Path(sys.executable).parent)] if server.tools else [str(Path(sys.executable).parent)]
    click.echo(f'export PATH={shlex.quote(os.pathsep.join(first))}:"$PATH"')
    for name in ("NO_PROXY", "no_proxy"):
        click.echo(f'export {name}=127.0.0.1,localhost"${{{name}:+,${name}}}"')


# Faults


@main.command()
@click.argument("region", type=_REGION)
@click.pass_obj
def fail(context: Context, region: str) -> None:
    """Make REGION fail.

    Its API refuses every call, and its brokers and Replicators freeze. It stays so until `heal`, also over a restart,
    and may be asked for before a start. IAM is one service for all Regions and is kept as the Region
    `global`. At AWS its control plane is in us-east-1; here `fail us-east-1` leaves it working, so fail `global` too to
    see an outage that takes it along.
    """
    _change(context, region, "fail")
    context.faults.fail(region)
    click.echo(f"{region} is down")


@main.command()
@click.argument("region", type=_REGION)
@click.pass_obj
def heal(context: Context, region: str) -> None:
    """Let REGION answer again, with all it had."""
    _change(context, region, "heal")
    context.faults.heal(region)
    click.echo(f"{region} answers")


def _change(context: Context, region: str, verb: str) -> None:
    """Tells the API of a running sandbox. What it does not do is not noted either: then nothing has changed."""
    from sandbox.api.account import REGIONS

    if folders.owner(context.folder) is None:
        return
    server = context.server
    if server.endpoint and region in {*REGIONS, GLOBAL}:
        with _told():
            Control(server.endpoint).change(region, verb)


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
    """Make one call of the Pulumi provider fail.

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


if __name__ == "__main__":
    main(prog_name="python -m sandbox")
