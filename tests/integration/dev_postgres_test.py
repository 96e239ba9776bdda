#!/usr/bin/env python3
"""The database of `alertstream dev` from outside: its own PostgreSQL starts, survives, is reused and
never takes the rest of dev with it; `migrate` says what it has."""

import json
import os
import signal
import subprocess
import time

import harness
from dev_test import Dev, call


def health(dev):
    return call("GET", dev.info["api_url"] + "/health")


def postgres(dev):
    return health(dev)[2]["postgres"]


def server_of(deployment):
    """The process that runs the cluster below the data directory; 0 while there is none."""
    try:
        lock = (deployment.data / "postgres/data/postmaster.pid").read_text()
    except FileNotFoundError:
        return 0
    return int(lock.splitlines()[0])


def is_there(pid):
    """False also for one that has ended and that nobody has asked for its exit code."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def end(deployment, dev):
    assert deployment.stop(dev.process) < 15
    assert dev.process.returncode == 0, deployment.log_of(dev.process)


def test_its_own_cluster_is_made_migrated_reused_and_stopped():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        assert dev.info["postgres_url"].startswith("postgres://alertstream@/alertstream?host=/")
        assert postgres(dev)["status"] == "ready"
        lines = json.loads(deployment.run("migrate", "status", "-o", "json").stdout)
        assert lines and all(line["state"] == "applied" for line in lines), lines
        assert json.loads(deployment.run("migrate", "up", "-o", "json").stdout) == []
        deployment.run("migrate", "verify")
        server = server_of(deployment)
        end(deployment, dev)
        harness.wait_for("the server's end", lambda: not is_there(server), 10)
        again = Dev(deployment)
        assert again.seconds <= 5, again.seconds
        assert json.loads(deployment.run("migrate", "status", "-o", "json").stdout) == lines
        end(deployment, again)
        deployment.run("migrate", "status", expect=3)


def test_a_killed_server_comes_back_and_nothing_else_notices():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        server = server_of(deployment)
        os.kill(server, signal.SIGKILL)
        harness.wait_for("its end", lambda: not is_there(server), 10)
        assert health(dev)[0] == 200
        assert dev.ingest({"event_type": "page.viewed", "id": "e1", "data": {}})[0] == 202
        harness.wait_for("another server", lambda: postgres(dev)["status"] == "ready"
                         and server_of(deployment) not in (0, server), 30)
        end(deployment, dev)


def test_a_server_that_hangs_is_told_by_health_and_dev_goes_on_and_ends():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        server = server_of(deployment)
        children = [int(pid) for pid in
                    open(f"/proc/{server}/task/{server}/children").read().split()]
        for pid in [server, *children]:
            os.kill(pid, signal.SIGSTOP)
        harness.wait_for("unavailable", lambda: postgres(dev)["status"] == "unavailable", 30)
        assert "error" in postgres(dev)
        assert health(dev)[0] == 200
        assert dev.ingest({"event_type": "page.viewed", "id": "e1", "data": {}})[0] == 202
        begun = time.monotonic()
        dev.process.send_signal(signal.SIGTERM)
        dev.process.wait(timeout=60)
        assert time.monotonic() - begun < 45
        assert not is_there(server)


def test_a_dev_that_is_killed_takes_its_server_along_and_the_next_one_starts():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        server = server_of(deployment)
        dev.process.kill()
        dev.process.wait()
        again = Dev(deployment)
        assert again.seconds <= 10, again.seconds
        assert postgres(again)["status"] == "ready"
        assert not is_there(server)
        end(deployment, again)


def test_another_database_is_used_if_one_is_named():
    with harness.Deployment() as home, harness.Deployment() as deployment:
        owner = Dev(home)
        url = owner.info["postgres_url"]
        subprocess.run(["psql", "-q", "-d", url, "-c", "CREATE DATABASE other"], check=True)
        url = url.replace("@/alertstream?", "@/other?")
        dev = Dev(deployment, "--postgres", url)
        assert dev.info["postgres_url"] == url, dev.info
        assert postgres(dev)["status"] == "ready"
        assert not (deployment.data / "postgres").exists()
        end(deployment, dev)
        end(home, owner)


def test_a_database_that_is_away_holds_nothing_up():
    with harness.Deployment() as deployment:
        dev = Dev(deployment, "--postgres", "postgres://nobody@127.0.0.1:1/none")
        assert dev.seconds <= 15, dev.seconds
        state = postgres(dev)
        assert state["status"] == "unavailable" and "cannot be reached" in state["error"], state
        assert health(dev)[0] == 200
        assert dev.ingest({"event_type": "page.viewed", "id": "e1", "data": {}})[0] == 202
        end(deployment, dev)
        refused = deployment.run("migrate", "status", "--postgres",
                                 "postgres://nobody@127.0.0.1:1/none", expect=7)
        assert "cannot be reached" in refused.stderr
        refused = deployment.run("migrate", "status", "--postgres", "postgres://u:hunter2@h/d",
                                 expect=3)
        assert "postgres.password_file" in refused.stderr and "hunter2" not in refused.stderr


def test_reset_empties_the_database_too():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        end(deployment, dev)
        made = (deployment.data / "postgres/data/PG_VERSION").stat().st_ctime_ns
        again = Dev(deployment, "--reset", "--yes")
        assert (deployment.data / "postgres/data/PG_VERSION").stat().st_ctime_ns != made
        end(deployment, again)


if __name__ == "__main__":
    harness.main([
        test_its_own_cluster_is_made_migrated_reused_and_stopped,
        test_a_killed_server_comes_back_and_nothing_else_notices,
        test_a_server_that_hangs_is_told_by_health_and_dev_goes_on_and_ends,
        test_a_dev_that_is_killed_takes_its_server_along_and_the_next_one_starts,
        test_another_database_is_used_if_one_is_named,
        test_a_database_that_is_away_holds_nothing_up,
        test_reset_empties_the_database_too,
    ])
