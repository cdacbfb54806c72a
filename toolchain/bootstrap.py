#!/usr/bin/env python3
"""Sets this checkout up: the locked Python packages in `.venv`, the Pulumi CLI as `.venv/bin/pulumi`, the sandbox's
command as `.venv/bin/sandbox`, and Kafka for it.

It runs before anything is installed, so it needs nothing but Python itself. Run it as often as you like (every
`make` target does): when there is nothing to do it takes a fraction of a second and no network.

The Pulumi CLI comes from the first of these that works:
  1. the `pulumi` on PATH, when it is recent enough;
  2. Pulumi's official installer;
  3. a build with Go from the versions pinned in `toolchain/`: minutes, but it needs only a Go module proxy.
What 2 and 3 give is kept in the user's cache folder under a hash of the pins, so a second checkout takes seconds. Jars
of Kafka are kept there too; Java is the one on PATH when it is recent enough, else a package's.
"""

import sys

# An old Python has to get as far as this sentence, so the whole file keeps to the grammar of 3.6: no walrus, no match,
# no parenthesised `with`. (Red Hat 8 still has 3.6 as `python3`, macOS has 3.9.)
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        f"Python is {sys.version_info[0]}.{sys.version_info[1]}; 3.11 or newer is needed. "
        "Install one, or name one that is there: `make PYTHON=python3.12`."
    )

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, TextIO

MINIMUM_CLI = (3, 255, 0)
"""The oldest Pulumi CLI that does all this project asks of one: 3.255.0 is the first that starts a policy pack which is
an executable file (`policy analyze --file` came with 3.249.0, stack tags on a plain file backend with 3.211.0).
A next major version is refused: Pulumi's own Automation API refuses it too."""

CLI_FILES = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec")
"""The engine, its Python language host, and the script that the host runs. The engine looks for the host beside itself
(symbolic links resolved), the host for the script beside itself."""

GO_FLAGS = ("-mod=readonly", "-tags", "osusergo,grpcnotrace", "-trimpath")
"""`readonly`: the pins are complete, so nothing else is looked up. The tags leave out the C library's user look-ups and
gRPC's tracing."""

INSTALLER_URL = "https://get.pulumi.com"
INSTALLER_URL_VARIABLE = "MSK_DR_PULUMI_INSTALLER"

BASE_PYTHON = Path(sys.executable).resolve() if sys.prefix != sys.base_prefix else Path(sys.executable)
"""The Python outside of any virtual environment: `.venv` itself may be the active one, and about to be made anew."""

CONNECT_SECONDS = 5
"""How long the installer's server may take to answer, so that a machine without a network moves on at once."""

DOWNLOAD_SECONDS = 900
"""How long the installer may take; its archive is about 100 MB."""

QUIET_SECONDS = 15
"""Where output is not a terminal: how long nothing is said of a command that goes on (CI logs)."""

Command = Sequence[str | Path]


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask the set-up to stop."""


class SetupError(Exception):
    """Something is missing or went wrong; the text says what, and what to do."""


class Interrupted(BaseException):
    """A signal asked the set-up to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Checkout:
    """The folders that set-up reads and writes."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        self.cache = cache
        self.venv = root / ".venv"
        self.bin = self.venv / "bin"
        self.stamp = self.venv / "set-up.json"
        self.requirements = root / "toolchain" / "requirements.txt"
        self.uv_pin = root / "toolchain" / "uv.txt"
        self.engine = root / "toolchain" / "engine"
        self.host = root / "toolchain" / "python-host"
        self.kafka_lock = root / "sandbox" / "kafka" / "kafka.lock"
        self.launcher = self.bin / "sandbox"

    def cli_version(self) -> str:
        """The version of the CLI that is installed or built here, such as `3.259.0`."""
        return sdk_version(self.engine)

    def cli_home(self) -> Path:
        """Where the CLI is kept that set-up installed or built; another pin, flag or platform is another folder."""
        pins = [folder / name for folder in (self.engine, self.host) for name in ("go.mod", "go.sum")]
        key = digest(*(pin.read_bytes() for pin in pins), sys.platform, platform.machine(), *GO_FLAGS)
        return self.cache / f"pulumi-{self.cli_version()}-{key[:12]}"

    def uv_home(self) -> Path:
        return self.cache / f"uv-{digest(self.uv_pin.read_bytes(), sys.platform, platform.machine())[:12]}"

    def key(self) -> str:
        """What the finished set-up depends on: a change of any of it sets up again."""
        files = (self.requirements, self.uv_pin, self.kafka_lock, Path(__file__))
        return digest(*(file.read_bytes() for file in files), self.cli_home().name, str(sys.implementation.cache_tag))


def user_cache() -> Path:
    """This project's folder in the user's cache (XDG base directories: a relative path is to be ignored)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "msk-dr"


