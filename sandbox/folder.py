"""A sandbox's folder: who uses it, how it was made, and how it goes. Imports nothing that takes time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

_LOCK = "lock"
_SERVER = "server.json"
_MADE_AS = "sandbox.json"
LOG = "sandbox.log"
FAULTS = "faults.json"

_CONTENT = ("api", "backend", "calls", "kafka", "pulumi", "state")
"""What only a sandbox that has run makes; the files are there before."""

_PATIENCE = 1.0
"""Seconds that a start waits for the folder: somebody may just be looking whether it is in use."""


@dataclass(frozen=True)
class Server:
    """The sandbox that serves a folder: its process, and the port of its Pulumi provider.

    With Kafka also its AWS API, and the folder with Kafka's console tools.
    """

    pid: int
    port: int
    endpoint: str | None = None
    tools: str | None = None


@dataclass(frozen=True)
class MadeAs:
    """How a folder was made, for its next start. What the one mode keeps does not fit the other.

    The ports are those of the last time, so that an environment which was given away goes on working.
    """

    kafka: bool
    port: int = 0
    api_port: int = 0

    @property
    def mode(self) -> str:
        return "with Kafka" if self.kafka else "without Kafka"

    @classmethod
    def read(cls, folder: Path) -> MadeAs | None:
        """None for a folder in which no sandbox was ever started."""
        file = folder / _MADE_AS
        return cls(**json.loads(file.read_text())) if file.exists() else None

    def write(self, folder: Path) -> None:
        _write(folder / _MADE_AS, asdict(self))


def enter(folder: Path, *, kafka: bool) -> tuple[IO[str], MadeAs]:
    """Takes the folder for this process until the file is closed; also tells the ports of the last time.

    RuntimeError when another one has it, when it was made in the other mode, and when it holds what is not a sandbox's.
    """
    held = _lock(folder)
    try:
        # Of a process that died: the id in it may belong to somebody else by now.
        (folder / _SERVER).unlink(missing_ok=True)
        made = MadeAs.read(folder)
        if made is None:
            strangers = [name for name in _CONTENT if (folder / name).exists()]
            if strangers:
                raise RuntimeError(
                    f"folder is {folder}; it holds {', '.join(strangers)}, which no sandbox of this version made. "
                    "Take a new folder."
                )
            made = MadeAs(kafka)
            made.write(folder)
        check_mode(folder, kafka=kafka)
    except BaseException:
        held.close()
        raise
    return held, made


def check_mode(folder: Path, *, kafka: bool) -> None:
    """RuntimeError when the folder was made in the other mode."""
    made = MadeAs.read(folder)
    if made is not None and made.kafka != kafka:
        raise RuntimeError(
            f"folder is {folder}; it was made {made.mode}, and what it holds does not fit the other mode. "
            f"Start it {made.mode}, remove it with `sandbox down`, or take another folder."
        )


def announce(folder: Path, server: Server) -> None:
    """Says that everything is up, and where."""
    _write(folder / _SERVER, asdict(server))


def leave(folder: Path, held: IO[str]) -> None:
    """Lets go of the folder that `enter` gave."""
    (folder / _SERVER).unlink(missing_ok=True)
    held.truncate(0)
    held.close()


def owner(folder: Path) -> int | None:
    """Process id of the sandbox that has the folder, be it still starting or already stopping; None when none has."""
    lock = folder / _LOCK
    while True:
        try:
            # Shared, so that two who look do not take each other for the owner.
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            if written := lock.read_text() if lock.exists() else "":
                return int(written)
        time.sleep(0.01)  # It writes its id once it has the lock, and takes it back before it lets go.


def running(folder: Path) -> Server | None:
    """The sandbox that serves the folder, or None."""
    if owner(folder) is None:
        return None
    try:
        return Server(**json.loads((folder / _SERVER).read_text()))
    except FileNotFoundError:
        return None  # It is starting or stopping.


def remove(folder: Path) -> None:
    """Removes what sandboxes made in the folder, and the folder if nothing else is in it; ends what they left running.

    RuntimeError when a sandbox has the folder.
    """
    with _lock(folder):
        if MadeAs.read(folder) is not None:
            end_leftovers(folder)
            for name in _CONTENT:
                shutil.rmtree(folder / name, ignore_errors=True)
        for pattern in (f"{Path(FAULTS).stem}.*", LOG, _SERVER, _MADE_AS, _LOCK):
            for file in folder.glob(pattern):
                file.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def end_leftovers(folder: Path) -> None:
    """Ends brokers and Replicators of a sandbox that was killed. On Linux they die with it, elsewhere they do not."""
    from sandbox.kafka.processes import Process

    for record in (folder / "kafka").glob("*/*/process.json"):
        Process(record.parent).end_leftover()


def environment(folder: Path, port: int) -> dict[str, str]:
    """Variables for the Pulumi CLI: the attached provider, a private home and state, and no network."""
    home, state = folder / "pulumi", folder / "backend"
    for needed in (home, state):
        needed.mkdir(parents=True, exist_ok=True)
    return {
        # Credentials that no AWS would accept, should anything ever reach it.
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "PULUMI_HOME": str(home),
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def client_environment(server: Server, region: str) -> dict[str, str]:
    """Variables for boto3, the AWS CLI and the commands of the procedure, as on the client instance of a Region.

    The user's own profiles are out of sight: one of them could name another endpoint. Nothing for a sandbox without
    Kafka, which has no API.
    """
    if server.endpoint is None or server.tools is None:
        return {}
    return {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CLIENT_PROPERTIES": str(Path(server.tools) / "client_iam.properties"),
    }


CONFLICTING = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_PROFILE", "AWS_SESSION_TOKEN")
"""Variables that would lead the SDKs elsewhere in spite of `client_environment`."""


def _lock(folder: Path) -> IO[str]:
    deadline = time.monotonic() + _PATIENCE
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{folder} is in use by another sandbox; stop it with `sandbox down` or take another folder"
                ) from error
            time.sleep(0.02)
            continue
        if _is_there(file, folder / _LOCK):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            return file
        file.close()  # `remove` was faster; begin again.


def _is_there(file: IO[str], path: Path) -> bool:
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def _write(file: Path, content: dict[str, Any]) -> None:
    """All at once, for those who read it at any time."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(json.dumps(content) + "\n")
    os.replace(fresh, file)
