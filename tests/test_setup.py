"""`make setup`: toolchain/bootstrap.py run as a user runs it, on machines that have more or less.

A machine here is a PATH with nothing on it but what a test puts there. `uv`, `go` and `pulumi` are small scripts that
note how they were called, and so is the clone's `sandbox.kafka`; the processes, signals, locks, links and the HTTP
request are real. What these tests cannot show is that Pulumi's own installer, a real Go and real package indexes play
their parts: CI shows that, on a machine with an empty cache.
"""

import ast
import http.server
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from toolchain import bootstrap

ROOT = Path(__file__).resolve().parent.parent
NOWHERE = "http://127.0.0.1:9/"  # nobody listens on the discard port: a machine without a network
PINNED = bootstrap.sdk_version(ROOT / "toolchain" / "engine")

UV = """
case "$1" in
venv) mkdir -p "$4/bin"; ln -s "$3" "$4/bin/python"; echo "version_info = $VERSION_INFO" > "$4/pyvenv.cfg" ;;
pip) exit "${SYNC_ENDS_WITH:-0}" ;;
esac
"""

GO = f"""
case "$1" in
env) echo "${{GO_VERSION:-go1.99.0}}" ;;
list) echo "$HOME/sdk" ;;
install)
    echo "go: downloading example.com/module v1.0.0"
    echo example.com/module/package
    if [ -n "$GO_HANGS" ]; then echo $$ > "$HOME/go.pid"; exec sleep 60; fi
    sleep "${{GO_TAKES:-0}}"
    case "$PWD" in */engine) file=pulumi ;; *) file=pulumi-language-python ;; esac
    mkdir -p "$GOBIN"
    printf '#!/bin/sh\\necho v{PINNED}\\n' > "$GOBIN/$file"
    chmod +x "$GOBIN/$file" ;;
esac
"""

INSTALLER = f"""#!/bin/sh
echo "installer $*" >> "$HOME/calls"
while [ $# -gt 0 ]; do [ "$1" = --install-root ] && root=$2; shift; done
mkdir -p "$root/bin"
for file in pulumi pulumi-language-python pulumi-language-python-exec; do
    printf '#!/bin/sh\\necho v{PINNED}\\n' > "$root/bin/$file"
    chmod +x "$root/bin/$file"
done
"""


KAFKA = """
import os, sys
from pathlib import Path
home = Path(os.environ["HOME"])
with (home / "calls").open("a") as calls: print("kafka", *sys.argv[1:], file=calls)
if os.environ.get("KAFKA_ENDS_WITH"): sys.exit("Error: jspecify is not to be had")
for name in ("java", "jars"): (home / name).touch(); print(home / name)
"""

SANDBOX = """
import sys
def main(prog_name): print(prog_name, *sys.argv[1:], "from", sys.path[0])
"""