def digest(*parts: bytes | str) -> str:
    """A hash of the parts and of where one ends and the next begins."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()


def parse_version(text: str) -> tuple[int, int, int]:
    """(3, 259, 0) from `v3.259.0`, `go1.26` or `3.260.0-dev.1`; SetupError when there is no version in the text."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise SetupError(f"`{text.strip()[:80]}` is no version")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def sdk_version(module: Path) -> str:
    """The version of Pulumi that a module under `toolchain/` pins; it is also what the binary built from it reports."""
    found = re.search(r"github\.com/pulumi/pulumi/sdk/v3 v(\S+)", (module / "go.mod").read_text())
    if not found:
        raise SetupError(f"{module / 'go.mod'} does not pin github.com/pulumi/pulumi/sdk/v3")
    return found[1]


def go_minimum(module: Path) -> tuple[int, int, int]:
    """The oldest Go that builds a module under `toolchain/`."""
    found = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    return parse_version(found[1] if found else "")


# ---------------------------------------------------------------------------------------------------------------------
# What is shown, and how commands run


def spoken(seconds: float) -> str:
    """`42 s`, `3 min 07 s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Says what is going on: on a terminal one line that is written again and again, elsewhere a line now and then."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.live = out.isatty() and os.environ.get("TERM") != "dumb"
        self.spoke = time.monotonic()

    def line(self, text: str) -> None:
        self.spoke = time.monotonic()
        self.out.write(("\r\033[K" if self.live else "") + text + "\n")
        self.out.flush()

    def tick(self, text: str) -> None:
        if self.live:
            columns = shutil.get_terminal_size().columns
            self.out.write("\r\033[K" + text[: columns - 1])
            self.out.flush()
        elif time.monotonic() - self.spoke >= QUIET_SECONDS:
            self.line(text)


class Output:
    """Takes in what a command prints, and says in a few words how far it is."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def feed(self, line: str) -> None:
        self.lines.append(line)

    def summary(self) -> str:
        return self.last()

    def last(self) -> str:
        return next((line.strip() for line in reversed(self.lines) if line.strip()), "just begun")


class GoOutput(Output):
    """What `go install -v` prints: a line for each module it downloads, and one for each package it compiles."""

    def __init__(self) -> None:
        super().__init__()
        self.downloaded = self.compiled = 0

    def feed(self, line: str) -> None:
        super().feed(line)
        if line.startswith("go: downloading "):
            self.downloaded += 1
        elif re.fullmatch(r"[\w.~+/-]+", line):
            self.compiled += 1

    def summary(self) -> str:
        return f"{self.downloaded} modules downloaded, {self.compiled} packages compiled"


def run(
    title: str,
    command: Command,
    progress: Progress,
    *,
    output: Output | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    limit: float | None = None,
) -> str:
    """Runs a command while its progress is shown, and returns what it printed.

    A SetupError quotes the end of what a failed command said. Neither a failure, a limit (seconds) nor a signal leaves
    a process behind: the command has a session of its own, which ends as a whole.
    """
    seen = output or Output()
    began = time.monotonic()

    def read(pipe: IO[str]) -> None:
        for line in pipe:
            seen.feed(line.rstrip())

    with contextlib.ExitStack() as ending:
        with undisturbed():
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
                errors="replace",
            )
            assert process.stdout is not None
            reader = threading.Thread(target=read, args=(process.stdout,), daemon=True)
            reader.start()
            ending.callback(reader.join, timeout=5)
            ending.callback(end_session, process)  # first
        while process.poll() is None:
            passed = time.monotonic() - began
            if limit is not None and passed > limit:
                raise SetupError(f"{title}: not done after {spoken(limit)}")
            progress.tick(f"  {title}, {spoken(passed)}: {seen.summary()}")
            reader.join(timeout=0.2)  # ends with the command's output, and so almost always with the command
            if not reader.is_alive():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.2)
    if process.returncode != 0:
        said = "\n".join("     | " + line for line in seen.lines[-12:])
        raise SetupError(f"{title}: `{Path(command[0]).name}` ended with {process.returncode}\n{said}".rstrip())
    return "\n".join(seen.lines)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A signal comes when the block has ended: in the middle of a start it would leave a process that nobody knows."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals never come here.
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda signum, _: came.append(signum)) for each in STOPPING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for signum in came[:1]:
            signal.raise_signal(signum)


