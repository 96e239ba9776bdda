#!/usr/bin/env python3
"""The read model while events come in and whoever projects them is killed again and again: a dev on
the local log, and a projector of its own over Kafka. In the end the tables are what the log says, row
by row; a row that somebody changes is named, and a rebuild mends it."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import harness
from dev_test import Dev
from doors_kill_test import Load, prepare
from faults_test import SILENT, started_simulator
from serve_test import Servers

KILLS = int(os.environ.get("ALERTSTREAM_TEST_KILLS", "5"))
SEED = int(os.environ.get("ALERTSTREAM_TEST_SEED", "20261122"))


def sql(url, text):
    done = subprocess.run(["psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", url, "-c",
                           text], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def count(url, table, where="true"):
    # As the projector: the tables' owner is held back by row-level security too.
    return int(sql(url, f"SET ROLE alertstream_projector; "
                        f"SELECT count(*) FROM read_model.{table} WHERE {where}"))


def is_current(deployment):
    rows = json.loads(deployment.run("projections", "status", "-o", "json").stdout)
    return all(row["state"] == "current" for row in rows)


def verify(deployment, expect=0):
    return json.loads(deployment.run("projections", "verify", "-o", "json", expect=expect).stdout)


def check_tables(deployment, url, events):
    harness.wait_for("everything is projected", lambda: is_current(deployment), 60)
    report = verify(deployment)
    assert report["differences"] == [] and report["rows_compared"] > 3 * events, report
    assert count(url, "events", "verdict = 'accepted'") == events
    assert count(url, "decisions", "outcome = 'send'") == count(url, "notifications")


def check_rebuild(deployment, url):
    changed = sql(url, "SET ROLE alertstream_projector; "
                       "UPDATE read_model.notifications SET status = 'read' "
                       "WHERE id = (SELECT max(id) FROM read_model.notifications) RETURNING id")
    [difference] = verify(deployment, expect=9)["differences"]
    assert difference["table"] == "notifications" and changed in difference["key"], difference
    assert difference["what"] == "differs in status", difference
    rebuilt = json.loads(deployment.run("projections", "rebuild", "-o", "json").stdout)
    assert rebuilt["rows_written"] > 0, rebuilt
    harness.wait_for("the projector goes on", lambda: is_current(deployment), 60)
    assert verify(deployment)["differences"] == []


def a_dev_is_killed_under_load():
    with harness.Deployment() as deployment:
        url = started_simulator(deployment, *SILENT)
        port = harness.free_port()
        dev = Dev(deployment, "--provider-url", url, port=port)
        prepare(dev, "demo")
        chosen = random.Random(SEED)
        load = Load(dev)
        for _ in range(KILLS):
            time.sleep(chosen.uniform(0.3, 1.5))
            dev.stop(signal.SIGKILL)
            dev = Dev(deployment, "--provider-url", url, port=port)
        load.end()
        check_tables(deployment, dev.info["postgres_url"], load.next)
        check_rebuild(deployment, dev.info["postgres_url"])
        assert dev.stop() == 0, deployment.log_of(dev.process)


def a_projector_over_kafka_is_killed_under_load():
    with harness.Deployment() as lender, harness.Deployment(kafka=harness.broker()) as deployment:
        dev = Dev(lender)  # For its PostgreSQL, in which the log gets a database of its own.
        lent = dev.info["postgres_url"]
        admin = lent.replace("alertstream@/alertstream?", "postgres@/postgres?")
        sql(admin, "CREATE DATABASE killed OWNER alertstream")
        url = lent.replace("@/alertstream?", "@/killed?")
        deployment.environment["ALERTSTREAM_POSTGRES_URL"] = url
        deployment.run("migrate", "up")
        servers = Servers(deployment, ("api", "dispatcher", "processor", "projector"))
        deployment.run("topics", "apply")
        for name in servers.ports:
            servers.start(name)
        servers.wait_until_ready()
        prepare(servers, "acme")
        chosen = random.Random(SEED)
        load = Load(servers)
        for _ in range(KILLS):
            time.sleep(chosen.uniform(0.3, 1.5))
            servers.end("projector", signal.SIGKILL)
            servers.start("projector")
        servers.wait_until_ready()
        load.end()
        check_tables(deployment, url, load.next)
        check_rebuild(deployment, url)
        code, seconds = servers.end("projector", signal.SIGTERM)
        assert code == 0 and seconds < 12, (code, seconds)


if __name__ == "__main__":
    if shutil.which("psql") is None:
        harness.skip("psql is not installed; ops/install brings it")
    tests = [a_dev_is_killed_under_load]
    if os.environ.get("ALERTSTREAM_TEST_KAFKA"):
        tests.append(a_projector_over_kafka_is_killed_under_load)
    else:
        print("without ALERTSTREAM_TEST_KAFKA only on the local log")
    harness.main(tests)
