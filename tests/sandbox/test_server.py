"""The sandbox as a server and a command: one folder, one port on loopback, one owner, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf import empty_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import provider_pb2_grpc
from pulumi_aws import ec2

from sandbox.__main__ import main
from sandbox.aws.base import kind_of
from sandbox.cli import Pulumi, PulumiError, Result
from sandbox.server import Sandbox, running
from sandbox.wire import encode
from tests.sandbox.kit import EAST

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "box") as opened:
        yield opened


@pytest.fixture
def stub(sandbox: Sandbox) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{sandbox.port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)


def test_an_engine_can_attach_and_is_told_the_sdks_version(stub: Any) -> None:
    stub.Attach(proto.PluginAttach(address="127.0.0.1:1"))
    assert stub.GetPluginInfo(empty_pb2.Empty()).version == version("pulumi_aws")
    assert stub.Handshake(proto.ProviderHandshakeRequest(engine_address="x")).accept_secrets


def test_cancel_does_not_end_the_server(stub: Any) -> None:
    stub.Cancel(empty_pb2.Empty())
    assert stub.GetPluginInfo(empty_pb2.Empty()).version


def test_configuration_belongs_to_a_connection(sandbox: Sandbox, stub: Any) -> None:
    check = proto.CheckRequest(type=kind_of(ec2.Vpc), name="v", news=encode({}))
    for region in ("us-east-2", "us-west-2"):
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{sandbox.port}", options=options) as channel:
            own = provider_pb2_grpc.ResourceProviderStub(channel)
            own.Configure(proto.ConfigureRequest(args=encode({"region": region})))
            assert own.Check(check).inputs["region"] == region
    with pytest.raises(grpc.RpcError, match="was not configured"):
        stub.Check(check)


def test_a_changed_region_of_a_provider_replaces_it(stub: Any) -> None:
    request = proto.DiffRequest(olds=encode({"region": EAST}), news=encode({"region": "us-east-2"}))
    assert list(stub.DiffConfig(request).replaces) == ["region"]
    same = proto.DiffRequest(olds=encode({"region": EAST}), news=encode({"region": EAST}))
    assert list(stub.DiffConfig(same).replaces) == []


def test_it_listens_on_one_loopback_address_only(sandbox: Sandbox) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=2):
        pass
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", sandbox.port), timeout=2):
        pass


def test_the_environment_leads_to_the_sandbox_and_to_nothing_else(sandbox: Sandbox) -> None:
    env = sandbox.env
    assert env["PULUMI_DEBUG_PROVIDERS"] == f"aws:{sandbox.port}"
    assert env["PULUMI_BACKEND_URL"] == f"file://{sandbox.folder}/backend"
    assert env["PULUMI_HOME"].startswith(str(sandbox.folder))
    assert env["AWS_ACCESS_KEY_ID"] == "sandbox"
    assert env["PULUMI_CONFIG_PASSPHRASE"] == ""


def test_a_folder_has_one_sandbox_at_a_time(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="in use by another sandbox"):
        Sandbox(sandbox.folder).__enter__()
    found = running(sandbox.folder)
    assert found is not None
    assert found["port"] == sandbox.port


def test_a_port_that_is_taken_leaves_the_folder_free(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="bind"):
        Sandbox(tmp_path / "other", port=sandbox.port).__enter__()
    with Sandbox(tmp_path / "other") as free:
        assert free.port != sandbox.port


def test_a_stopped_sandbox_goes_on_where_it_was(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as first:
        first.fail(EAST)
        first.cloud.region("us-east-2").put("aws:ec2/vpc:Vpc", "vpc-1", {"cidrBlock": "10.0.0.0/16"})
    assert running(tmp_path) is None
    with Sandbox(tmp_path) as second:
        assert second.cloud.faults.down == {EAST}
        assert list(second.resources("us-east-2", "aws:ec2/vpc:Vpc")) == ["vpc-1"]
        second.forget("us-east-2", "aws:ec2/vpc:Vpc", "vpc-1")
        assert second.resources("us-east-2", "aws:ec2/vpc:Vpc") == {}


def test_a_sandbox_outside_its_block_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="use it in a `with` block"):
        Sandbox(tmp_path).fail(EAST)


def test_a_file_left_by_a_dead_server_does_not_name_a_process_to_kill(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"pid": os.getpid(), "port": 1}))
    assert running(tmp_path) is None
    assert not (tmp_path / "server.json").exists()


def command(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, ["--folder", str(folder), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_line_serves_fails_heals_and_stops(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    assert "not running" in command(folder, "status")
    assert "not running" in command(folder, "down")
    arguments = [sys.executable, "-m", "sandbox", "--folder", str(folder), "serve", "--quiet"]
    server = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        assert "nothing is created at AWS; serving on 127.0.0.1:" in server.stderr.readline()
        assert f"running as process {server.pid}" in command(folder, "status")
        assert f"export PULUMI_DEBUG_PROVIDERS=aws:{running_port(folder)}" in command(folder, "env")
        command(folder, "fail", EAST)
        command(folder, "fail-once", "kafka:CreateReplicator", "--nth", "2")
        command(folder, "crash", "create", "--after", "--region", "us-east-2")
        status = command(folder, "status")
        assert "will fail before kafka:CreateReplicator in *, 2. call" in status
        assert "will crash after create in us-east-2, 1. call" in status
        with grpc.insecure_channel(f"127.0.0.1:{running_port(folder)}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            with pytest.raises(grpc.RpcError, match="ServiceUnavailable"):
                stub.Configure(proto.ConfigureRequest(args=encode({"region": EAST})))
            command(folder, "heal", EAST)
            stub.Configure(proto.ConfigureRequest(args=encode({"region": EAST})))
        calls = command(folder, "logs", EAST).splitlines()
        assert calls[0] == "local stand-in for AWS: nothing is created at AWS"
        assert calls[1].endswith("sts:GetCallerIdentity provider ServiceUnavailable: Service Unavailable")
        assert calls[2].endswith("sts:GetCallerIdentity provider ok")
        assert f"{EAST}: 0 resources" in command(folder, "status")
        assert f"stopped process {server.pid}" in command(folder, "down", "--purge")
        assert server.wait(10) == 0
    finally:
        server.kill()
        server.wait()
    assert not folder.exists()


def running_port(folder: Path) -> int:
    found = running(folder)
    assert found is not None
    return found["port"]


def test_ctrl_c_stops_a_server_in_the_foreground(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "sandbox", "--folder", str(tmp_path), "serve"]
    server = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        server.stderr.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
        assert "the state is kept" in server.stderr.read()
    finally:
        server.kill()
        server.wait()
    assert running(tmp_path) is None


def test_commands_say_what_is_wrong(tmp_path: Path) -> None:
    for arguments, message in (
        (["env"], "not running; start it with `python -m sandbox serve`"),
        (["fail", "us-middle-1"], "'us-middle-1' is not one of 'global', 'us-east-1'"),
        (["fail", EAST], "does not exist; run `python -m sandbox serve` first"),
    ):
        result = CliRunner().invoke(main, ["--folder", str(tmp_path / "none"), *arguments])
        assert result.exit_code != 0
        assert message in result.output


@pytest.fixture
def fake(tmp_path: Path) -> Pulumi:
    """The runner with a command that is not Pulumi: it prints its arguments, or sleeps with a child."""
    program = tmp_path / "pulumi"
    program.write_text(
        "#!/bin/sh\n"
        'echo "$@"\n'
        'if [ "$1" = sleep ]; then sleep 60 & echo $! > "$2"; wait; fi\n'
        'if [ "$1" = fail ]; then echo broken >&2; exit 3; fi\n'
    )
    program.chmod(0o755)
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: x\n")
    (project / "Pulumi.dev.yaml").write_text("config: {}\n")
    (project / "__main__.py").write_text("")
    (project / ".git").mkdir()
    return Pulumi(project, tmp_path / "workspaces", {"EXTRA": "1"}, executable=str(program))


def test_a_project_is_linked_and_its_stack_files_are_copied(fake: Pulumi, tmp_path: Path) -> None:
    workspace = fake.directory
    assert (workspace / "__main__.py").is_symlink()
    assert not (workspace / "Pulumi.dev.yaml").is_symlink()
    assert not (workspace / ".git").exists()
    (workspace / "Pulumi.dev.yaml").write_text("changed: true\n")
    (tmp_path / "project" / "Pulumi.yaml").write_text("name: y\n")
    Pulumi(tmp_path / "project", tmp_path / "workspaces", {}, executable="x")
    assert (workspace / "Pulumi.dev.yaml").read_text() == "changed: true\n", "the stack's own values are kept"
    assert (workspace / "Pulumi.yaml").read_text() == "name: y\n"
    assert (tmp_path / "project" / "Pulumi.dev.yaml").read_text() == "config: {}\n"


def test_arguments_after_two_dashes_stay_last(fake: Pulumi) -> None:
    said = fake.run("config", "set", "a", "--", "-b").output.split()
    assert said[-2:] == ["--", "-b"]
    assert "--non-interactive" in said[:-2]


def test_a_failed_command_raises_with_all_it_said(fake: Pulumi) -> None:
    with pytest.raises(PulumiError, match="(?s)ended with 3:.*broken"):
        fake.run("fail").check()


def test_lines_are_passed_on_while_they_come(fake: Pulumi) -> None:
    lines: list[str] = []
    fake.on_line = lines.append
    fake.run("hello")
    assert lines[0].startswith("hello --non-interactive")


def test_a_command_that_takes_too_long_is_ended_with_its_children(fake: Pulumi, tmp_path: Path) -> None:
    note = tmp_path / "child"
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="took longer than 0.5 s"):
        fake.run("sleep", str(note), timeout=0.5)
    assert time.monotonic() - begun < 15
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.kill(int(note.read_text()), 0)
            time.sleep(0.1)


def test_only_what_a_command_needs_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.cli import _clean_environment

    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "secret")
    assert "PATH" in _clean_environment()
    assert not {"AWS_PROFILE", "PULUMI_ACCESS_TOKEN"} & _clean_environment().keys()


def test_steps_are_read_from_the_engines_events() -> None:
    urn = "urn:pulumi:s::p::aws:ec2/vpc:Vpc::net"
    diff = {"cidrBlock": {"diffKind": "update-replace"}, "tags.a": {"diffKind": "add"}}
    metadata = {"op": "update", "urn": urn, "type": "aws:ec2/vpc:Vpc", "detailedDiff": diff}
    look = {"op": "same", "urn": urn, "type": "aws:ec2/vpc:Vpc"}
    engine = {"op": "create", "urn": "u::default", "type": "pulumi:providers:aws"}
    events = tuple({"resourcePreEvent": {"metadata": entry}} for entry in (metadata, look, engine))
    message = {"diagnosticEvent": {"severity": "error", "message": "no\n", "urn": urn}}
    hidden = {"diagnosticEvent": {"severity": "debug", "message": "psst"}}
    result = Result(("pulumi",), 0, "", (*events, message, hidden, {"summaryEvent": {"resourceChanges": {"same": 1}}}))
    assert [step.op for step in result.steps] == ["update", "same", "create"]
    (change,) = result.changes
    assert (change.name, change.diffs, change.replaces) == ("net", ("cidrBlock", "tags.a"), ("cidrBlock",))
    assert result.changed("update") == ["net"]
    assert [diagnostic.message for diagnostic in result.diagnostics] == ["no"]
    assert result.summary == {"same": 1}
