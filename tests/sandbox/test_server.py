"""The sandbox as a server and a command: one folder, one port on loopback, one owner, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from click.testing import CliRunner
from google.protobuf import empty_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import provider_pb2_grpc
from pulumi_aws import ec2

from sandbox.__main__ import main
from sandbox.api.context import Timing
from sandbox.aws.base import kind_of
from sandbox.cli import Pulumi, PulumiError, Result
from sandbox.folder import Server, announce, enter, owner, remove, running
from sandbox.server import Sandbox
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
    assert running_port(sandbox.folder) == sandbox.port
    assert owner(sandbox.folder) == os.getpid()


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


def test_the_ports_of_the_last_time_are_taken_again_unless_somebody_has_them(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as first:
        port = first.port
    with Sandbox(tmp_path) as second:
        assert second.port == port
    with socket.create_server(("127.0.0.1", port)), Sandbox(tmp_path) as third:
        assert third.port != port


def test_a_folder_keeps_the_mode_it_was_made_in(tmp_path: Path) -> None:
    with Sandbox(tmp_path):
        pass
    with pytest.raises(RuntimeError, match="it was made without Kafka, and what it holds does not fit the other mode"):
        Sandbox(tmp_path, kafka=True).__enter__()
    assert not (tmp_path / "kafka").exists()


def test_a_folder_with_content_that_is_not_a_sandboxs_is_left_alone(tmp_path: Path) -> None:
    for name in ("api", "state"):
        (tmp_path / name).mkdir()
    with pytest.raises(RuntimeError, match="it holds api, state, which no sandbox of this version made"):
        Sandbox(tmp_path).__enter__()
    remove(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["api", "state"]


def test_a_file_left_by_a_dead_server_does_not_name_a_process_to_kill(tmp_path: Path) -> None:
    stranger = json.dumps({"pid": os.getpid(), "port": 1})
    (tmp_path / "server.json").write_text(stranger)
    (tmp_path / "lock").write_text(str(os.getpid()))
    assert running(tmp_path) is None
    assert owner(tmp_path) is None
    assert "not running" in command(tmp_path, "down")


def command(folder: Path, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["--folder", str(folder), *arguments], prog_name="sandbox")
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Path]:
    """A folder for sandboxes in the background; none outlives the test."""
    folder = tmp_path / "box"
    yield folder
    if (pid := owner(folder)) is not None:
        os.kill(pid, signal.SIGKILL)


def up(folder: Path, *arguments: str) -> str:
    """A sandbox in the background; what `up` says."""
    return command(folder, "up", "--no-kafka", *arguments)


def test_a_sandbox_in_the_background_goes_on_after_a_stop_and_leaves_nothing_at_the_end(box: Path) -> None:
    assert "not running" in command(box, "status")
    assert "not running" in command(box, "down")
    assert not box.exists()
    said = up(box)
    pid, port = running_pid(box), running_port(box)
    assert f"as process {pid}, without Kafka" in said
    assert f'eval "$(sandbox --folder {box} env)"' in said
    assert os.getsid(pid) == pid, "it outlives the terminal"
    assert f"already running as process {pid}" in up(box)
    assert f"already running as process {pid}" in command(box, "up"), "a folder's mode need not be repeated"
    assert f"running as process {pid} on port {port}" in command(box, "status")

    command(box, "fail", EAST)
    assert f"stopped process {pid}; what exists is kept" in command(box, "down", "--keep")
    assert gone(pid)
    status = command(box, "status")
    assert "not running" in status
    assert re.search(rf"^{EAST} +down +0$", status, re.MULTILINE)
    command(box, "heal", EAST)
    command(box, "fail", "us-east-2")

    up(box)
    assert running_port(box) == port
    status = command(box, "status")
    assert re.search(r"^us-east-2 +down +0$", status, re.MULTILINE)
    assert not re.search(rf"^{EAST} +down", status, re.MULTILINE)
    pid = running_pid(box)
    (box / "notes.txt").write_text("a file of somebody else's")
    assert f"stopped process {pid}; removed what was in {box}" in command(box, "down")
    assert gone(pid)
    assert os.listdir(box) == ["notes.txt"]
    (box / "notes.txt").unlink()
    up(box)
    command(box, "down")
    assert not box.exists()


def test_a_start_that_fails_says_why_and_leaves_nothing(box: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = command(box, "up", "--no-kafka", "--port", str(taken.getsockname()[1]), code=1)
        assert "it did not start:" in said
        assert "bind" in said.lower()
        assert not box.exists()
        up(box)
        command(box, "down", "--keep")
        command(box, "up", "--port", str(taken.getsockname()[1]), code=1)
        assert (box / "state").exists(), "what was there before stays"
    assert owner(box) is None
    assert "it was made without Kafka" in command(box, "up", "--kafka", code=1)
    assert "it was made without Kafka" in command(box, "serve", "--kafka", code=1)


def test_a_killed_sandbox_is_no_obstacle(box: Path) -> None:
    up(box)
    os.kill(running_pid(box), signal.SIGKILL)
    up(box)
    os.kill(running_pid(box), signal.SIGKILL)
    wait_until(lambda: owner(box) is None)
    assert "not running" in command(box, "status")
    assert "not running; removed" in command(box, "down")
    assert not box.exists()


def test_down_ends_a_sandbox_that_is_still_starting(box: Path) -> None:
    arguments = [sys.executable, "-m", "sandbox", "--folder", str(box), "serve", "--no-kafka"]
    server = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: owner(box) == server.pid)
        assert f"stopped process {server.pid}" in command(box, "down")
        assert server.wait(10) == 0
    finally:
        server.kill()
        server.wait()
    assert not box.exists()


def test_the_command_line_fails_heals_and_shows_what_was_called(box: Path) -> None:
    up(box)
    command(box, "fail", EAST)
    command(box, "fail-once", "kafka:CreateReplicator", "--nth", "2")
    command(box, "crash", "create", "--after", "--region", "us-east-2")
    status = command(box, "status")
    assert "will fail before kafka:CreateReplicator in *, 2. call" in status
    assert "will crash after create in us-east-2, 1. call" in status
    with grpc.insecure_channel(f"127.0.0.1:{running_port(box)}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        with pytest.raises(grpc.RpcError, match="ServiceUnavailable"):
            stub.Configure(proto.ConfigureRequest(args=encode({"region": EAST})))
        command(box, "heal", EAST)
        stub.Configure(proto.ConfigureRequest(args=encode({"region": EAST})))
    calls = command(box, "logs", EAST).splitlines()
    assert calls[0] == "local stand-in for AWS: nothing is created at AWS"
    assert calls[1].endswith("pulumi sts:GetCallerIdentity provider ServiceUnavailable: Service Unavailable")
    assert calls[2].endswith("pulumi sts:GetCallerIdentity provider ok")
    assert command(box, "logs", "us-east-2").splitlines() == calls[:1]
    assert re.search(rf"^{EAST} +up +0$", command(box, "status"), re.MULTILINE)


def test_the_environment_replaces_what_the_user_has(box: Path) -> None:
    up(box)
    text = command(box, "env")
    mine = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "mine", "NO_PROXY": "example.com"}
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    shell = ["sh", "-c", f'eval "$1"; exec {sys.executable} -c "{show}"', "sh", text]
    env = json.loads(subprocess.run(shell, env=mine, capture_output=True, text=True, check=True).stdout)
    assert env["PULUMI_DEBUG_PROVIDERS"] == f"aws:{running_port(box)}"
    assert env["AWS_ACCESS_KEY_ID"] == "sandbox"
    assert env["NO_PROXY"] == "127.0.0.1,localhost,example.com"
    assert env["PATH"] == f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert "AWS_ENDPOINT_URL" not in env, "there is no API without Kafka"


def test_a_region_does_not_fail_by_half_when_the_server_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    held, _ = enter(tmp_path, kafka=True)
    with held:
        assert f"process {os.getpid()} is starting or stopping" in command(tmp_path, "fail", EAST, code=1)
        announce(tmp_path, Server(os.getpid(), 1, f"http://127.0.0.1:{closed}"))
        for verb in ("fail", "heal"):
            said = command(tmp_path, verb, EAST, code=1)
            assert f"the sandbox at http://127.0.0.1:{closed}/_sandbox does not do regions/{EAST}/{verb}" in said
            assert "Connection refused" in said
        assert not (tmp_path / "faults.json").exists()


def test_help_tells_the_times_that_hold(tmp_path: Path) -> None:
    told = " ".join(command(tmp_path, "up", "--help").split())
    for what, seconds in (("creation", Timing.create), ("update", Timing.update), ("deletion", Timing.delete)):
        assert re.search(rf"of an? {what} of an MSK resource\. \[default: {seconds}\]", told)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether the process has ended. A child of the test's stays a zombie until it is waited for."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def running_port(folder: Path) -> int:
    found = running(folder)
    assert found is not None
    return found.port


def running_pid(folder: Path) -> int:
    found = running(folder)
    assert found is not None
    return found.pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_server_in_the_foreground_stops_in_order(tmp_path: Path, number: signal.Signals) -> None:
    arguments = [sys.executable, "-m", "sandbox", "--folder", str(tmp_path), "serve", "--no-kafka"]
    server = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        assert "nothing is created at AWS; serving on 127.0.0.1:" in server.stderr.readline()
        server.send_signal(number)
        assert server.wait(10) == 0
        assert "the state is kept" in server.stderr.read()
    finally:
        server.kill()
        server.wait()
    assert running(tmp_path) is None
    assert (tmp_path / "state").exists()


def test_commands_say_what_is_wrong(tmp_path: Path) -> None:
    for arguments, message in (
        (["env"], f"not running; `sandbox --folder {tmp_path / 'none'} up` starts it"),
        (["fail", "us-middle-1"], "'us-middle-1' is not one of 'global', 'us-east-1'"),
        (["fail", EAST], f"does not exist; run `sandbox --folder {tmp_path / 'none'} up` first"),
        (["logs", "--kafka"], "has no clusters; deploy a stack first"),
        (["up", "--create-seconds", "-1"], "-1.0 is not in the range x>=0"),
    ):
        result = CliRunner().invoke(main, ["--folder", str(tmp_path / "none"), *arguments], prog_name="sandbox")
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
