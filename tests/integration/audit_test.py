"""`audit verify` on a local log: a record changed on the disk, runs that are killed and gone on
with, partitions at once, one tenant, ranges.

Runs the programs named by ALERTSTREAM_TEST_PROGRAM and ALERTSTREAM_TEST_TAMPER. Standard library
only.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess

import harness

TENANTS = ("acme", "globex", "initech", "umbrella", "hooli", "stark")
EVENTS_EACH = 6_000
PHONE = "+2547"
RULES = """kind: tenant
id: {tenant}
status: active
---
kind: sender
id: main
provider: fake
account: a
number: "+1 415 555 0100"
default: true
---
kind: trigger
id: failed
name: Failed payment
event_type: payment.failed
when: event.data.amount >= 1000
recipients: {{field: data.phone}}
channel: sms
template: {{body: "Payment of {{{{data.order}}}} failed"}}
message_class: transactional
"""


def write_events(directory, tenant, count, prefix="B"):
    path = directory / f"{tenant}-{prefix}.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for n in range(count):
            file.write(json.dumps({
                "event_type": "payment.failed", "id": f"{prefix}-{n}", "tenant": tenant,
                "data": {"order": f"{prefix}-{n}", "amount": 1500, "currency": "KES",
                         "phone": f"{PHONE}{n:08d}"}}, separators=(",", ":")) + "\n")
    return path


def decide_for(deployment, tenant, count):
    rules = deployment.directory / f"{tenant}.yaml"
    rules.write_text(RULES.format(tenant=tenant))
    return deployment.run(
        "decide", "--rules", rules, "--events",
        write_events(deployment.directory, tenant, count), "-o", "jsonl")


class History:
    """Decided once; each test works on a copy."""

    deployment = None
    whole = None
    busiest = None  # Of the partitions.
    at = {}  # A tenant of each.

    @classmethod
    def of(cls):
        if cls.deployment is None:
            cls.deployment = harness.Deployment()
            for tenant in TENANTS:
                decided = decide_for(cls.deployment, tenant, EVENTS_EACH)
                cls.at[json.loads(decided.stdout.split("\n", 1)[0])["partition"]] = tenant
            cls.whole = cls.deployment.audit()
            cls.busiest = max(cls.whole["ranges"], key=lambda each: each["records"])["partition"]
        return cls.deployment


class Copy(harness.Deployment):
    def __init__(self):
        super().__init__()
        shutil.copytree(History.of().data, self.data)

    def verify(self, *arguments, expect=0):
        done = self.run("audit", "verify", "-o", "json", *arguments, expect=expect)
        return json.loads(done.stdout), done.stderr

    def tamper(self, topic, old, new):
        done = subprocess.run(
            [os.environ["ALERTSTREAM_TEST_TAMPER"], str(self.data / "log"), topic, old, new],
            check=True, capture_output=True, text=True, timeout=60)
        partition, offset = done.stdout.split()
        return int(partition), int(offset)


@contextlib.contextmanager
def locked(directory):
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def totals(report):
    return {name: report[name] for name in ("batches", "records", "decisions", "mismatches")}


def a_changed_output_is_shown_on_both_sides():
    with Copy() as copy:
        partition, offset = copy.tamper("decisions", "payment.failed", "payment.FAILED")
        report, said = copy.verify(expect=9)
        assert report["mismatches"] == 1, report
        detail, = report["details"]
        assert (detail["partition"], detail["offset"]) == (partition, offset), detail
        assert (detail["kind"], detail["topic"]) == ("history_changed", "decisions"), detail
        assert detail["expected"]["event_type"] == "payment.failed", detail
        assert detail["found"]["event_type"] == "payment.FAILED", detail
        assert detail["expected"]["event_id"] == detail["found"]["event_id"], detail
        rows = [line.split() for line in said.splitlines() if "event_type" in line]
        assert rows == [["event_type", '"payment.failed"', '"payment.FAILED"']], said
        assert "history changed: decisions: the stored record at offset" in said, said
        assert PHONE not in said + json.dumps(report), "a number is shown"
        # The other partitions were compared to their ends.
        complete = {each["partition"]: each["complete"] for each in report["ranges"]}
        assert not complete.pop(partition) and all(complete.values()), report["ranges"]
        # Nothing of this lies in the others.
        others = ",".join(str(each) for each in complete)
        report, _ = copy.verify("--partition", others)
        assert [each["partition"] for each in report["ranges"]] == sorted(complete), report


def a_changed_input_is_history_and_not_the_engine():
    with Copy() as copy:
        partition, _ = copy.tamper("site-events", '"amount":1500', '"amount":9500')
        report, said = copy.verify(expect=9)
        detail, = report["details"]
        assert (detail["partition"], detail["kind"]) == (partition, "history_changed"), detail
        assert "site-events" in detail["what"], detail
        inputs = [detail["journal"][side]["inputs"] for side in ("expected", "found")]
        assert inputs[0] != inputs[1], detail
        assert "journal record of the batch, as recorded and as decided again" in said, said
        assert PHONE not in said + json.dumps(report), "a number is shown"


def a_tenant_is_told_of_its_own_differences_only():
    with Copy() as copy:
        whole = History.whole
        mine, _ = copy.verify("--tenant", "acme")
        theirs, _ = copy.verify("--tenant", "globex")
        assert mine["decisions"] == theirs["decisions"] == EVENTS_EACH, (mine, theirs)
        assert whole["decisions"] == EVENTS_EACH * len(TENANTS), whole
        assert mine["batches"] == theirs["batches"] == whole["batches"]
        assert mine["tenant"] == "acme" and "tenant" not in whole
        copy.tamper("decisions", "globex", "gl0bex")
        # Of the surroundings: it does not narrow the proof.
        copy.environment["ALERTSTREAM_TENANT"] = "acme"
        assert copy.verify(expect=9)[0]["mismatches"] == 1
        again, said = copy.verify("--tenant", "acme")
        assert totals(again) == totals(mine) and "MISMATCH" not in said, said
        found, _ = copy.verify("--tenant", "globex", expect=9)
        assert found["details"][0]["expected"]["tenant"] == "globex", found


def a_killed_run_goes_on_where_it_was():
    with Copy() as copy:
        file = copy.directory / "audit"
        states = pathlib.Path(f"{file}.state")
        arguments = ("--resume", file, "--checkpoint-every", "1ms", "--jobs", "2")
        for how in (signal.SIGKILL, signal.SIGINT):
            command = [harness.program(), "audit", "verify", "-o", "json", *map(str, arguments)]
            process = subprocess.Popen(command, cwd=harness.ROOT, env=copy.environment,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            before = file.read_text() if file.exists() else ""
            harness.wait_for("progress", lambda: process.poll() is not None or (
                file.exists() and file.read_text() != before), 30)
            process.send_signal(how)
            said = process.communicate(timeout=60)[1].decode()
            assert process.returncode == (-9 if how == signal.SIGKILL else 130), (
                process.returncode, said)
            assert file.exists() and list(states.iterdir()), "nothing was kept"
        assert "the same command goes on from there" in said, said
        reached = json.loads(file.read_text().split("\n", 1)[1])
        verified = {each["partition"]: each["checkpoints"][-1]["reached"]["seq"]
                    for each in reached["partitions"] if each["checkpoints"]}
        assert verified and max(verified.values()) > 1, reached
        # Another run at the same time, another range, another log: refused, and nothing is lost.
        with locked(states):
            done = copy.run("audit", "verify", *arguments, expect=6)
            assert "another audit verify uses it" in done.stderr, done.stderr
        done = copy.run("audit", "verify", "--resume", file, "--partition", "0", expect=1)
        assert "of another audit" in done.stderr, done.stderr
        with harness.Deployment() as other:
            decide_for(other, "acme", 1)
            done = other.run("audit", "verify", "--resume", file, expect=1)
            assert "of another log" in done.stderr, done.stderr
        report, _ = copy.verify(*arguments)
        assert totals(report) == totals(History.whole), (report, History.whole)
        for each in report["ranges"]:
            assert each.get("resumed_seq", 0) >= verified.get(each["partition"], 0), (
                each, verified)
        assert not file.exists() and not states.exists(), "left behind"


def partitions_are_verified_at_once():
    with Copy() as copy:
        for jobs in ("1", "4"):
            report, _ = copy.verify("--jobs", jobs)
            assert totals(report) == totals(History.whole), report
            assert [each["partition"] for each in report["ranges"]] == [0, 1, 2, 3], report
        one, _ = copy.verify("--partition", "1", "--partition", "3")
        assert [each["partition"] for each in one["ranges"]] == [1, 3], one
        for wrong in (("--partition", "x"), ("--from", "yesterday"), ("--jobs", "0"),
                      ("--from", "journal/1/5", "--to", "journal/2/9"),
                      ("--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z")):
            copy.run("audit", "verify", *wrong, expect=2)
        copy.run("audit", "verify", "--partition", "9", expect=1)


def a_range_is_compared_and_named():
    with Copy() as copy:
        mine = History.busiest
        whole, = copy.verify("--partition", mine)[0]["ranges"]
        assert whole["began_from"] == "zero" and whole["first_seq"] == 1, whole
        middle = whole["last_seq"] // 2
        dump = copy.lines("topic", "dump", "journal", "--partition", mine, "-n", "100000", "-o",
                          "jsonl")
        offset = next(each["offset"] for each in dump
                      if each.get("value", {}).get("seq") == middle)
        first, = copy.verify("--to", f"journal/{mine}/{offset - 1}")[0]["ranges"]
        last, = copy.verify("--from", f"journal/{mine}/{offset}")[0]["ranges"]
        assert (first["first_seq"], first["last_seq"]) == (1, middle - 1), first
        assert (last["first_seq"], last["last_seq"]) == (middle, whole["last_seq"]), last
        for name in ("batches", "records", "decisions"):
            assert first[name] + last[name] == whole[name], (first, last, whole)
        by_time, = copy.verify("--partition", mine, "--from", last["first_time"], "--to",
                               last["first_time"])[0]["ranges"]
        assert by_time["first_seq"] <= middle <= by_time["last_seq"], by_time


def a_snapshot_before_the_range_is_begun_from():
    with Copy() as copy:
        mine = History.busiest
        tenant = History.at[mine]
        for n, batches in enumerate((1, 50_000, 50_000, 50_000)):
            copy.run("decide", "--set", f"runtime.snapshot_batches={batches}", "--events",
                     write_events(copy.directory, tenant, 20, f"C{n}"), "-o", "jsonl")
        snapshots = copy.data / "snapshots"
        assert list(snapshots.glob(f"*/{mine}/*/manifest")), "no snapshot was made"
        end, = copy.verify("--partition", mine)[0]["ranges"]
        at = end["last_position"].replace("@", "/").replace(":", "/")
        after, = copy.verify("--from", at)[0]["ranges"]
        assert (after["began_from"], after["batches"]) == ("snapshot", 1), after
        assert 0 < after["began_seq"] < end["last_seq"], (after, end)
        zero, = copy.verify("--from-zero", "--from", at)[0]["ranges"]
        assert (zero["began_from"], zero["batches"]) == ("zero", 1), zero
        # A damaged one is not begun from.
        for table in snapshots.glob(f"*/{mine}/*/state/*.sst"):
            table.write_bytes(b"x" + table.read_bytes()[1:-200] + b"y" * 200)
        report, = copy.verify("--from", at)[0]["ranges"]
        assert (report["began_from"], report["batches"]) == ("zero", 1), report


if __name__ == "__main__":
    try:
        harness.main([
            a_changed_output_is_shown_on_both_sides,
            a_changed_input_is_history_and_not_the_engine,
            a_tenant_is_told_of_its_own_differences_only,
            a_killed_run_goes_on_where_it_was,
            partitions_are_verified_at_once,
            a_range_is_compared_and_named,
            a_snapshot_before_the_range_is_begun_from,
        ])
    finally:
        if History.deployment is not None:
            History.deployment.__exit__()
