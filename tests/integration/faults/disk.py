"""Faults of disks, on the local log in one process: a full disk under the log, bytes that have changed
in the log and in the state. What is damaged is named, with what to do; that is done here, too."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import harness
from dev_test import Dev, call
from faults_test import started_simulator
from postgres_disk_test import fill

# The log wants 128 MiB for itself, so that what it has acknowledged can always be kept.
LOG_DISK_MB = 256
STATE_DISK_MB = 64
FULL_S = 6
BIT = 0x10


@contextlib.contextmanager
def mounted(path, size_mb):
    """A small file system in memory; false where we may not mount one."""
    path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs",
                           str(path)], capture_output=True, text=True)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", str(path)], check=True)


def flip(path):
    """Inverts a bit in the middle of a file."""
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ BIT]))


def largest(directory, pattern):
    found = sorted(directory.glob(pattern), key=os.path.getsize)
    assert found, f"no {pattern} below {directory}"
    return found[-1]


class LocalSystem(Dev):
    """A dev on the local log with a simulator of its own: both keep their addresses."""

    tenant = "demo"

    def __init__(self, deployment):
        deployment.environment["ALERTSTREAM_DISPATCH_CALL_TIMEOUT"] = "1s"
        self.simulator_url = started_simulator(deployment)
        self.port = harness.free_port()
        self.deployment = deployment
        self.start()

    def start(self):
        super().__init__(self.deployment, "--provider-url", self.simulator_url, port=self.port)
        self.direct_api_url, self.direct_url = self.info["api_url"], self.info["postgres_url"]

    def health(self):
        try:
            return call("GET", self.direct_api_url + "/health/ready", timeout=3)
        except (OSError, ValueError):
            return 0, {}, {}

    def all_ready(self):
        return self.health()[0] == 200

    def ended(self):
        return ["dev"] if self.process.poll() is not None else []

    def read(self, path):
        return call("GET", self.direct_api_url + "/api/v1/" + path, None,
                    {"X-API-Key": self.info["secret_key"]}, timeout=5)


def killed(system):
    system.stop(signal.SIGKILL)
    system.start()


def log_disk_full(system):
    ballast = fill(system.deployment.data / "log")
    try:
        harness.wait_for("a refusal that says why", lambda: refusal(system), 10)
        time.sleep(FULL_S)
    finally:
        ballast.unlink()


def refusal(system):
    status, _, answer = system.ingest({"event_type": "other.event", "data": {}})
    return status == 503 and answer["code"] == "unavailable"


def log_damaged(system):
    """It is not opened; nothing is made of it, nothing thrown away. A copy brings it back."""
    assert system.stop() == 0
    log = system.deployment.data / "log"
    copy = system.deployment.directory / "copy-of-log"
    shutil.copytree(log, copy)
    damaged = largest(log, "*.log")
    flip(damaged)
    before = damaged.read_bytes()
    try:
        system.start()
    except AssertionError as refused:
        assert "damaged" in str(refused) and damaged.name in str(refused), refused
        assert "backup" in str(refused), refused
    else:
        raise AssertionError("a damaged log was opened")
    assert damaged.read_bytes() == before, "what was damaged was changed"
    shutil.rmtree(log)
    shutil.copytree(copy, log)
    shutil.rmtree(copy)
    system.start()


def state_damaged(system):
    """Found when it is read, at the latest by a compaction; it is a cache, and is thrown away."""
    for _ in range(2):  # What is read back at a start becomes a table.
        assert system.stop() == 0
        system.start()
    assert system.stop() == 0
    damaged = largest(system.deployment.data / "state", "[0-9]/*.sst")
    flip(damaged)
    system.start()
    time.sleep(2)
    stopped = [p for p in system.health()[2]["partitions"] if p["phase"] == "stopped"]
    for partition in stopped:
        assert str(damaged.parent) in partition["error"], partition
        assert "delete the directory" in partition["error"], partition
    system.stop()
    shutil.rmtree(damaged.parent)
    system.start()


# Name, what is done, whether the log lies on a small disk, whether it is a short one.
SCENARIOS = (("local log: kill -9", killed, False, True),
             ("local log: disk full", log_disk_full, True, True),
             ("local log: a byte has changed", log_damaged, False, True),
             ("local log: a byte of the state has changed", state_damaged, False, False))