class Machine:
    """A fresh clone, an empty home, and a PATH with a shell's bare necessities and curl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.bin = folder / "bin"
        self.cache = self.home / ".cache" / "msk-dr"
        self.env = {
            "HOME": str(self.home),
            "PATH": str(self.bin),
            "VERSION_INFO": f"{sys.version_info[0]}.{sys.version_info[1]}",
        }
        script = self.home / "sdk" / "python" / "cmd" / "pulumi-language-python-exec"
        script.parent.mkdir(parents=True)
        script.touch(mode=0o444)
        self.bin.mkdir()
        for name in ("sh", "mkdir", "ln", "chmod", "sleep", "curl"):
            found = shutil.which(name)
            if found:
                (self.bin / name).symlink_to(found)
        self.clone = self.new_clone("clone")

    def new_clone(self, name: str) -> Path:
        clone = self.folder / name
        shutil.copytree(ROOT / "toolchain", clone / "toolchain", ignore=shutil.ignore_patterns("__pycache__"))
        (clone / "toolchain" / "requirements.txt").write_text("package==1.0\n")
        kafka = clone / "sandbox" / "kafka"
        kafka.mkdir(parents=True)
        (kafka / "kafka.lock").write_text("group:jar:1.0 0123\n")
        (kafka / "__main__.py").write_text(KAFKA)
        (clone / "sandbox" / "__main__.py").write_text(SANDBOX)
        return clone

    def has(self, name: str, script: str, folder: Path | None = None) -> Path:
        """Puts a tool on PATH (or into another folder) that notes its calls in the home."""
        tool = (folder or self.bin) / name
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >> "$HOME/calls"\n{script}\n')
        tool.chmod(0o755)
        return tool

    def has_cli(self, version: str, folder: Path | None = None) -> Path:
        cli = self.has("pulumi", f"echo {version}", folder)
        self.has("pulumi-language-python", "", cli.parent)
        return cli

    def start(
        self, *options: str, clone: Path | None = None, installer: str = NOWHERE, **env: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, (clone or self.clone) / "toolchain" / "bootstrap.py", *options],
            env={**self.env, bootstrap.INSTALLER_URL_VARIABLE: installer, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def set_up(
        self, *options: str, clone: Path | None = None, installer: str = NOWHERE, **env: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*options, clone=clone, installer=installer, **env)
        out, err = process.communicate(timeout=20)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def calls(self, tool: str) -> list[str]:
        noted = self.home / "calls"
        lines = noted.read_text().splitlines() if noted.exists() else []
        return [line for line in lines if line.startswith(tool + " ")]

    def forget_calls(self) -> None:
        (self.home / "calls").unlink(missing_ok=True)

    def linked(self, name: str = "pulumi") -> Path:
        return (self.clone / ".venv" / "bin" / name).resolve()

    def kept(self) -> list[str]:
        """What set-up left in the user's cache folder."""
        return sorted(entry.name for entry in self.cache.iterdir()) if self.cache.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.has("uv", UV)
    return machine