def end_session(process: subprocess.Popen[str]) -> None:
    """Ends whatever a command left running. First as Ctrl-C does, which lets Go remove its own work folder."""
    for signum in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
        except (ProcessLookupError, PermissionError):  # macOS says "not permitted" of a session that has ended
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)


@contextlib.contextmanager
def one_at_a_time(cache: Path, progress: Progress) -> Iterator[None]:
    """Holds off every other set-up of this user; a process that dies lets go by itself."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as handle:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.tick(f"Another set-up is at work; waiting for it, {spoken(time.monotonic() - began)}")
                time.sleep(0.2)
        yield


@contextlib.contextmanager
def appearing(final: Path) -> Iterator[Path]:
    """A temporary folder that becomes `final` when the block is through, and is gone when it is not.

    What a killed set-up left behind is swept here; the lock makes sure that nobody is at work on it.
    """
    for left_over in final.parent.glob("*.partial"):
        shutil.rmtree(left_over, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(dir=final.parent, prefix=final.name + ".", suffix=".partial"))
    try:
        yield partial
        partial.chmod(0o755)
        shutil.rmtree(final, ignore_errors=True)  # what is there is incomplete, or this would not run
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def on_path(name: str, checkout: Checkout) -> Iterator[Path]:
    """Every executable of that name on PATH, in its order, except what set-up itself put into `.venv/bin`."""
    seen = {checkout.bin.resolve()}
    for entry in os.get_exec_path():
        folder = Path(entry or ".").absolute()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        if (folder / name).is_file() and os.access(folder / name, os.X_OK):
            yield folder / name


# ---------------------------------------------------------------------------------------------------------------------
# The Pulumi CLI


def cli_version(cli: Path) -> tuple[int, int, int]:
    """What a CLI says its version is."""
    try:
        said = subprocess.run(
            [cli, "version"],
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{cli} does not run: {error}") from error
    return parse_version(said.stdout)


def beside(cli: Path, name: str) -> Path | None:
    """A file of the CLI in the folder where `pulumi` was found, or in the one that its link leads to."""
    folders = (cli.parent, cli.resolve().parent)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def cli_on_path(checkout: Checkout) -> Path:
    """The first `pulumi` on PATH that will do; SetupError says of each one why it will not."""
    passed_over = []
    for cli in on_path("pulumi", checkout):
        try:
            version = cli_version(cli)
        except SetupError as error:
            passed_over.append(str(error))
            continue
        if not MINIMUM_CLI <= version < (MINIMUM_CLI[0] + 1,):
            needed = f"{dotted(MINIMUM_CLI)} or newer of major version {MINIMUM_CLI[0]} is needed"
            passed_over.append(f"{cli} is {dotted(version)}; {needed}")
        elif not beside(cli, CLI_FILES[1]) and not any(on_path(CLI_FILES[1], checkout)):
            passed_over.append(f"{cli} has no {CLI_FILES[1]} beside it")
        else:
            return cli
    raise SetupError("; ".join(passed_over) or "there is none")


def check_complete(folder: Path, version: str) -> None:
    """Makes sure that what was installed or built is all there and runs, before it is put where others find it."""
    missing = [name for name in CLI_FILES if not (folder / name).is_file()]
    if missing:
        raise SetupError(f"{', '.join(missing)} did not come with it")
    reported = dotted(cli_version(folder / CLI_FILES[0]))
    if reported != version:
        raise SetupError(f"it reports version {reported}; {version} was asked for")


def install_cli(folder: Path, checkout: Checkout, progress: Progress) -> None:
    """Pulumi's official installer. It needs curl itself, so curl fetches it: with a limit on connecting, which covers
    name resolution too."""
    url = os.environ.get(INSTALLER_URL_VARIABLE) or INSTALLER_URL
    script = folder / "install.sh"
    if not shutil.which("curl"):
        raise SetupError("curl, which the installer needs, is not on PATH")
    curl: Command = ["curl", "-fsSL", "--connect-timeout", str(CONNECT_SECONDS), "--max-time", "60", "-o", script, url]
    run("fetching " + url, curl, progress)
    version = checkout.cli_version()
    command: Command = ["sh", script, "--no-edit-path", "--install-root", folder, "--version", version]
    run("Pulumi's installer", command, progress, limit=DOWNLOAD_SECONDS)
    script.unlink()


def build_cli(folder: Path, checkout: Checkout, progress: Progress) -> None:
    """Builds the CLI with Go. The language host is a module of its own, for which no tagged versions exist: its pins
    are older than the engine's, and the pair is known to work."""
    go = shutil.which("go")
    needed = max(go_minimum(checkout.engine), go_minimum(checkout.host))
    if not go:
        raise SetupError(f"Go is not on PATH; {dotted(needed)} or newer is needed")
    # GOTOOLCHAIN: no other Go is downloaded in silence. GOWORK: a workspace around the checkout would replace the pins.
    # GOTMPDIR: the linker needs more room than a /tmp in memory may have, and what an interruption leaves is swept.
    work = folder / "work"
    work.mkdir()
    env = {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOBIN": str(folder / "bin"), "GOTMPDIR": str(work)}
    found = run("go", [go, "env", "GOVERSION"], progress, cwd=folder, env=env)
    if parse_version(found) < needed:
        raise SetupError(f"{go} is {found.strip()}; Go {dotted(needed)} or newer is needed")
    progress.line(f"  Building the Pulumi CLI from toolchain/ with {found.strip()}: 4 to 8 minutes on two cores, once.")
    for title, module in (("building the engine", checkout.engine), ("building the language host", checkout.host)):
        version = "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v" + sdk_version(module)
        command = [go, "install", "-v", *GO_FLAGS, "-ldflags", "-s -w " + version, "tool"]
        run(title, command, progress, output=GoOutput(), cwd=module, env=env)
    listing = [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"]
    sources = Path(run("go list", listing, progress, cwd=checkout.engine, env=env).strip())
    # Files in Go's module cache are read-only: copy the text, not the mode.
    script = folder / "bin" / CLI_FILES[2]
    shutil.copyfile(sources / "python" / "cmd" / CLI_FILES[2], script)
    script.chmod(0o755)
    shutil.rmtree(work)


def provide_cli(checkout: Checkout, progress: Progress) -> tuple[Path, str]:
    """The `pulumi` to use, and where it is from."""
    reasons = []
    try:
        return cli_on_path(checkout), "from PATH"
    except SetupError as error:
        reasons.append(f"`pulumi` on PATH: {error}")

    home = checkout.cli_home()
    cli = home / "bin" / CLI_FILES[0]
    if cli.is_file():
        return cli, f"from {home}"

    ways: tuple[tuple[str, Callable[[Path, Checkout, Progress], None], str], ...] = (
        ("Pulumi's installer", install_cli, "by Pulumi's installer"),
        ("a build from toolchain/", build_cli, "built with Go"),
    )
    for name, way, origin in ways:
        began = time.monotonic()
        try:
            with appearing(home) as folder:
                way(folder, checkout, progress)
                check_complete(folder / "bin", checkout.cli_version())
        except SetupError as error:
            reasons.append(f"{name}: {error}")
            progress.line(f"  Pulumi CLI: {name} did not work.")
        else:
            return cli, f"{origin} in {spoken(time.monotonic() - began)}"
    raise SetupError(
        "The Pulumi CLI is missing, and no way to get it worked:\n"
        + "".join(f"  {number}. {reason}\n" for number, reason in enumerate(reasons, 1))
        + "Any one of these mends it:\n"
        f"  - install Pulumi {dotted(MINIMUM_CLI)} or newer and have it on PATH: https://www.pulumi.com/docs/install/\n"
        f"  - let this machine reach {INSTALLER_URL} (behind a proxy: set https_proxy)\n"
        f"  - install Go {dotted(go_minimum(checkout.engine))} or newer (https://go.dev/dl/), "
        "with a Go module proxy in reach"
    )


# ---------------------------------------------------------------------------------------------------------------------
# The Python packages


def provide_uv(checkout: Checkout, progress: Progress) -> Path:
    """The `uv` on PATH, or one that pip installs into the user's cache folder. The system's Python is left alone."""
    for uv in on_path("uv", checkout):
        return uv
    home = checkout.uv_home()
    if not (home / "bin" / "uv").is_file():
        with appearing(home) as folder:
            # pip may belong to this Python, or come with a new environment (Debian splits the two into packages).
            if importlib.util.find_spec("pip"):
                python = BASE_PYTHON
            elif importlib.util.find_spec("ensurepip"):
                run("installing pip", [BASE_PYTHON, "-m", "venv", folder / "pip"], progress)
                python = folder / "pip" / "bin" / "python"
            else:
                raise SetupError(
                    f"uv is not on PATH, and {BASE_PYTHON} has neither pip nor venv to install it with.\n"
                    "Either of these mends it:\n"
                    "  - install python3-venv (Debian and Ubuntu have it as a package of its own)\n"
                    "  - install uv and have it on PATH: https://docs.astral.sh/uv/"
                )
            install: Command = [python, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:"]
            options: Command = [
                "--disable-pip-version-check",
                "--no-input",
                "--retries",
                "2",
                "--target",
                folder,
                "-r",
                checkout.uv_pin,
            ]
            # A user's own settings for pip that contradict --target.
            env = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
            try:
                run("installing uv", [*install, *options], progress, env=env)
            except SetupError as error:
                raise SetupError(
                    f"uv is not on PATH, and pip could not install it:\n  {error}\n"
                    "Either of these mends it:\n"
                    "  - let this machine reach a Python package index (PIP_INDEX_URL names one of your own)\n"
                    "  - install uv and have it on PATH: https://docs.astral.sh/uv/"
                ) from error
            shutil.rmtree(folder / "pip", ignore_errors=True)
    return home / "bin" / "uv"


def made_for_this_python(venv: Path) -> bool:
    """Whether the environment is of the Python version that runs now, and its interpreter still there."""
    try:
        settings = (venv / "pyvenv.cfg").read_text()
    except OSError:
        return False
    found = re.search(r"^version(?:_info)? *= *(\d+\.\d+)", settings, re.MULTILINE)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return found is not None and found[1] == here and (venv / "bin" / "python").exists()


def provide_packages(checkout: Checkout, progress: Progress) -> str:
    """Brings `.venv` to exactly what toolchain/requirements.txt says; returns how.

    An environment without a stamp is one that was interrupted: it is made anew, not trusted.
    """
    began = time.monotonic()
    uv = provide_uv(checkout, progress)
    if not (checkout.stamp.is_file() and made_for_this_python(checkout.venv)):
        shutil.rmtree(checkout.venv, ignore_errors=True)
        run("making .venv", [uv, "venv", "--python", BASE_PYTHON, checkout.venv], progress)
    checkout.stamp.unlink(missing_ok=True)
    sync: Command = [uv, "pip", "sync", "--require-hashes", "--compile-bytecode", "--python", checkout.bin / "python"]
    try:
        run("Python packages", [*sync, checkout.requirements], progress)
    except SetupError as error:
        raise SetupError(
            f"The Python packages could not be installed:\n  {error}\n"
            "Most often this mends it:\n"
            "  - let this machine reach a Python package index (UV_DEFAULT_INDEX names one of your own)"
        ) from error
    link(uv, checkout.bin / "uv")
    return f"in step with the lock, {spoken(time.monotonic() - began)}"


# ---------------------------------------------------------------------------------------------------------------------
# The sandbox


def provide_kafka(checkout: Checkout, progress: Progress) -> tuple[list[str], str]:
    """Java and the folder of Kafka's jars, and how long it took. The sandbox fetches and checks them by itself, which
    needs the packages."""
    began = time.monotonic()
    setup: Command = [checkout.bin / "python", "-m", "sandbox.kafka", "setup"]
    try:
        said = run("Kafka", setup, progress, cwd=checkout.root)
    except SetupError as error:
        raise SetupError(
            f"Kafka, for the sandbox, is missing:\n  {error}\n"
            "Most often this mends it:\n"
            "  - let this machine reach a Maven repository (~/.m2/settings.xml names a mirror of your own)"
        ) from error
    return said.splitlines()[-2:], f"ready, {spoken(time.monotonic() - began)}"


def write_launcher(checkout: Checkout) -> None:
    """Puts the command `sandbox` beside `pulumi`: it works from any folder, with nothing of the caller's Python."""
    program = (
        f"import sys; sys.path.insert(0, {str(checkout.root)!r}); "
        'from sandbox.__main__ import main; main(prog_name="sandbox")'
    )
    command = shlex.join([str(checkout.bin / "python"), "-I", "-c", program])
    fresh = checkout.launcher.with_name("sandbox.new")
    fresh.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    fresh.chmod(0o755)
    fresh.replace(checkout.launcher)


# ---------------------------------------------------------------------------------------------------------------------
# All of it


def link(target: Path, name: Path) -> None:
    """Makes or replaces a symbolic link in one step."""
    fresh = name.with_name(name.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(name)


def link_cli(cli: Path, checkout: Checkout) -> None:
    """Links the engine and what belongs to it, so that `.venv/bin` at the front of PATH gives a set that fits: the
    engine prefers a language host that it finds on PATH to its own."""
    for name in CLI_FILES:
        found = cli if name == CLI_FILES[0] else beside(cli, name)
        if found:
            link(found, checkout.bin / name)
        else:
            (checkout.bin / name).unlink(missing_ok=True)


def fingerprint(file: Path) -> list[int]:
    """Tells whether a linked file was replaced or is gone, without running it."""
    try:
        status = file.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def is_done(checkout: Checkout) -> bool:
    try:
        stamp = json.loads(checkout.stamp.read_text())
    except (OSError, ValueError):
        return False
    cli = fingerprint(checkout.bin / CLI_FILES[0])
    linked = bool(cli) and (checkout.bin / "uv").exists() and checkout.launcher.exists()
    kafka = stamp.get("kafka", [])
    there = len(kafka) == 2 and all(map(os.path.exists, kafka))
    expected = {"key": checkout.key(), "cli": cli, "kafka": kafka}
    return linked and there and stamp == expected and made_for_this_python(checkout.venv)


def set_up(checkout: Checkout, progress: Progress) -> None:
    """Does what is missing. All parts are tried, so that everything that is missing is said at once."""
    failures = []
    kafka: list[str] = []
    try:
        progress.line("  Python packages: " + provide_packages(checkout, progress))
    except SetupError as error:
        progress.line("  Python packages: failed, see below.")
        failures.append(str(error))
    else:
        try:
            kafka, took = provide_kafka(checkout, progress)
            progress.line("  Kafka: " + took)
        except SetupError as error:
            progress.line("  Kafka: failed, see below.")
            failures.append(str(error))
    try:
        cli, origin = provide_cli(checkout, progress)
        progress.line(f"  Pulumi CLI: {dotted(cli_version(cli))} {origin}")
    except SetupError as error:
        progress.line("  Pulumi CLI: failed, see below.")
        failures.append(str(error))
    if failures:
        raise SetupError("\n\n".join(failures))
    link_cli(cli, checkout)
    write_launcher(checkout)
    finished = {"key": checkout.key(), "cli": fingerprint(checkout.bin / CLI_FILES[0]), "kafka": kafka}
    checkout.stamp.write_text(json.dumps(finished) + "\n")


def stop(signum: int, frame: FrameType | None) -> None:
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not cut the tidying short
    raise Interrupted(signum)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"Cache folder: {user_cache()} (remove it whenever you like; XDG_CACHE_HOME moves it).\n"
        f"{INSTALLER_URL_VARIABLE}=URL fetches Pulumi's installer from a mirror.",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing when there is nothing to do")
    quiet = parser.parse_args().quiet

    checkout = Checkout(Path(__file__).resolve().parent.parent, user_cache())
    progress = Progress(sys.stdout)
    ready = "Ready: .venv/bin/python, .venv/bin/pulumi, .venv/bin/sandbox."
    for each in STOPPING:
        signal.signal(each, stop)
    try:
        if is_done(checkout):
            if not quiet:
                progress.line(ready)
            return
        with one_at_a_time(checkout.cache, progress):
            if not is_done(checkout):
                progress.line(f"Setting up {checkout.root}")
                set_up(checkout, progress)
        progress.line(ready)
    except Interrupted as interruption:
        progress.line(f"Set-up stopped by {interruption}; nothing half-done is left.")
        sys.exit(interruption.exit_code)
    except SetupError as error:
        sys.exit(f"\nSet-up is not complete.\n\n{error}\n\nThen run `make setup` again.")
    except OSError as error:
        sys.exit(f"Set-up failed: {error}")


if __name__ == "__main__":
    main()
