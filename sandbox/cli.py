"""Runs the real `pulumi` command on a copy of a project, and reads what the engine did from its event log.

The copy exists because the CLI writes into the project: the secrets' salt goes into `Pulumi.<stack>.yaml`. Sources are
linked, not copied, so a change of the program is seen by the next command.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "TMPDIR", "TZ", "USER")
_LOOKS = frozenset({"discard", "read", "read-discarded", "refresh", "same"})
_KEPT_OUT = {".git", ".sandbox", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


@dataclass(frozen=True)
class Step:
    """One thing that the engine did, or would do, to a resource."""

    op: str
    urn: str
    type: str
    name: str
    diffs: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Whether something of the program's changes: not a mere look, and not a resource of the engine itself."""
        return self.op not in _LOOKS and not self.type.startswith("pulumi:")


@dataclass(frozen=True)
class Diagnostic:
    """A message of the engine, a program or a provider."""

    severity: str
    message: str
    urn: str = ""


@dataclass(frozen=True)
class Result:
    """What a command said and did."""

    command: tuple[str, ...]
    code: int
    output: str
    events: tuple[Mapping[str, Any], ...] = ()

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def steps(self) -> list[Step]:
        """Every step, in the order in which the engine began them; those of a preview are what it would do."""
        return [_step(event["resourcePreEvent"]["metadata"]) for event in self.events if "resourcePreEvent" in event]

    @property
    def changes(self) -> list[Step]:
        """The steps that change something of the program's, components included."""
        return [step for step in self.steps if step.is_change]

    def changed(self, op: str) -> list[str]:
        """Names of the resources with this kind of step, sorted."""
        return sorted(step.name for step in self.changes if step.op == op)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        found = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        return [
            Diagnostic(event["severity"], event["message"].strip(), event.get("urn", ""))
            for event in found
            if event["severity"] != "debug"
        ]

    @property
    def summary(self) -> dict[str, int]:
        """Number of resources for each kind of step, as the CLI counts them at the end."""
        summaries = [event["summaryEvent"] for event in self.events if "summaryEvent" in event]
        return dict(summaries[-1]["resourceChanges"]) if summaries else {}

    def check(self) -> Result:
        """This result, if the command succeeded. Raises PulumiError otherwise."""
        if not self.ok:
            raise PulumiError(self)
        return self


