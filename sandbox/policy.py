"""`make policy`: both stacks previewed with the policy pack, on the stand-in for AWS.

The command is the one that a pull request runs, `policies/preview`, and so is the exit code. Before it both stacks are
brought up on the stand-in without the pack, so that every value is known and every rule judges in full.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from sandbox.cli import Pulumi, PulumiError
from sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
STACKS = ("primary", "secondary")


def main() -> int:
    console = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory(prefix="msk-dr-policy-") as folder, Sandbox(Path(folder)) as sandbox:
        pulumi = Pulumi(ROOT, Path(folder) / "projects", sandbox.env)
        for stack in STACKS:
            with console.status(f"bringing {stack} up on the stand-in; nothing is created at AWS"):
                pulumi.init(stack, {"iamWaitSeconds": 0})
                try:
                    pulumi.up(stack).check()
                except PulumiError as error:
                    console.print(error.result.output, markup=False)
                    return 1
        environment = {
            **os.environ,
            **sandbox.env,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        if config := os.environ.get("POLICY_CONFIG"):
            environment["POLICY_CONFIG"] = str(Path(config).absolute())
        command = [str(ROOT / "policies" / "preview"), *STACKS]
        return subprocess.run(command, cwd=pulumi.directory, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
