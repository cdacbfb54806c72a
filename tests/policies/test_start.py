"""How the pack is started: as a folder and as an executable, quickly and without a word; and the script for CI."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2_grpc

from policies.rules import RULES
from tests.policies.kit import resource_requests
from tests.policies.spoils import baseline

ROOT: Final = Path(__file__).resolve().parents[2]
PACK: Final = ROOT / "policies"

# As the engine starts them, the folder by way of the language host.
STARTS: Final[dict[str, Sequence[str]]] = {
    "executable": [str(PACK / "pack"), "127.0.0.1:0"],
    "folder": [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", str(PACK)],
    "folder, by a host that buffers": [sys.executable, "-m", "pulumi.policy", "127.0.0.1:0", str(PACK)],
}


@contextmanager
def started(command: Sequence[str], cwd: Path, **environment: str) -> Iterator[Any]:
    """A stub for the pack that the command starts."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=cwd, env={**os.environ, **environment}) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().decode()
            assert port.strip().isdigit(), f"the engine reads the port from the first line, which is {port!r}"
            with grpc.insecure_channel(f"127.0.0.1:{port.strip()}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


@pytest.mark.parametrize("how", STARTS)
def test_the_pack_starts_and_lists_its_rules(how: str, tmp_path: Path) -> None:
    cwd = tmp_path if how == "executable" else PACK
    with started(STARTS[how], cwd) as pack:
        info = pack.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == "msk-dr"
    assert [policy.name for policy in info.policies] == [rule.name for rule in RULES]
    for policy, rule in zip(info.policies, RULES, strict=True):
        assert policy.description == rule.why
        assert policy.url == rule.url
        assert set(policy.configSchema.properties) == set(rule.schema)


def test_the_executable_uses_the_python_that_pulumi_is_told_to_use(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho told\n")
    python.chmod(0o755)
    command = [str(PACK / "pack"), "127.0.0.1:0"]
    ran = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PULUMI_PYTHON_CMD": str(python)}, check=True
    )
    assert ran.stdout == "told\n"


def test_the_executable_works_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "pack").symlink_to(PACK / "pack")
    with started([str(tmp_path / "pack"), "127.0.0.1:0"], tmp_path) as pack:
        assert pack.GetAnalyzerInfo(empty_pb2.Empty()).name == "msk-dr"


@pytest.mark.thorough
def test_four_workers_at_once_say_what_one_says(tmp_path: Path) -> None:
    requests = list(resource_requests(baseline()))
    with started(STARTS["executable"], tmp_path) as pack:
        alone = [pack.Analyze(request) for request in requests]
        at_once = [call.result() for call in [pack.Analyze.future(request) for request in requests]]
    assert at_once == alone
    assert not any(response.diagnostics for response in alone)


def test_the_pack_loads_neither_a_clouds_sdk_nor_the_program() -> None:
    code = "import sys; sys.path.insert(0, '.'); import rules; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PACK, capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "pulumi_policy" in loaded
    assert not loaded & {"pulumi_aws", "boto3", "config", "components", "sandbox", "tests"}


@pytest.fixture
def fake_pulumi(tmp_path: Path) -> Path:
    """A `pulumi` that writes down its arguments and fails for the stack `bad`."""
    script = tmp_path / "bin" / "pulumi"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\necho "$@" >> "$CALLS"\ncase "$*" in *"--stack bad"*) exit 255;; esac\n')
    script.chmod(0o755)
    return script.parent


@pytest.mark.parametrize(("stacks", "code"), [(["good", "fine"], 0), (["bad", "good"], 1), ([], 2)])
def test_the_script_for_ci_previews_every_stack_and_tells_by_its_exit_code(
    stacks: list[str], code: int, fake_pulumi: Path, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    calls.touch()
    environment = {"PATH": f"{fake_pulumi}:{os.environ['PATH']}", "CALLS": str(calls), "POLICY_CONFIG": ""}
    ran = subprocess.run([str(PACK / "preview"), *stacks], env={**os.environ, **environment}, cwd=tmp_path, check=False)
    assert ran.returncode == code
    assert calls.read_text().splitlines() == [
        f"preview --non-interactive --suppress-progress --stack {stack} --policy-pack {PACK}" for stack in stacks
    ]


def test_the_script_for_ci_hands_a_configuration_on(fake_pulumi: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    environment = {
        "PATH": f"{fake_pulumi}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "POLICY_CONFIG": "my config.json",
    }
    subprocess.run([str(PACK / "preview"), "good"], env={**os.environ, **environment}, cwd=tmp_path, check=True)
    assert calls.read_text().endswith("--policy-pack-config my config.json\n")
