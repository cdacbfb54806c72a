"""Ends the process at the other end of a local connection: how the sandbox crashes an engine in mid-call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_SETTLING = 1.0
"""Seconds for the engine to write what it has heard so far. Pulumi's file backend empties the stack's file before it
writes it anew, and an engine killed in between loses the stack ("failed to load checkpoint: EOF", seen with 3.259).
That is a danger of its own, and not what a crash in mid-call is about."""


_PATIENCE = 2.0
"""Seconds until a connection must have one owner."""


def kill_peer(peer: str) -> None:
    """Kills the owner of the connection `ipv4:127.0.0.1:PORT`, as gRPC names it, and nothing else.

    Raises LookupError when the owner cannot be found or is this very process.
    """
    pid = peer_pid(int(peer.rpartition(":")[2]))
    time.sleep(_SETTLING)
    os.kill(pid, signal.SIGKILL)


def peer_pid(port: int) -> int:
    """The process at the other end of this process's connection with that port.

    A child that it has just forked holds the connection as well, until it becomes another program: that passes.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        found = _from_proc(port) if sys.platform == "linux" else _from_lsof(port)
        others = found - {os.getpid()}
        if len(others) == 1:
            return others.pop()
        if time.monotonic() > end:
            raise LookupError(f"port {port} belongs to {sorted(found) or 'nobody'}; one other process must hold it")
        time.sleep(0.01)


def _from_proc(port: int) -> set[int]:
    """Who holds the end of a connection at that port whose other end is held here.

    The port alone is not enough: connections to different places may share it.
    """
    rows = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            local, remote = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
            rows.append((local, remote, f"socket:[{fields[9]}]"))
    own = {_link(descriptor) for descriptor in Path("/proc/self/fd").iterdir()}
    here = {local for local, remote, socket in rows if remote == port and socket in own}
    there = {socket for local, remote, socket in rows if local == port and remote in here}
    return {int(descriptor.parts[2]) for descriptor in Path("/proc").glob("[0-9]*/fd/*") if _link(descriptor) in there}


def _link(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:  # the process or its descriptor is gone, or is somebody else's
        return ""


def _from_lsof(port: int) -> set[int]:
    command = ["lsof", "-nP", "-t", f"-iTCP:{port}", "-sTCP:ESTABLISHED"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return {int(line) for line in answer.split()}
