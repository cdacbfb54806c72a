"""What a run on this machine looks like: numbered steps, the commands behind them, checks, and a table in the end."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from sandbox.cli import Result

_CHANGED = re.compile(r"\b(created|updated|deleted)\b.*\(")


@dataclass(frozen=True)
class Check:
    """A claim, whether it held, what was seen, and how long that took."""

    claim: str
    held: bool
    seen: str
    seconds: float


class Stage:
    """Where a run shows itself. Everything goes to `console`; the checks stay for the table and the report."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.checks: list[Check] = []
        self._steps = 0
        self._done = 0
        self._since = time.monotonic()
        self._status: Status | None = None

    def step(self, title: str, explanation: str = "") -> None:
        """Begins the next step."""
        self._steps += 1
        self._since = time.monotonic()
        self.console.print(f"\n[bold cyan]{self._steps}. {title}.[/] [dim]{explanation}[/]")

    @contextlib.contextmanager
    def command(self, shown: str) -> Iterator[list[str]]:
        """Shows a command as one would type it, when it has ended, with what the block appends and how long it took."""
        notes: list[str] = []
        self._since = time.monotonic()
        self._done = 0
        with self.console.status(f"[bold]{shown}") as self._status:
            try:
                yield notes
            finally:
                notes.append(f"{time.monotonic() - self._since:.1f} s")
                self.console.print(f"  [bold]$ {shown}[/]  [dim]{', '.join(notes)}[/]")

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Shows that a wait goes on, and afterwards how long it took."""
        self._since = time.monotonic()
        with self.console.status(f"waiting: {what}") as self._status:
            yield
        self.console.print(f"  [dim]{what}: after {time.monotonic() - self._since:.1f} s[/]")

    def say(self, text: str) -> None:
        self.console.print(f"  {text}")

    def output(self, text: str) -> None:
        """What a command printed, indented and not taken for markup."""
        for line in text.rstrip().splitlines():
            self.console.print(Text.assemble(("    │ ", "dim"), line.rstrip()))

    def check(self, claim: str, held: bool, seen: object) -> bool:
        """Notes and shows a claim; returns whether it held."""
        self.checks.append(Check(claim, held, str(seen), round(time.monotonic() - self._since, 1)))
        mark = "[green]✓[/]" if held else "[red]✗[/]"
        self.console.print(f"  {mark} {claim} [dim]({seen})[/]")
        return held

    def equal(self, claim: str, expected: object, seen: object) -> bool:
        """A check that something is exactly as expected; what was expected is shown when it is not."""
        return self.check(claim, seen == expected, seen if seen == expected else f"{seen}, not {expected}")

    def progress(self, line: str) -> None:
        """Counts resources as the Pulumi CLI reports them, so that a long command does not look hung."""
        if self._status is None or not (found := _CHANGED.search(line)):
            return
        self._done += 1
        self._status.update(f"[bold]{self._done} resources {found.group(1)}[/]")

    def show_changes(self, result: Result) -> None:
        names = {"create": ("+", "green"), "delete": ("-", "red")}
        kinds = Counter((step.op, step.type) for step in result.changes)
        for (op, kind), count in sorted(kinds.items()):
            sign, colour = names.get(op, ("~", "yellow"))
            self.console.print(f"    [{colour}]{sign} {kind}[/]" + (f" × {count}" if count > 1 else ""))

    def show_result(self) -> bool:
        """The final table; whether everything held."""
        table = Table("", "claim", "seen", "s", title="What held", title_justify="left", show_lines=False)
        table.columns[-1].justify = "right"
        for check in self.checks:
            mark = "[green]✓[/]" if check.held else "[red]✗[/]"
            table.add_row(mark, check.claim, check.seen, f"{check.seconds:.1f}")
        self.console.print()
        self.console.print(table)
        return bool(self.checks) and all(check.held for check in self.checks)

    def write(self, report: Path) -> None:
        """The checks as JSON."""
        report.write_text(json.dumps([vars(check) for check in self.checks], indent=2) + "\n")


def terminal() -> Console:
    """The console of a run; of a fixed width where nobody has a window."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def summary(result: Result) -> str:
    """What a Pulumi command did, in a few words."""
    words = {"create": "created", "delete": "deleted", "update": "updated", "replace": "replaced"}
    counts = Counter(step.op for step in result.changes)
    said = ", ".join(f"{count} {words.get(op, op)}" for op, count in sorted(counts.items())) or "nothing changed"
    return said if result.ok else "stopped"


def typed(*parts: str) -> str:
    """A command as one would type it."""
    return " ".join(part if re.fullmatch(r"[\w./:=@%+,-]+", part) else shlex.quote(part) for part in parts)


@contextlib.contextmanager
def signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block alike, also where a shell started the program with Ctrl-C ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
