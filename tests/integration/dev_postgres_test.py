#!/usr/bin/env python3
"""The database of `alertstream dev` from outside: its own PostgreSQL starts, survives, is reused and
never takes the rest of dev with it; `migrate` says what it has."""

import json
import os
import pathlib
import pwd
import shutil
import signal
import stat
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


class DevOfNobody(Dev):
    """A dev that a user without any right runs in a directory of his own. The program and the place
    where it runs are copied there: he may not see ours."""

    def __init__(self, deployment, home, *arguments):
        self.deployment = deployment
        log = deployment.open_log("dev")
        self.process = subprocess.Popen(
            [home / "alertstream", "dev", "--port", "0", "-o", "json", *arguments], cwd=home,
            env={**deployment.environment, "HOME": str(home)}, stdout=subprocess.PIPE, stderr=log,
            text=True, user="nobody", group="nogroup", extra_groups=[])
        self.process.log = log
        deployment.processes.append(self.process)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("dev ended: " + deployment.log_of(self.process))
        self.info = json.loads(line)


def home_of_nobody(deployment):
    home = deployment.directory / "home"
    home.mkdir(mode=0o700)
    shutil.copy(harness.program(), home / "alertstream")
    shutil.chown(home, "nobody", "nogroup")
    deployment.data = home / "data"
    deployment.environment["ALERTSTREAM_DATA_DIR"] = str(deployment.data)
    return home


def owner_of(path):
    return pwd.getpwuid(path.stat().st_uid).pw_name


def test_a_user_who_is_not_root_has_a_cluster_of_his_own():
    if os.geteuid() != 0:
        print("not run: only root can become another user; every other test ran as one")
        return
    with harness.Deployment() as deployment:
        home = home_of_nobody(deployment)
        dev = DevOfNobody(deployment, home)
        assert dev.info["postgres_url"].endswith(f"={deployment.data}/postgres/socket"), dev.info
        assert postgres(dev)["status"] == "ready", postgres(dev)
        server = server_of(deployment)
        assert owner_of(pathlib.Path(f"/proc/{server}")) == "nobody"
        assert owner_of(deployment.data / "postgres/data") == "nobody"
        assert stat.S_IMODE((deployment.data / "postgres").stat().st_mode) == 0o700
        assert dev.ingest({"event_type": "page.viewed", "id": "e1", "data": {}})[0] == 202
        end(deployment, dev)
        harness.wait_for("the server's end", lambda: not is_there(server), 10)

        # Killed, it takes its server along, and the next one has its tables.
        dev = DevOfNobody(deployment, home)
        server = server_of(deployment)
        dev.process.kill()
        dev.process.wait()
        dev = DevOfNobody(deployment, home)
        assert postgres(dev)["status"] == "ready" and not is_there(server)
        harness.wait_for("the event in the tables", lambda: call(
            "GET", dev.info["api_url"] + "/api/v1/events", None,
            {"X-API-Key": dev.info["secret_key"]})[2]["data"], 20)
        end(deployment, dev)

        made = (deployment.data / "postgres/data/PG_VERSION").stat().st_ctime_ns
        dev = DevOfNobody(deployment, home, "--reset", "--yes")
        assert (deployment.data / "postgres/data/PG_VERSION").stat().st_ctime_ns != made
        end(deployment, dev)


def test_what_another_user_made_is_left_alone_and_named():
    if os.geteuid() != 0:
        print("not run: only root can become another user")
        return
    with harness.Deployment() as deployment:
        home = home_of_nobody(deployment)
        end(deployment, DevOfNobody(deployment, home))
        # Back from a copy, it belongs to somebody else.
        shutil.chown(deployment.data / "postgres", "postgres", "postgres")
        dev = DevOfNobody(deployment, home)
        state = postgres(dev)
        assert state["status"] == "unavailable", state
        assert str(deployment.data / "postgres") in state["error"], state
        assert dev.ingest({"event_type": "page.viewed", "id": "e1", "data": {}})[0] == 202
        assert owner_of(deployment.data / "postgres") == "postgres"
        end(deployment, dev)


if __name__ == "__main__":
    harness.main([
        test_its_own_cluster_is_made_migrated_reused_and_stopped,
        test_a_killed_server_comes_back_and_nothing_else_notices,
        test_a_server_that_hangs_is_told_by_health_and_dev_goes_on_and_ends,
        test_a_dev_that_is_killed_takes_its_server_along_and_the_next_one_starts,
        test_another_database_is_used_if_one_is_named,
        test_a_database_that_is_away_holds_nothing_up,
        test_reset_empties_the_database_too,
        test_a_user_who_is_not_root_has_a_cluster_of_his_own,
        test_what_another_user_made_is_left_alone_and_named,
    ])
