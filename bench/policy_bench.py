"""What the policy pack costs: one judgement, its start, and a preview with it."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.figure import Figure, timed
from policies.rules import RULES
from sandbox.cli import Pulumi
from tests.policies import kit

ROOT: Final = Path(__file__).resolve().parent.parent
EXECUTABLE: Final = ROOT / "policies" / "pack"

EMPTY_PACK: Final = {
    "PulumiPolicy.yaml": "runtime: {name: python, options: {toolchain: pip, virtualenv: %s}}\nversion: 0.0.1\n",
    "__main__.py": """
import io, sys
from pulumi_policy import PolicyPack, ResourceValidationPolicy
sys.stdout = io.TextIOWrapper(open(1, "wb", buffering=0, closefd=False))
policy = ResourceValidationPolicy(name="nothing", description="Nothing.", validate=lambda args, report: None)
PolicyPack("empty", [policy])
""",
}
"""A pack whose one policy does nothing: what any pack costs before it judges."""


def judgement(runs: int) -> Iterator[Figure]:
    """Milliseconds for each resource and rule, through the SDK's server, reading of the properties included."""
    world = kit.world("secondary", "bidirectional")
    requests, whole = list(kit.resource_requests(world)), kit.stack_request(world)
    took = []
    for _ in range(runs):
        server = kit.server_for()
        began = time.perf_counter()
        for request in requests:
            server.Analyze(request, None)
        server.AnalyzeStack(whole, None)
        took.append(time.perf_counter() - began)
    seconds = statistics.median(took)
    each = seconds * 1000 / (len(requests) * len(RULES))
    detail = f"{seconds:.2f} s for {len(requests)} resources and {len(RULES)} rules"
    yield Figure("policy pack: one judgement", each, "ms", detail, goal=1.0)


def start(runs: int) -> Iterator[Figure]:
    """Seconds from starting the pack's process until the engine can call it."""
    began_with: dict[str, Sequence[str]] = {
        "executable": [str(EXECUTABLE), "127.0.0.1:0"],
        "folder": [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", str(EXECUTABLE.parent)],
    }
    for name, command in began_with.items():
        seconds = [_until_port(command) for _ in range(runs + 1)][1:]
        yield Figure(f"policy pack: start of its process, {name}", statistics.median(seconds), "s")


def _until_port(command: Sequence[str]) -> float:
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=EXECUTABLE.parent) as process:
        assert process.stdout is not None
        port = process.stdout.readline()
        took = time.perf_counter() - began
        process.kill()
    if not port.strip().isdigit():
        raise RuntimeError(f"{' '.join(command)} printed {port!r}, which is no port")
    return took


def previews(pulumi: Pulumi, stack: str, runs: int) -> Iterator[Figure]:
    """A preview with the pack against one with a pack that does nothing: the fixed start is in both.

    `pulumi` is a project whose stack exists. It is brought up first, so that all values are known and every rule judges
    in full, and with its cluster protected, as the pack demands.
    """
    pulumi.set_config(stack, "protect", True)
    pulumi.up(stack).check()
    with tempfile.TemporaryDirectory(prefix="msk-dr-pack-") as folder:
        for file, text in EMPTY_PACK.items():
            (Path(folder) / file).write_text(text.replace("%s", str(ROOT / ".venv")))
        packs = {
            "without": (),
            "empty": ("--policy-pack", folder),
            "folder": ("--policy-pack", str(EXECUTABLE.parent)),
            "executable": ("--policy-pack", str(EXECUTABLE)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in packs}
        for _ in range(runs):
            for name, arguments in packs.items():
                seconds[name].append(timed(lambda: pulumi.preview(stack, *arguments))[0])  # noqa: B023
    took = {name: statistics.median(values) for name, values in seconds.items()}
    yield Figure(
        "preview with the policy pack, against one with an empty pack",
        took["folder"] / took["empty"],
        "×",
        f"{took['folder']:.2f} s against {took['empty']:.2f} s",
        goal=1.25,
    )
    yield Figure(
        "preview: what an empty pack adds", took["empty"] - took["without"], "s", "the fixed start of any pack"
    )
    yield Figure(
        "preview: what the pack adds, folder", took["folder"] - took["without"], "s", f"{took['folder']:.2f} s"
    )
    yield Figure(
        "preview: what the pack adds, executable",
        took["executable"] - took["without"],
        "s",
        f"{took['executable']:.2f} s",
    )
