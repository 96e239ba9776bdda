#!/usr/bin/env python3
"""PostgreSQL on a disk that fills up under load: events are taken and decided as before, the
projector stops where it is and says so, and when there is room again it goes on by itself and has
lost nothing."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time

import harness
from dev_test import Dev, call
from doors_kill_test import Load, prepare
from faults_test import SILENT, started_simulator
from projections_test import check_tables, sql
from serve_test import Servers

# PostgreSQL makes 40 MB, its log of two to three segments of 16 MB comes on top, and the tables are
# compared with a second set of themselves.
DISK_MB = 224
FULL_S = 6  # Longer than the projector's pauses between two tries.
BLOCK = bytes(1 << 16)


@contextlib.contextmanager
def small_disk(path, owner):
    """A file system of its own, in memory, that belongs to a user."""
    if os.geteuid() != 0:
        harness.skip("only root can mount a small disk")
    user = pwd.getpwnam(owner)
    path.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700,uid={user.pw_uid},"
         f"gid={user.pw_gid}", "tmpfs", str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        harness.skip("a small disk cannot be mounted: " + done.stderr.strip())
    try:
        yield path
    finally:
        # What still runs there is killed by the deployment's end, after this.
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(directory):
    """Takes all the room that is left, as another program would."""
    with open(directory / "ballast", "wb", buffering=0) as file:
        for block in (BLOCK, BLOCK[:4096], BLOCK[:1]):
            with contextlib.suppress(OSError):
                while True:
                    file.write(block)
    return directory / "ballast"


def metric(url, name):
    """The largest value among the series of a family."""
    lines = call("GET", url + "/metrics")[2].splitlines()
    return max(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def projected(url):
    """Of the projector: (is it ready, seqs, errors)."""
    status, _, health = call("GET", url + "/health/ready")
    parts = health["projector"]["partitions"]
    return (status, health["projector"]["status"], [part["seq"] for part in parts],
            [part.get("error", "") for part in parts])


def while_the_disk_is_full(disk, url, load, ready_status):
    """Fills it, looks, and makes room again. `ready_status`: of /health/ready meanwhile."""
    ballast = fill(disk)
    harness.wait_for("the projector to say why it waits",
                     lambda: any("disk is full" in error for error in projected(url)[3]), 30)
    answered = len(load.answers)
    time.sleep(FULL_S)
    status, state, before, errors = projected(url)
    assert (status, state) == (ready_status, "not_ready"), (status, state, errors)
    assert metric(url, "alertstream_projection_lag_seconds") > FULL_S / 2
    assert len(load.answers) > answered, "events are taken no longer"
    ballast.unlink()
    begun = time.monotonic()
    harness.wait_for("the projector goes on", lambda: projected(url)[1] == "ready" and
                     sum(projected(url)[2]) > sum(before), 60)
    print(f"  goes on {time.monotonic() - begun:.1f} s after there is room")


def a_dev_waits_for_room_and_goes_on():
    with harness.Deployment() as deployment:
        with small_disk(deployment.data / "postgres", "postgres") as disk:
            provider = started_simulator(deployment, *SILENT)
            dev = Dev(deployment, "--provider-url", provider)
            assert dev.info["postgres_url"].endswith(f"host={disk}/socket"), dev.info
            prepare(dev, "demo")
            load = Load(dev)
            time.sleep(1)
            # The API answers: it has other things to tell than the tables.
            while_the_disk_is_full(disk, dev.info["api_url"], load, 200)
            load.end()
            check_tables(deployment, dev.info["postgres_url"], load.next)
            assert dev.stop() == 0, deployment.log_of(dev.process)


def a_projector_of_its_own_is_not_ready_meanwhile():
    with harness.Deployment() as lender, harness.Deployment(kafka=harness.broker()) as deployment:
        with small_disk(lender.data / "postgres", "postgres") as disk:
            lent = Dev(lender).info["postgres_url"]
            sql(lent.replace("alertstream@/alertstream?", "postgres@/postgres?"),
                "CREATE DATABASE small OWNER alertstream")
            url = lent.replace("@/alertstream?", "@/small?")
            deployment.environment["ALERTSTREAM_POSTGRES_URL"] = url
            deployment.run("migrate", "up")
            deployment.run("topics", "apply")
            servers = Servers(deployment, ("api", "dispatcher", "processor", "projector"))
            for name in servers.ports:
                servers.start(name)
            servers.wait_until_ready()
            prepare(servers, "acme")
            load = Load(servers)
            time.sleep(1)
            own = f"http://127.0.0.1:{servers.ports['projector']}"
            while_the_disk_is_full(disk, own, load, 503)
            load.end()
            check_tables(deployment, url, load.next)
            code, seconds = servers.end("projector", signal.SIGTERM)
            assert code == 0 and seconds < 12, (code, seconds)


if __name__ == "__main__":
    if shutil.which("psql") is None:
        harness.skip("psql is not installed; ops/install brings it")
    tests = [a_dev_waits_for_room_and_goes_on]
    if os.environ.get("ALERTSTREAM_TEST_KAFKA"):
        tests.append(a_projector_of_its_own_is_not_ready_meanwhile)
    else:
        print("without ALERTSTREAM_TEST_KAFKA only on the local log")
    harness.main(tests)