@pytest.fixture
def installer() -> Iterator[str]:
    """The address of a server that serves an installer script."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(INSTALLER.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


# Which CLI


def test_a_recent_cli_on_path_is_linked_and_nothing_is_fetched_or_built(machine: Machine) -> None:
    machine.has("go", GO)
    cli = machine.has_cli("v3.260.1-alpha.7")
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.linked() == cli
    assert machine.linked("pulumi-language-python") == cli.with_name("pulumi-language-python")
    assert machine.calls("go") == []
    assert machine.kept() == ["lock"]


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("v3.254.9", "is 3.254.9; 3.255.0 or newer of major version 3 is needed"),
        ("v4.0.0", "is 4.0.0; 3.255.0 or newer of major version 3 is needed"),
        ("", "`` is no version"),
    ],
)
def test_a_cli_that_will_not_do_is_passed_over_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, reason: str
) -> None:
    machine = Machine(tmp_path)
    machine.has_cli(version)
    monkeypatch.setenv("PATH", str(machine.bin))
    monkeypatch.setenv("HOME", str(machine.home))
    with pytest.raises(bootstrap.SetupError, match=re.escape(reason)):
        bootstrap.cli_on_path(bootstrap.Checkout(machine.clone, machine.cache))


def test_the_oldest_version_that_will_do_is_taken_even_behind_one_that_will_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path)
    machine.has_cli("v3.100.0")
    cli = machine.has_cli("v3.255.0", tmp_path / "second")
    monkeypatch.setenv("PATH", f"{machine.bin}:{cli.parent}")
    monkeypatch.setenv("HOME", str(machine.home))
    assert bootstrap.cli_on_path(bootstrap.Checkout(machine.clone, machine.cache)) == cli


def test_a_cli_without_its_language_host_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path)
    machine.has("pulumi", "echo v3.260.0")
    monkeypatch.setenv("PATH", str(machine.bin))
    monkeypatch.setenv("HOME", str(machine.home))
    with pytest.raises(bootstrap.SetupError, match="has no pulumi-language-python beside it"):
        bootstrap.cli_on_path(bootstrap.Checkout(machine.clone, machine.cache))


def test_what_set_up_itself_linked_does_not_count_as_being_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path)
    machine.has_cli("v3.260.0", machine.clone / ".venv" / "bin")
    monkeypatch.setenv("PATH", f"{machine.clone}/.venv/bin:{machine.clone}/toolchain/../.venv/bin:{machine.bin}")
    with pytest.raises(bootstrap.SetupError, match="there is none"):
        bootstrap.cli_on_path(bootstrap.Checkout(machine.clone, machine.cache))


@pytest.mark.skipif(shutil.which("curl") is None, reason="Pulumi's installer needs curl")
def test_the_installer_comes_next_and_its_result_serves_a_second_clone_without_a_network(
    machine: Machine, installer: str
) -> None:
    machine.has("go", GO)
    done = machine.set_up(installer=installer)
    assert done.returncode == 0, done.stderr
    (call,) = machine.calls("installer")
    assert re.fullmatch(rf"installer --no-edit-path --install-root \S+ --version {re.escape(PINNED)}", call)
    assert machine.calls("go") == []
    assert machine.linked().parent.parent.parent == machine.cache
    assert sorted(os.listdir(machine.linked().parent.parent)) == ["bin"]

    second = machine.new_clone("second")
    done = machine.set_up(clone=second)
    assert done.returncode == 0, done.stderr
    assert (second / ".venv" / "bin" / "pulumi").resolve() == machine.linked()
    assert len(machine.calls("installer")) == 1


def test_without_the_installer_go_builds_the_pins(machine: Machine) -> None:
    machine.has("go", GO)
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    flags = "-mod=readonly -tags osusergo,grpcnotrace -trimpath"
    stamp = "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v"
    host = bootstrap.sdk_version(ROOT / "toolchain" / "python-host")
    assert machine.calls("go install") == [
        f"go install -v {flags} -ldflags {stamp}{PINNED} tool",
        f"go install -v {flags} -ldflags {stamp}{host} tool",
    ]
    built = machine.linked().parent
    assert sorted(os.listdir(built)) == sorted(bootstrap.CLI_FILES)
    assert os.access(built / "pulumi-language-python-exec", os.W_OK)  # Go's module cache is read-only; this is a copy
    assert sorted(os.listdir(built.parent)) == ["bin"]


def test_without_any_way_every_reason_and_every_way_out_is_said_at_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.has("uv", UV)
    machine.has_cli("v3.100.0")
    done = machine.set_up(SYNC_ENDS_WITH="2")
    assert done.returncode == 1
    for part in (
        "The Python packages could not be installed:\n  Python packages: `uv` ended with 2",
        f"1. `pulumi` on PATH: {machine.bin}/pulumi is 3.100.0; 3.255.0 or newer of major version 3 is needed",
        "2. Pulumi's installer: ",
        "3. a build from toolchain/: Go is not on PATH; 1.26.0 or newer is needed",
        "  - install Pulumi 3.255.0 or newer",
        "  - let this machine reach https://get.pulumi.com",
        "  - install Go 1.26.0 or newer",
    ):
        assert part in done.stderr
    assert machine.kept() == ["lock"]


def test_an_old_go_is_named_with_the_version_that_is_needed(machine: Machine) -> None:
    machine.has("go", GO)
    done = machine.set_up(GO_VERSION="go1.25.9")
    assert done.returncode == 1
    assert "go is go1.25.9; Go 1.26.0 or newer is needed" in done.stderr
    assert machine.calls("go install") == []


def test_a_build_that_reports_another_version_is_not_kept(machine: Machine) -> None:
    machine.has("go", GO.replace(PINNED, "3.0.1"))
    done = machine.set_up()
    assert done.returncode == 1
    assert f"it reports version 3.0.1; {PINNED} was asked for" in done.stderr
    assert machine.kept() == ["lock"]


def test_another_pin_is_another_place_in_the_cache(tmp_path: Path) -> None:
    clone = Machine(tmp_path).clone
    checkout = bootstrap.Checkout(clone, tmp_path)
    before = {checkout.cli_home()}
    for pin in ("engine/go.mod", "engine/go.sum", "python-host/go.mod", "python-host/go.sum"):
        with (clone / "toolchain" / pin).open("a") as file:
            file.write("// changed\n")
        assert checkout.cli_home() not in before
        before.add(checkout.cli_home())


# The sandbox


def test_kafka_is_fetched_with_the_packages_and_only_then(machine: Machine) -> None:
    machine.has_cli("v3.260.0")
    done = machine.set_up()
    assert "  Kafka: ready, 0 s\n" in done.stdout
    assert machine.calls("kafka") == ["kafka setup"]
    machine.set_up("--quiet")
    assert machine.calls("kafka") == ["kafka setup"]


@pytest.mark.parametrize("name", ["java", "jars"])
def test_kafka_that_was_removed_from_the_cache_is_noticed(machine: Machine, name: str) -> None:
    machine.has_cli("v3.260.0")
    machine.set_up()
    (machine.home / name).unlink()
    assert machine.set_up().returncode == 0
    assert machine.calls("kafka") == ["kafka setup"] * 2


def test_another_lock_of_jars_is_fetched(machine: Machine) -> None:
    machine.has_cli("v3.260.0")
    machine.set_up()
    (machine.clone / "sandbox" / "kafka" / "kafka.lock").write_text("group:jar:2.0 4567\n")
    assert machine.set_up().returncode == 0
    assert machine.calls("kafka") == ["kafka setup"] * 2


def test_kafka_that_is_not_to_be_had_is_said_with_a_way_out(machine: Machine) -> None:
    machine.has_cli("v3.260.0")
    done = machine.set_up(KAFKA_ENDS_WITH="1")
    assert done.returncode == 1
    assert "  Python packages: in step with the lock, 0 s\n  Kafka: failed, see below.\n" in done.stdout
    for part in (
        "Error: jspecify is not to be had",
        "let this machine reach a Maven repository",
        "Then run `make setup`",
    ):
        assert part in done.stderr
    assert machine.set_up().returncode == 0, "the next run tries again"


def test_without_the_packages_kafka_is_not_tried(machine: Machine) -> None:
    machine.has_cli("v3.260.0")
    assert machine.set_up(SYNC_ENDS_WITH="1").returncode == 1
    assert machine.calls("kafka") == []


def test_the_command_sandbox_works_from_any_folder_with_the_checkouts_python(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "it's a folder")
    machine.has("uv", UV)
    machine.has_cli("v3.260.0")
    assert machine.set_up().returncode == 0
    launcher = machine.clone / ".venv" / "bin" / "sandbox"
    (machine.home / "sandbox.py").write_text("raise ImportError('the wrong one')\n")
    said = subprocess.run([launcher, "up", "a b"], cwd=machine.home, capture_output=True, text=True, check=True).stdout
    assert said == f"sandbox up a b from {machine.clone}\n"
    launcher.unlink()
    machine.set_up("--quiet")
    assert launcher.exists()


# Again, interrupted, at the same time


def test_a_second_run_does_nothing_and_needs_nothing(machine: Machine) -> None:
    machine.has_cli("v3.260.0")
    machine.set_up()
    machine.forget_calls()
    began = time.monotonic()
    done = machine.set_up("--quiet")
    assert time.monotonic() - began < 1
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (machine.home / "calls").exists()


def test_a_changed_lock_is_installed_into_the_same_environment(machine: Machine) -> None:
    machine.has_cli("v3.260.0")
    machine.set_up()
    machine.forget_calls()
    (machine.clone / "toolchain" / "requirements.txt").write_text("package==2.0\n")
    assert machine.set_up().returncode == 0
    assert [call.split()[1] for call in machine.calls("uv")] == ["pip"]


def test_a_cli_that_was_removed_is_noticed(machine: Machine) -> None:
    cli = machine.has_cli("v3.260.0")
    machine.set_up()
    cli.unlink()
    done = machine.set_up()
    assert done.returncode == 1
    assert "The Pulumi CLI is missing" in done.stderr


def test_an_environment_that_was_not_finished_or_is_of_another_python_is_made_anew(machine: Machine) -> None:
    machine.has_cli("v3.260.0")
    assert machine.set_up(SYNC_ENDS_WITH="1").returncode == 1
    (machine.clone / ".venv" / "half-done").touch()
    assert machine.set_up(VERSION_INFO="3.1").returncode == 0
    assert not (machine.clone / ".venv" / "half-done").exists()
    machine.forget_calls()
    assert machine.set_up().returncode == 0
    assert [call.split()[1] for call in machine.calls("uv")] == ["venv", "pip"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_interrupted_leaves_no_process_and_no_half_cli(machine: Machine, signum: int) -> None:
    machine.has("go", GO)
    process = machine.start(GO_HANGS="yes")
    noted = machine.home / "go.pid"
    while not noted.exists() or not noted.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signum)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + signum
    assert f"Set-up stopped by {signal.Signals(signum).name}; nothing half-done is left." in out
    assert err == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)
    assert machine.kept() == ["lock"]
    assert not (machine.clone / ".venv" / "bin" / "pulumi").exists()


def test_what_a_killed_set_up_left_behind_is_swept(machine: Machine) -> None:
    machine.has("go", GO)
    (machine.cache / "pulumi-0.0.0-0123.abcd.partial" / "work").mkdir(parents=True)
    assert machine.set_up().returncode == 0
    assert [name for name in machine.kept() if name.endswith(".partial")] == []


def test_two_set_ups_at_once_build_once_and_both_end_well(machine: Machine) -> None:
    machine.has("go", GO)
    clones = [machine.clone, machine.new_clone("second")]
    both = [machine.start(clone=clone, GO_TAKES="0.1") for clone in clones]
    for process in both:
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
    assert len(machine.calls("go install")) == 2  # the engine and the language host, once each
    assert len({(clone / ".venv" / "bin" / "pulumi").resolve() for clone in clones}) == 1


# What is shown


def test_a_long_command_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "QUIET_SECONDS", 0)
    out = io.StringIO()
    command = ["sh", "-c", "echo go: downloading example.com/a v1; echo example.com/a; sleep 0.25"]
    bootstrap.run("building", command, bootstrap.Progress(out), output=bootstrap.GoOutput())
    assert "  building, 0 s: 1 modules downloaded, 1 packages compiled\n" in out.getvalue()


def test_on_a_terminal_one_line_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "12")
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True)
    progress = bootstrap.Progress(out)
    progress.tick("a long line of text")
    progress.line("done")
    assert out.getvalue() == "\r\033[Ka long line\r\033[Kdone\n"


def test_a_command_that_takes_too_long_is_ended() -> None:
    with pytest.raises(bootstrap.SetupError, match="waiting: not done after 0 s"):
        bootstrap.run("waiting", ["sleep", "60"], bootstrap.Progress(io.StringIO()), limit=0.01)


def test_an_old_python_is_told_so_and_could_read_the_file_that_far() -> None:
    script = ROOT / "toolchain" / "bootstrap.py"
    pretend = f"import runpy, sys; sys.version_info = (3, 9, 18); runpy.run_path({str(script)!r})"
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Python is 3.9; 3.11 or newer is needed.")
    assert "Traceback" not in done.stderr
    ast.parse(script.read_text(), feature_version=(3, 7))


# What set-up stands on


def test_make_lists_every_target_with_one_line() -> None:
    listed = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^make ([a-z]+) +\S.*$", listed, re.MULTILINE)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(targets) == sorted(set(phony.split()) - {"help", "ready"})


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def test_the_locks_hold_every_dependency_with_hashes_and_no_address() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    program = content["project"]["dependencies"]
    wanted = {
        ROOT / "requirements.txt": program,
        ROOT / "toolchain" / "requirements.txt": [*program, *content["dependency-groups"]["dev"]],
    }
    for lock, dependencies in wanted.items():
        assert "://" not in lock.read_text()
        locked = pins(lock)
        hashed = re.findall(r"^\S+==.* \\\n    --hash=sha256:", lock.read_text(), re.MULTILINE)
        assert len(hashed) == len(locked) > 0
        for dependency in map(Requirement, dependencies):
            pinned = locked[dependency.name.lower().replace("_", "-")]
            assert dependency.specifier.contains(pinned), f"{dependency} is locked at {pinned}; run `make lock`"


def test_what_pulumi_installs_is_a_part_of_what_the_tests_run_on() -> None:
    program, everything = pins(ROOT / "requirements.txt"), pins(ROOT / "toolchain" / "requirements.txt")
    assert program.items() <= everything.items()
    assert len(program) < len(everything) / 2


def test_no_file_names_a_package_registry() -> None:
    names = ["pypi" + ".org", "python" + "hosted.org", "proxy.golang" + ".org", "npm" + "js.", "crates" + ".io"]
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        found = [registry for registry in names if registry.encode() in content]
        assert not found, f"{name} names {found}"


def test_pulumi_yaml_asks_for_the_oldest_cli_that_set_up_takes() -> None:
    oldest = ".".join(map(str, bootstrap.MINIMUM_CLI))
    assert f'requiredPulumiVersion: ">={oldest}"' in (ROOT / "Pulumi.yaml").read_text().splitlines()