class PulumiError(RuntimeError):
    """A command that failed, with everything it said."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{' '.join(result.command)} ended with {result.code}:\n{result.output}")
        self.result = result


def _step(metadata: Mapping[str, Any]) -> Step:
    urn = metadata["urn"]
    detailed = metadata.get("detailedDiff") or {}
    replaces = [path for path, change in detailed.items() if change.get("diffKind", "").endswith("-replace")]
    return Step(
        op=metadata["op"],
        urn=urn,
        type=metadata["type"],
        name=urn.rpartition("::")[2],
        diffs=tuple(detailed or metadata.get("diffs") or ()),
        replaces=tuple(sorted(replaces)),
    )


class Pulumi:
    """The `pulumi` command on one project.

        pulumi = Pulumi(project, folder / "projects", sandbox.env)
        pulumi.init("primary")
        result = pulumi.up("primary").check()

    Every command runs without questions in a session of its own, and is ended with it: on a timeout, and when the
    caller is interrupted.
    """

    def __init__(
        self,
        project: Path,
        workspaces: Path,
        env: Mapping[str, str],
        *,
        executable: str | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.directory = workspaces / project.name
        self.on_line = on_line
        self._executable = executable or find_pulumi()
        # `--event-log` is hidden unless commands for debugging are asked for.
        self._env = {**_clean_environment(), **env, "PULUMI_DEBUG_COMMANDS": "true"}
        _link_project(project, self.directory)
        self.process: subprocess.Popen[str] | None = None

    def init(self, stack: str, config: Mapping[str, Any] | None = None) -> None:
        """Makes a stack, or leaves the one that is there, and sets config values."""
        listed = self.run("stack", "ls", "--json").check()
        if stack not in {entry["name"].rpartition("/")[2] for entry in json.loads(listed.output)}:
            self.run("stack", "init", stack, "--no-select").check()
        for key, value in (config or {}).items():
            self.set_config(stack, key, value)

    def set_config(self, stack: str, key: str, value: Any) -> None:
        """Sets a config value; lists and objects go in as JSON, None takes the value out."""
        if value is None:
            self.run("config", "rm", key, "--stack", stack).check()
            return
        text = value if isinstance(value, str) else json.dumps(value)
        if isinstance(value, list | dict):
            # `config set` would store the JSON as text, which the project's schema refuses.
            entry = {key: {"value": text, "objectValue": value}}
            self.run("config", "set-all", "--stack", stack, "--json", json.dumps(entry)).check()
        else:
            self.run("config", "set", key, "--stack", stack, "--", text).check()

    def preview(self, stack: str, *arguments: str) -> Result:
        return self.engine("preview", stack, "--diff", *arguments)

    def up(self, stack: str, *arguments: str) -> Result:
        return self.engine("up", stack, "--yes", "--skip-preview", *arguments)

    def refresh(self, stack: str, *arguments: str) -> Result:
        return self.engine("refresh", stack, "--yes", "--skip-preview", *arguments)

    def destroy(self, stack: str, *arguments: str) -> Result:
        return self.engine("destroy", stack, "--yes", "--skip-preview", *arguments)

    def cancel(self, stack: str) -> None:
        """Takes away the lock that an engine left when it died. A stack without one is left as it is."""
        self.run("cancel", "--yes", "--stack", stack).check()

    def outputs(self, stack: str) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(
            self.run("stack", "output", "--json", "--show-secrets", "--stack", stack).check().output
        )
        return result

    def export(self, stack: str) -> list[dict[str, Any]]:
        """The resources in the stack's state."""
        state = json.loads(self.run("stack", "export", "--show-secrets", "--stack", stack).check().output)
        resources: list[dict[str, Any]] = state["deployment"].get("resources", [])
        return resources

    def engine(self, command: str, stack: str, *arguments: str, timeout: float = 600) -> Result:
        """An engine command, with its events."""
        with tempfile.TemporaryDirectory(dir=self.directory.parent, prefix=".events-") as scratch:
            log = Path(scratch) / "events.jsonl"
            result = self.run(
                *(command, "--stack", stack, "--event-log", str(log), *arguments), timeout=timeout, stderr_too=True
            )
            return Result(result.command, result.code, result.output, tuple(_events(log)))

    def run(self, *arguments: str, timeout: float = 60, stderr_too: bool = False) -> Result:
        """Any command. Raises TimeoutError, after ending it, when it takes longer than `timeout` seconds."""
        command = (self._executable, *arguments, "--non-interactive", "--color", "never", "--cwd", str(self.directory))
        # Arguments after "--" must stay last.
        if "--" in arguments:
            at = arguments.index("--")
            command = (self._executable, *arguments[:at], *command[len(arguments) + 1 :], *arguments[at:])
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if stderr_too else errors,
                text=True,
                start_new_session=True,
            )
            self.process = process
            late = threading.Event()

            def give_up() -> None:
                late.set()
                _end(process)

            timer = threading.Timer(timeout, give_up)
            timer.start()
            reaper = threading.Thread(target=_reap, args=(process,), daemon=True)
            reaper.start()
            try:
                lines = self._stream(process)
            except BaseException:
                _end(process)
                raise
            finally:
                reaper.join()
                timer.cancel()
                self.process = None
            errors.seek(0)
            output = "".join(lines)
            failed = process.returncode != 0 and not stderr_too
            result = Result(tuple(command), process.returncode, output + (errors.read() if failed else ""))
        if late.is_set():
            raise TimeoutError(f"{' '.join(command)} took longer than {timeout} s:\n{output}")
        return result

    def _stream(self, process: subprocess.Popen[str]) -> list[str]:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if self.on_line is not None:
                self.on_line(line.rstrip("\n"))
        return lines


def find_pulumi() -> str:
    """The CLI that `make setup` put beside this Python, else the one on PATH. Raises FileNotFoundError."""
    beside = Path(sys.executable).parent / "pulumi"
    found = str(beside) if beside.exists() else shutil.which("pulumi")
    if found is None:
        raise FileNotFoundError(f"there is no pulumi command, neither {beside} nor on PATH; run `make setup`")
    return found


def _clean_environment() -> dict[str, str]:
    """The little of this process's environment that commands need; nothing that changes what Pulumi or AWS does."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _link_project(project: Path, directory: Path) -> None:
    """Makes `directory` a project of its own: YAML files copied once, everything else linked."""
    directory.mkdir(parents=True, exist_ok=True)
    for source in _contents(project):
        target = directory / source.name
        if source.suffix == ".yaml" and source.is_file():
            if source.name == "Pulumi.yaml" or not target.exists():
                shutil.copyfile(source, target)
        elif not target.is_symlink():
            target.symlink_to(source.resolve() if source.name != ".venv" else source.absolute())


def _contents(project: Path) -> Iterable[Path]:
    return (entry for entry in sorted(project.iterdir()) if entry.name not in _KEPT_OUT)


def _events(log: Path) -> list[dict[str, Any]]:
    """The events written so far; a killed engine leaves a line cut off."""
    if not log.exists():
        return []
    lines = log.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _end(process: subprocess.Popen[str], patience: float = 10) -> None:
    """Asks the command to stop, as Ctrl-C does, and kills it when it does not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reap(process: subprocess.Popen[str]) -> None:
    """Waits for the command, then ends what a dead engine left running, which would keep the output open for ever."""
    if process.wait() != 0:
        _kill_session(process)


def _kill_session(process: subprocess.Popen[str]) -> None:
    """Ends the language host and the program of an engine that has died.

    The engine gives its plugins process groups of their own, but they stay in its session.
    """
    for pid in _pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == process.pid:
                os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    if sys.platform == "linux":
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    listed = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True)
    return [int(line) for line in listed.stdout.split()]
