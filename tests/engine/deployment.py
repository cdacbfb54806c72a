"""Both stacks of this very checkout, deployed by the real `pulumi` command on a sandbox of their own.

What the engine does is read from its event log, what reaches AWS from the sandbox's record of calls. What this cannot
prove is that AWS itself answers as the sandbox does.
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.cli import Pulumi, Result, Step
from sandbox.cloud import Call
from sandbox.server import Sandbox
from sandbox.state import read_journal

ROOT: Final = Path(__file__).resolve().parents[2]
REGIONS: Final = {"primary": "us-east-1", "secondary": "us-east-2"}
PEERS: Final = {"primary": "secondary", "secondary": "primary"}
DIRECTIONS: Final = ("primary-to-secondary", "bidirectional", "secondary-to-primary")

FOR_TESTS: Final = {"iamWaitSeconds": 0, "protect": False}
"""What differs from a real deployment: the sandbox knows a role at once, and what is built is torn down again."""

CLUSTER: Final = "aws:msk/cluster:Cluster"
REPLICATOR: Final = "aws:msk/replicator:Replicator"

_RANDOM: Final = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-\d)?"  # UUIDs, and those of MSK with a number behind them
    r"|(?<=-)[0-9a-f]{12}\b"  # a cluster's alias in metrics
    r"|(?<=-)[0-9a-f]{7}\b"  # Pulumi's own suffix
    r"|(?<=-)0[0-9a-f]{16}\b"  # ids of EC2
)


@dataclass(frozen=True)
class Deployment:
    """Where the two stacks are: `sandbox` is the pretended AWS, `pulumi` the command. Commands print what they say."""

    sandbox: Sandbox
    pulumi: Pulumi

    def configure(self, stack: str, **values: Any) -> None:
        """Edits the stack file as a user does; None takes a value out."""
        file = self.pulumi.directory / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text())
        for key, value in values.items():
            if value is None:
                content["config"].pop(f"msk-dr:{key}", None)
            else:
                content["config"][f"msk-dr:{key}"] = value
        file.write_text(yaml.safe_dump(content))

    def up(self, stack: str, *arguments: str) -> Result:
        """An update that has to succeed."""
        return self.pulumi.up(stack, *arguments).check()

    def settled(self, stack: str) -> Result:
        """A preview that has to find nothing to do."""
        return self.pulumi.preview(stack, "--expect-no-changes").check()

    def state(self, stack: str) -> dict[str, Any]:
        """What the stack's state says, without what is different in every deployment: ids, suffixes, times.

        What is left of a resource are its inputs, its place and what it depends on; of a component and of the stack,
        whose outputs the program writes, the outputs too.
        """
        return {_plain(resource["urn"]): _essence(resource) for resource in self.pulumi.export(stack)}

    def calls(self, *regions: str) -> list[Call]:
        """The calls made to these Regions, or to all, IAM included."""
        return [call for region in regions or (*REGIONS.values(), "global") for call in self.sandbox.calls(region)]

    def changing_calls(self, *regions: str) -> list[Call]:
        """The calls that change something at AWS."""
        return [call for call in self.calls(*regions) if not re.search(":(Describe|Get|List)", call.operation)]

    def existing(self) -> dict[str, list[str]]:
        """Ids of all that exists at AWS, by type; keys that wait for their deletion do not count."""
        found: dict[str, list[str]] = {}
        for journal in sorted((self.sandbox.folder / "state").glob("*.jsonl")):
            for kind, table in read_journal(journal).items():
                ids = [id_ for id_, held in table.items() if "deletionDate" not in held]
                if kind.startswith("aws:") and ids:
                    found.setdefault(kind, []).extend(sorted(ids))
        return found

    def pending(self, stack: str) -> list[str]:
        """Names of the resources that a killed engine was creating."""
        deployment = self.pulumi.run("stack", "export", "--stack", stack).check().output
        operations = yaml.safe_load(deployment)["deployment"].get("pending_operations", [])
        return [operation["resource"]["urn"].rpartition("::")[2] for operation in operations]


@contextmanager
def deployed(folder: Path, *, kafka: bool = False) -> Iterator[Deployment]:
    """The deployment in a folder, with its sandbox running. Nothing that it started may outlive it."""
    with Sandbox(folder, kafka=kafka) as sandbox:
        # As `make test` has it: the language host that belongs to the engine comes first.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        pulumi = _Talking(ROOT, folder / "projects", {**sandbox.env, "PATH": path})
        yield Deployment(sandbox, pulumi)
    deadline = time.monotonic() + 5  # what was killed needs a moment to be gone
    while (left := _processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, f"still running after the test: {left}"


def copied(template: Path, folder: Path) -> Path:
    """A copy of a deployment that is not running, to go on with; the program stays linked to this checkout."""
    return Path(shutil.copytree(template, folder, symlinks=True, ignore=shutil.ignore_patterns("logs", "lock")))


class _Talking(Pulumi):
    """Prints each engine command and what it says: pytest shows it when a test fails."""

    def engine(self, command: str, stack: str, *arguments: str, timeout: float = 600) -> Result:
        print(f"\n$ pulumi {command} --stack {stack} {' '.join(arguments)}")
        self.on_line = print
        try:
            return super().engine(command, stack, *arguments, timeout=timeout)
        finally:
            self.on_line = None


def changes(result: Result) -> set[tuple[str, str, str]]:
    """What a command changed or would change, as (operation, type, name)."""
    return {(step.op, step.type, step.name) for step in result.changes}


def of(steps: Iterable[Step], type_: str) -> list[Step]:
    return [step for step in steps if step.type == type_]


def assert_same(state: Mapping[str, Any], expected: Mapping[str, Any], when: str) -> None:
    """The two states are the same; else every difference is listed."""
    assert (lines := "\n".join(_differences(state, expected, ""))) == "", f"{when}:\n{lines}"


def _differences(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _differences(one.get(key), other.get(key), f"{path} / {key}")
    elif one != other:
        yield f"{path}: {one!r}, not {other!r}"


def warnings(result: Result) -> list[str]:
    return [diagnostic.message for diagnostic in result.diagnostics if diagnostic.severity == "warning"]


def _essence(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Dependencies are sets, which the engine writes in any order."""
    kept = [
        "type",
        "parent",
        "inputs",
        "protect",
        "provider",
        "external",
        *([] if resource.get("custom") else ["outputs"]),
    ]
    properties = resource.get("propertyDependencies", {})
    return {
        **{name: _plain(resource[name]) for name in kept if resource.get(name)},
        "dependencies": sorted(resource.get("dependencies", [])),
        "propertyDependencies": {name: sorted(needed) for name, needed in properties.items() if needed},
    }


def _plain(value: Any) -> Any:
    """The value with everything random in its texts replaced."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return _RANDOM.sub("…", value) if isinstance(value, str) else value


def _processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that have the folder in their environment. Only Linux tells."""
    mark = str(folder / "pulumi").encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes() and process.name != str(os.getpid()):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it is gone, or somebody else's
            continue
    return found
