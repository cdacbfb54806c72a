"""`make bench`: ratios in one run, on the same engine and stand-in, and whether they meet their goals.

Times are medians of whole commands; the program and its baseline take turns, so that a busy machine slows both. The
baseline is `bench/flat`: the same resources, written down without components and configuration.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from bench import demo_bench, policy_bench
from bench.figure import Figure, timed
from sandbox.cli import Pulumi, Result
from sandbox.server import Sandbox

ROOT: Final = Path(__file__).resolve().parent.parent
FLAT: Final = ROOT / "bench" / "flat"
STACK: Final = "primary"
TOPICS: Final = (10, 100, 700)

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


@contextmanager
def projects(topics: int = 0, env: Mapping[str, str] | None = None) -> Iterator[Mapping[str, Pulumi]]:
    """The program and the baseline, each on a stand-in of its own, so that their names do not collide."""
    with tempfile.TemporaryDirectory(prefix="msk-dr-bench-") as scratch:
        folder = Path(scratch)
        with Sandbox(folder / "a") as one, Sandbox(folder / "b") as other:
            ours = Pulumi(ROOT, folder / "a" / "projects", {**one.env, **(env or {})})
            declared = [{"name": f"topic-{number}", "partitions": 1} for number in range(topics)]
            ours.init(STACK, {"protect": False, "topics": declared})
            flat = Pulumi(FLAT, folder / "b" / "projects", {**other.env, **(env or {})})
            (flat.directory / ".venv").symlink_to(ROOT / ".venv")
            flat.init(STACK, {"topics": topics})
            yield {"ours": ours, "flat": flat}


def registered(result: Result) -> set[tuple[str, str]]:
    """Type and name of the resources of the cloud that a command saw."""
    return {(step.type, step.name) for step in result.steps if step.type.startswith("aws:")}


def against_flat(runs: int) -> Iterator[Figure]:
    """`preview` and `up` of the program against the basefigure. Raises when the two do not register the same."""
    seconds: dict[str, dict[str, list[float]]] = {"first preview": {}, "up": {}, "preview without changes": {}}
    for run in range(runs):
        with projects() as pair:
            seen = {}
            for name in ("ours", "flat") if run % 2 else ("flat", "ours"):
                pulumi = pair[name]
                steps: dict[str, Callable[[], Result]] = {
                    "first preview": lambda pulumi=pulumi: pulumi.preview(STACK),  # type: ignore[misc]
                    "up": lambda pulumi=pulumi: pulumi.up(STACK),  # type: ignore[misc]
                    "preview without changes": lambda pulumi=pulumi: pulumi.preview(STACK),  # type: ignore[misc]
                }
                for step, command in steps.items():
                    took, result = timed(command)
                    seconds[step].setdefault(name, []).append(took)
                    console.print(f"  [dim]run {run + 1}, {name}, {step}: {took:.2f} s[/]")
                seen[name] = registered(result)
            if seen["ours"] != seen["flat"]:
                raise RuntimeError(f"the baseline is no baseline; it differs in {seen['ours'] ^ seen['flat']}")
    for step, runs_of in seconds.items():
        ours, flat = statistics.median(runs_of["ours"]), statistics.median(runs_of["flat"])
        yield Figure(
            name=f"{step}, against the flat program",
            value=ours / flat,
            unit="×",
            detail=f"{ours:.2f} s against {flat:.2f} s",
            goal=1.25,
        )


def start(runs: int) -> Iterator[Figure]:
    """Start of the program in a fresh process: wall time, processor time and peak memory."""
    # The first one may still compile bytecode.
    costs = [fresh_process([sys.executable, "-m", "bench.start", STACK]) for _ in range(runs + 1)][1:]
    seconds, busy, peak = (statistics.median(values) for values in zip(*costs, strict=True))
    detail = f"{busy:.2f} s of processor time"
    yield Figure(name="start: import and run under mocks", value=seconds, unit="s", detail=detail, goal=1.0)
    yield Figure(name="start: peak memory", value=peak, unit="MB", goal=100)


def fresh_process(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak resident megabytes of a command. Raises when it fails.

    On a busy machine the processor time says what an idle one would take.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def unit_suite(runs: int) -> Iterator[Figure]:
    """The suite that `make unit` runs, once."""
    took, busy, _ = fresh_process(["make", "--silent", "unit"])
    yield Figure(name="unit suite", value=took, unit="s", detail=f"{busy:.1f} s of processor time", goal=10)


def growth(runs: int) -> Iterator[Figure]:
    """What topics cost: the price of one between 10 and 100, against the price of one between 100 and 700.

    Without checkpoints: Pulumi's file backend writes the whole state after every step, whatever the program, so that
    its own part grows with the square (measured: `up` with 700 topics 57 s with checkpoints, 11 s without).
    """
    env = {"PULUMI_SKIP_CHECKPOINTS": "true"}
    seconds: dict[str, dict[int, float]] = {"preview": {}, "up": {}}
    flat: dict[int, float] = {}
    for topics in TOPICS:
        with projects(topics, env) as pair:
            seconds["preview"][topics], _ = timed(lambda: pair["ours"].preview(STACK))  # noqa: B023
            seconds["up"][topics], _ = timed(lambda: pair["ours"].up(STACK))  # noqa: B023
            flat[topics], _ = timed(lambda: pair["flat"].up(STACK))  # noqa: B023
            figures = f"preview {seconds['preview'][topics]:.1f} s, up {seconds['up'][topics]:.1f} s"
            console.print(f"  [dim]{topics} topics: {figures}; flat up {flat[topics]:.1f} s[/]")
    few, some, many = TOPICS
    for command, took in seconds.items():
        early, late = (took[some] - took[few]) / (some - few), (took[many] - took[some]) / (many - some)
        yield Figure(
            name=f"{command} with topics: price of one, 100–700 against 10–100",
            value=late / max(early, 0.001),
            unit="×",
            detail=f"{late * 1000:.1f} ms against {early * 1000:.1f} ms",
            goal=1.5,
        )
    yield Figure(
        name=f"up with {many} topics, against the flat program",
        value=seconds["up"][many] / flat[many],
        unit="×",
        detail=f"{seconds['up'][many]:.1f} s against {flat[many]:.1f} s",
        goal=1.25,
    )


def policies(runs: int) -> Iterator[Figure]:
    """The policy pack: one judgement, its start, a preview with it."""
    yield from policy_bench.judgement(runs)
    yield from policy_bench.start(runs)
    with projects() as pair:
        yield from policy_bench.previews(pair["ours"], STACK, runs)


def demo(runs: int) -> Iterator[Figure]:
    """The demo on real Kafka, once: time and memory."""
    yield from demo_bench.demo()


SECTIONS: Final[Mapping[str, Callable[[int], Iterator[Figure]]]] = {
    "start": start,
    "flat": against_flat,
    "policies": policies,
    "topics": growth,
    "unit": unit_suite,
    "demo": demo,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--runs", default=3, show_default=True, help="Runs of each short measurement; the median counts.")
@click.option("--only", type=click.Choice(list(SECTIONS)), multiple=True, help="Measure only this; may be repeated.")
def main(runs: int, only: tuple[str, ...]) -> None:
    """Measure what the program costs. Exit code 1 when a goal is missed."""
    if shutil.which("make") is None:
        raise click.ClickException("make is not on PATH; it runs the unit suite")
    figures: list[Figure] = []
    for name, section in SECTIONS.items():
        if not only or name in only:
            console.print(f"[bold]{(section.__doc__ or name).splitlines()[0]}[/]")
            figures += section(runs)
    table = Table("", "measured", "", "goal", "", title="Benchmarks", title_justify="left")
    for figure in figures:
        goal = "" if figure.goal is None else f"≤ {figure.goal:g} {figure.unit}"
        verdict = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}[figure.met]
        table.add_row(figure.name, f"{figure.value:.2f} {figure.unit}", figure.detail, goal, verdict)
    console.print(table)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    file = results / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    file.write_text(json.dumps([figure._asdict() for figure in figures], indent=2) + "\n")
    console.print(f"[dim]Written to {file.relative_to(ROOT)}[/]")
    sys.exit(0 if all(figure.met is not False for figure in figures) else 1)


if __name__ == "__main__":
    main()
