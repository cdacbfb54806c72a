"""Nothing that was started outlives the program; what was written does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.kafka import DataPlane, DataPlaneError
from sandbox.kafka.pair import FORWARD, FORWARD_SPEC, PRIMARY, SECONDARY
from sandbox.kafka.processes import Process
from tests.kafka.clients import everything, produce
from tests.kafka.conftest import eventually
from tests.kafka.leftovers import ROOT, processes_of


@pytest.mark.kafka
def test_a_new_program_has_the_same_clusters_data_and_ports_and_copies_nothing_twice(folder: Path) -> None:
    with DataPlane(folder) as plane:
        addresses = [
            plane.start_cluster(PRIMARY, region="us-east-1"),
            plane.start_cluster(SECONDARY, region="us-east-2"),
        ]
        plane.create_topic(PRIMARY, "customer", partitions=1)
        plane.start_replicator(FORWARD, FORWARD_SPEC)
        produce(addresses[0], "customer", ["before"])
        eventually(lambda: "customer" in plane.list_topics(SECONDARY), "the topic")
        eventually(lambda: everything(addresses[1], "customer") == ["before"], "the message")
        assert len(processes_of(folder)) == 3
        with pytest.raises(DataPlaneError, match="is in use by another process"):
            DataPlane(folder)
    assert processes_of(folder) == []

    with DataPlane(folder) as plane:
        assert not plane.cluster_is_running(PRIMARY)
        plane.resume()
        assert [plane.bootstrap(PRIMARY), plane.bootstrap(SECONDARY)] == addresses
        assert plane.start_cluster(PRIMARY, region="us-east-1") == addresses[0]
        assert everything(addresses[0], "customer") == ["before"]
        produce(addresses[0], "customer", ["after"])
        eventually(lambda: len(everything(addresses[1], "customer")) >= 2, "the new message")
        assert everything(addresses[1], "customer") == ["before", "after"]

        plane.delete_replicator(FORWARD)
        plane.stop_cluster(SECONDARY)
        assert not plane.cluster_is_running(SECONDARY)
        plane.delete_cluster(PRIMARY)
        assert processes_of(folder) == []
        assert len(list((folder / "clusters").iterdir())) == 1
        plane.resume()  # What was stopped on purpose stays so.
        assert processes_of(folder) == []
        plane.start_cluster(SECONDARY, region="us-east-2")
        assert everything(addresses[1], "customer") == ["before", "after"]
    assert processes_of(folder) == []


@pytest.mark.kafka
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next run ends what is left")
def test_a_killed_program_takes_its_brokers_along_frozen_or_not(folder: Path, frozen: bool) -> None:
    program = f"""
import sys, time
from pathlib import Path
from sandbox.kafka import DataPlane
plane = DataPlane(Path({str(folder)!r}))
plane.start_cluster({PRIMARY!r}, region="us-east-1")
if {frozen}: plane.fail_region("us-east-1")
print("started", flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout and child.stdout.readline() == "started\n"
            assert len(processes_of(folder)) == 1
        finally:
            child.kill()
    eventually(lambda: processes_of(folder) == [], "no process", seconds=10)


@pytest.mark.kafka
def test_a_failure_in_the_middle_leaves_no_process(folder: Path) -> None:
    def fails() -> None:
        with DataPlane(folder) as plane:
            plane.start_cluster(PRIMARY, region="us-east-1")
            assert len(processes_of(folder)) == 1
            plane.start_replicator(FORWARD, FORWARD_SPEC)

    with pytest.raises(DataPlaneError, match="no such cluster was started"):
        fails()
    assert processes_of(folder) == []


@pytest.mark.kafka
def test_a_broker_that_crashed_is_noticed_and_comes_back_with_its_data(folder: Path) -> None:
    with DataPlane(folder) as plane:
        address = plane.start_cluster(PRIMARY, region="us-east-1")
        plane.create_topic(PRIMARY, "customer", partitions=1)
        produce(address, "customer", ["message"])
        (pid,) = processes_of(folder)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not plane.cluster_is_running(PRIMARY), "noticed")
        assert plane.start_cluster(PRIMARY, region="us-east-1") == address
        assert everything(address, "customer") == ["message"]


@pytest.mark.kafka
def test_a_broker_that_does_not_answer_is_started_again_with_its_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.kafka.plane.THAW_SECONDS", 3)
    with DataPlane(folder) as plane:
        address = plane.start_cluster(PRIMARY, region="us-east-1")
        plane.create_topic(PRIMARY, "customer", partitions=1)
        produce(address, "customer", ["message"])
        (pid,) = processes_of(folder)
        os.kill(pid, signal.SIGSTOP)
        assert plane.start_cluster(PRIMARY, region="us-east-1") == address
        assert pid not in processes_of(folder)
        assert everything(address, "customer") == ["message"]


def test_a_leftover_is_ended_by_its_record_and_a_stranger_with_its_number_is_not(tmp_path: Path) -> None:
    first = Process(tmp_path)
    first.start([sys.executable, "-c", "import time; time.sleep(600)"])
    pid = first.pid
    assert pid is not None
    record = (tmp_path / "process.json").read_text()

    (tmp_path / "process.json").write_text(record.replace('"started": ', '"started": 1'))
    Process(tmp_path).end_leftover()
    assert first.running

    (tmp_path / "process.json").write_text(record)
    Process(tmp_path).end_leftover()
    eventually(lambda: not first.running, "ended", seconds=5)
    assert not (tmp_path / "process.json").exists()


def test_a_process_that_does_not_listen_is_killed_and_a_frozen_one_too(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    process = Process(tmp_path)
    process.start([sys.executable, "-c", deaf])
    eventually(lambda: "deaf" in process.last_words(), "running", seconds=10)
    process.stop(grace=0.5)
    assert process.exit_code == -signal.SIGKILL

    process.start([sys.executable, "-c", deaf])
    process.freeze()
    process.stop(grace=0)
    assert process.exit_code == -signal.SIGKILL
