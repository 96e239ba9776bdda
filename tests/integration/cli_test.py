"""The program as an operator uses it, on the local log: outputs, exit codes, kill -9.

Runs the program named by ALERTSTREAM_TEST_PROGRAM. Standard library only.
"""

import collections
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("ALERTSTREAM_TEST_PROGRAM", "")
PAYMENTS = ROOT / "ops" / "examples" / "payments"
RULES = PAYMENTS / "rules"
EVENTS = PAYMENTS / "events.jsonl"
MANY = 30_000
# Numbers of the catalogue, stored for ever.
SITE_EVENTS = 1
CONSENT_CHANGES = 2


class CliTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="alertstream-cli-")
        self.addCleanup(self.scratch.cleanup)
        self.directory = pathlib.Path(self.scratch.name)
        self.data = self.directory / "data"
        # A setting of the surroundings would change what is tested.
        self.environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith("ALERTSTREAM_")
        }

    def run_program(self, *arguments, exit_code=0, stdin="", **environment):
        done = subprocess.run(
            [PROGRAM, *map(str, arguments), "--data-dir", str(self.data)], input=stdin, cwd=ROOT,
            env={**self.environment, **environment}, capture_output=True, text=True, timeout=120)
        harness.keep("commands", done.stderr)
        self.assertEqual(done.returncode, exit_code,
                         f"{arguments}\nstdout: {done.stdout[-3000:]}\nstderr: {done.stderr[-3000:]}")
        return done

    def decide(self, *arguments, **options):
        return self.run_program("decide", "--rules", RULES, "--events", EVENTS, *arguments,
                                **options)

    def decisions(self, *arguments, **options):
        done = self.decide("-o", "jsonl", *arguments, **options)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def audit(self):
        return json.loads(self.run_program("audit", "verify", "-o", "json").stdout)

    def write_many(self):
        path = self.directory / "many.jsonl"
        with open(path, "w", encoding="utf-8") as file:
            for n in range(MANY):
                file.write(json.dumps({
                    "event_type": "payment.failed", "id": f"many-{n}",
                    "data": {"order": f"B-{n}", "amount": 1500, "currency": "KES",
                             "phone": f"+2547{n:08d}"}}) + "\n")
        return path

    def test_the_examples_are_decided_and_shown(self):
        done = self.decide()
        self.assertIn("rules: 8 new, 0 changed, 0 unchanged", done.stderr)
        self.assertIn("+254 700 *** 001", done.stdout)
        self.assertNotIn("+254700000001", done.stdout + done.stderr)
        self.assertIn("events     40", done.stdout)
        for command in ("explain last", "tail decisions", "audit verify"):
            self.assertIn(command, done.stderr)
        self.assertEqual(oct((self.data / "token.key").stat().st_mode & 0o777), "0o600")

    def test_decisions_come_in_the_order_of_the_lines(self):
        records = self.decisions()
        given = [json.loads(line).get("id") for line in EVENTS.read_text().splitlines()]
        self.assertEqual([record.get("event_id_given") for record in records], given)
        verdicts = collections.Counter(record["verdict"] for record in records)
        self.assertEqual(verdicts, {"accepted": 28, "no_match": 9, "duplicate": 2, "expired": 1})
        first = records[0]["decisions"][0]
        self.assertEqual((first["trigger"], first["outcome"]), ("payment-failed", "send"))
        gates = [gate["gate"] for gate in first["gates"]]
        self.assertEqual(gates, ["expiry", "condition", "recipient", "channel", "cooldown",
                                 "consent", "opt_out", "daily_cap", "plan_quota", "template"])
        self.assertTrue(first["notification"].startswith("ntf_"))

    def test_the_same_again_is_a_duplicate(self):
        self.decide()
        done = self.decide("-o", "jsonl")
        self.assertIn("rules: 0 new, 0 changed, 8 unchanged", done.stderr)
        verdicts = collections.Counter(
            json.loads(line)["verdict"] for line in done.stdout.splitlines())
        # Two of the events carry no id.
        self.assertEqual(verdicts, {"duplicate": 38, "accepted": 2})
        self.assertEqual(self.audit()["mismatches"], 0)

    def test_explain_shows_every_gate_and_its_fact(self):
        records = self.decisions()
        suppressed = next(decision for record in records for decision in record["decisions"]
                          if decision["reason"] == "consent_missing")
        text = self.run_program("explain", suppressed["id"][:20]).stdout
        self.assertIn("NOT SENT (consent_missing)", text)
        self.assertIn("event.data.amount >= 50000: holds", text)
        self.assertRegex(text, r"tenant +ok +active, version 1 +account-changes@\d:\d+")
        self.assertIn("template      not evaluated", text)
        last = self.run_program("explain", "last").stdout
        self.assertIn(records[-1]["event"], last)
        as_json = json.loads(self.run_program("explain", "last", "-o", "json").stdout)
        self.assertEqual(as_json["records"][0]["event"], records[-1]["event"])
        self.run_program("explain", "evt_00000000", exit_code=4)

    def test_consent_and_opt_out_change_the_next_decision(self):
        self.decide()
        event = {"event_type": "payment.succeeded", "tenant": "acme",
                 "data": {"amount": 60000, "currency": "KES", "phone": "+254700000050"}}
        line = json.dumps(event)
        person = ("+254 700 000 050", "--tenant", "acme")

        def reason():
            done = self.run_program("decide", "--events", "-", "-o", "jsonl", stdin=line)
            return json.loads(done.stdout)["decisions"][0]["reason"]

        self.assertEqual(reason(), "consent_missing")
        self.run_program("consent", "grant", *person)
        self.assertIsNone(reason())
        self.run_program("optout", "add", *person, "--reason", "asked")
        self.assertEqual(reason(), "opted_out")
        self.assertIn("opt_out", self.run_program("consent", "show", *person).stdout)
        self.run_program("optout", "remove", *person, "--reason", "asked")
        self.assertEqual(reason(), "daily_cap")
        self.run_program("optout", "remove", *person, "--reason", "again", exit_code=6)
        self.assertEqual(self.audit()["mismatches"], 0)

    def test_bad_rules_are_named_and_nothing_is_appended(self):
        rules = self.directory / "rules"
        rules.mkdir()
        (rules / "good.yaml").write_text("kind: tenant\nid: acme\nstatus: active\n")
        (rules / "bad.yaml").write_text("kind: site\nid: shop\nstatus: on\n")
        done = self.run_program("decide", "--rules", rules, "--events", EVENTS, exit_code=3)
        self.assertIn("bad.yaml:3:", done.stderr)
        self.assertIn("status: expected one of", done.stderr)
        self.assertFalse(self.data.exists())
        done = self.run_program("decide", "--rules", rules, "--events", EVENTS, "-o", "json",
                                exit_code=3)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "invalid")
        # In a log that exists nothing changes either.
        self.decide()
        before = self.run_program("topic", "stats", "-o", "json").stdout
        self.run_program("triggers", "apply", "-f", rules, exit_code=3)
        self.assertEqual(self.run_program("topic", "stats", "-o", "json").stdout, before)

    def test_bad_events_are_named_and_the_others_are_decided(self):
        lines = "\n".join([
            '{"event_type":"payment.failed","data":{"amount":1,"currency":"KES"}}',
            '{"event_type":"payment.failed","data":',
            '{"event_type":"payment.failed","data":{},"dat":1}',
            '{"event_type":"payment.failed","data":{},"tenant":"nobody"}',
            '[' * 100,
            '"\\ud800"',
        ]) + "\n"
        done = self.run_program("decide", "--rules", RULES, "--events", "-", "-o", "jsonl",
                                stdin=lines, exit_code=8)
        for number in (2, 3, 5, 6):
            self.assertIn(f"stdin:{number}: ", done.stderr)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([record["verdict"] for record in records], ["no_match", "dead_letter"])
        self.assertEqual(records[1]["reason"], "unknown_tenant")
        letters = json.loads(self.run_program("dlq", "list", "-o", "json").stdout)
        self.assertEqual([letter["id"] for letter in letters], [records[1]["dead_letter"]])
        shown = json.loads(self.run_program("dlq", "show", letters[0]["id"][:20]).stdout)
        self.assertEqual(shown["reason"], "unknown_tenant")

    def test_another_token_key_is_refused(self):
        self.decide()
        done = self.run_program("status", "-o", "json", exit_code=5,
                                ALERTSTREAM_TOKEN_KEY="ab" * 32)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "denied")
        self.decide(exit_code=5, ALERTSTREAM_TOKEN_KEY="ab" * 32)
        # A lost key is not replaced by a new one.
        (self.data / "token.key").rename(self.data / "lost.key")
        self.decide(exit_code=4)
        self.assertFalse((self.data / "token.key").exists())

    def test_exit_codes_tell_what_went_wrong(self):
        self.run_program("--help")
        self.run_program("no-such-command", exit_code=2)
        self.run_program("decide", exit_code=2)
        self.run_program("status", "-o", "yaml", exit_code=2)
        self.run_program("status", "--set", "no.such=1", exit_code=3)
        done = self.run_program("status", "-o", "json", exit_code=4)
        error = json.loads(done.stdout)["error"]
        self.assertEqual(set(error), {"code", "message", "hint", "docs"})
        self.run_program("decide", "--events", "no-such-file", exit_code=4)
        self.run_program("decide", "--events", EVENTS, "--log", "kafka://nonsense", exit_code=3)

    def test_tail_begins_where_it_is_told_and_filters(self):
        self.decide()
        everything = self.tail("decisions")
        self.assertEqual(len(everything), 40)
        for word in ("beginning", "earliest"):
            self.assertEqual(self.tail("decisions", "--from", word), everything)
        self.assertEqual(self.tail("decisions", "--from", "end"), [])
        self.assertEqual(self.tail("decisions", "--since", "1h"), everything)
        self.decide()
        known = {record["event"] for record in everything}
        later = [record for record in self.tail("decisions") if record["event"] not in known]
        second = min(record["decided_at"] for record in later)
        self.assertEqual(self.tail("decisions", "--from", second), later)
        self.assertEqual(self.tail("decisions", "--from", "2100-01-01T00:00:00Z"), [])
        self.assertEqual(len(self.tail("decisions", "--limit", "3")), 3)

        # All offsets of a partition of the topic itself, markers of transactions aside.
        stored = [json.loads(line) for line in
                  self.run_program("topic", "dump", "decisions").stdout.splitlines()]
        places = [(record["partition"], record["offset"]) for record in stored
                  if record["key"] != "_log"]
        partition = max({p for p, _ in places}, key=lambda p: sum(q == p for q, _ in places))
        offsets = sorted(offset for p, offset in places if p == partition)
        rest = self.tail("decisions", "--partition", partition, "--from", offsets[5])
        self.assertEqual(len(rest), len(offsets) - 5)

        suppressed = self.tail("decisions", "--outcome", "suppress", "--reason", "consent_missing")
        self.assertEqual(
            {d["reason"] for record in suppressed for d in record["decisions"]},
            {"consent_missing"})
        sent = self.tail("commands", "--trigger", "payment-failed", "--channel", "sms")
        self.assertTrue(sent)
        self.assertEqual({command["trigger_id"] for command in sent}, {"payment-failed"})
        for wrong in (("--from", "yesterday"), ("--from", "-1"), ("--since", "10"),
                      ("--from", "end", "--since", "1h"), ("--outcome", "sent"),
                      ("--channel", "fax"), ("--reason", "unknown_tenant")):
            self.run_program("tail", "decisions", *wrong, exit_code=2)
        self.run_program("tail", "facts", "--outcome", "send", exit_code=2)
        self.run_program("tail", "decisions", "--partition", "4", exit_code=4)

    def tail(self, what, *arguments):
        done = self.run_program("tail", what, "--no-follow", "-o", "jsonl", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_tail_ends_after_the_silence_that_was_asked_for(self):
        self.decide()
        begun = time.monotonic()
        done = self.run_program("tail", "decisions", "--timeout", "500ms", exit_code=124)
        self.assertLess(0.5, time.monotonic() - begun)
        self.assertIn("nothing new on decisions for 500ms (0 shown)", done.stderr)
        # Who stops at the end does not wait for it.
        self.run_program("tail", "decisions", "--no-follow", "--timeout", "1h")
        self.run_program("status", "--timeout", "5", exit_code=3)

    def test_times_are_shown_as_asked(self):
        self.decide()
        self.assertRegex(self.run_program("explain", "last", "--time", "relative").stdout,
                         r"appended (now|\d+s ago)")
        local = self.run_program("tail", "decisions", "--no-follow", "--time", "local",
                                 TZ="Asia/Kathmandu").stdout
        self.assertEqual(local.count("+05:45  evt_"), 40)
        as_json = self.run_program("status", "--time", "local", "-o", "json",
                                   TZ="Asia/Kathmandu").stdout
        self.assertNotIn("+05:45", as_json)
        self.run_program("status", "--time", "moon", exit_code=2)

    def test_a_profile_chooses_a_part_of_the_settings(self):
        file = self.directory / "alertstream.toml"
        file.write_text('[profile.small]\npartitions = 2\n[profile.large]\npartitions = 8\n')
        common = ("config", "show", "-o", "json", "--config", file)
        for profile, expected in (("small", "2"), ("large", "8")):
            shown = json.loads(self.run_program(*common, "--profile", profile).stdout)
            values = {row["setting"]: row["value"] for row in shown}
            self.assertEqual(values["partitions"], expected)
        self.assertIn("there is no [profile.none]; it has large, small",
                      self.run_program(*common, "--profile", "none", exit_code=3).stderr)

    def test_an_engine_version_that_the_program_does_not_know_is_refused(self):
        self.decide()
        before = self.run_program("topic", "stats", "-o", "json").stdout
        versions = json.loads(self.run_program("version", "-o", "json").stdout)
        known = next(int(row["version"]) for row in versions if row["part"] == "engine")
        done = self.run_program("engine", "activate", known + 1, "-o", "json", exit_code=2)
        error = json.loads(done.stdout)["error"]
        self.assertEqual(error["code"], "invalid")
        self.assertIn(f"knows engine versions up to {known}, not {known + 1}", error["message"])
        self.run_program("engine", "activate", 0, exit_code=2)
        self.assertEqual(self.run_program("topic", "stats", "-o", "json").stdout, before)
        # The version in force is known, but not above itself.
        self.run_program("engine", "activate", known, exit_code=6)

    def end_of(self, topic, partition):
        stats = json.loads(self.run_program("topic", "stats", "-o", "json").stdout)
        return next(row["end"] for row in stats
                    if (row["topic"], row["partition"]) == (topic, partition))

    def home_of_acme(self):
        return json.loads(self.run_program("explain", "last", "-o", "json").stdout)["records"][0][
            "partition"]

    def test_a_poisoned_record_stops_its_partition_until_it_is_skipped(self):
        self.decide()
        partition = self.home_of_acme()
        offset = self.end_of("consent-changes", partition)
        record = f"consent-changes/{partition}/{offset}"
        # The next consent is one on which the process has died twice.
        harness.mark_as_poison(self.data / "state" / f"{partition}.crash", CONSENT_CHANGES, offset)
        grant = ("consent", "grant", "+254700000050", "--tenant", "acme")
        done = self.run_program(*grant, exit_code=6)
        self.assertIn(f"consent-changes partition {partition} offset {offset} crashed the process "
                      f"2 times", done.stderr)
        self.assertIn(f"dlq skip {record} --reason", done.stderr)
        status = self.run_program("status", "-o", "json")
        self.assertEqual([row["stopped_by"] for row in json.loads(status.stdout)],
                         [record if p == partition else None for p in range(4)])
        self.assertIn(f"dlq skip {record} --reason", status.stderr)
        # Nothing else of the partition goes on either, and a server says why.
        self.run_program("optout", "add", "+254700000051", "--tenant", "acme", "--reason", "x",
                         exit_code=6)
        line = json.dumps({"event_type": "payment.failed", "tenant": "acme", "id": "waits", "data": {
            "order": "W", "amount": 1500, "currency": "KES", "phone": "+254700000052"}})
        self.run_program("decide", "--events", "-", stdin=line, exit_code=6)
        server = subprocess.Popen(
            [PROGRAM, "serve", "--target=processor", "--metrics-port", "0", "--log-format", "json",
             "--data-dir", str(self.data)], stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env=self.environment)
        bound = threading.Timer(60, server.kill)  # A server that never says so ends the loop too.
        bound.start()
        try:
            port = None
            for text in server.stderr:
                harness.keep("serve", text)
                event = json.loads(text)
                port = event.get("metrics_port", port)
                if event.get("phase") == "stopped":
                    break
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5)
            with refused.exception as answer:
                self.assertEqual(answer.code, 503)
                self.assertIn(f"offset {offset} crashed the process", answer.read().decode())
        finally:
            server.send_signal(signal.SIGTERM)
            harness.keep("serve", server.stderr.read())
            self.assertEqual(server.wait(timeout=20), 0)
            server.stderr.close()
            bound.cancel()

        for wrong, exit_code in (("consent-changes", 2), (f"consents/{partition}/1", 2),
                                 (f"consent-changes/{partition}/{offset + 1000}", 4),
                                 ("consent-changes/77/1", 4)):
            self.run_program("dlq", "skip", wrong, "--reason", "x", exit_code=exit_code)
        self.run_program("dlq", "skip", record, exit_code=2)  # Without a reason.
        self.run_program("dlq", "skip", record, "--reason", "case 17")
        # The next command finds the request, passes the record and decides what waited.
        self.run_program("optout", "add", "+254700000053", "--tenant", "acme", "--reason", "x")
        letters = json.loads(self.run_program("dlq", "list", "-o", "json").stdout)
        letter = next(letter for letter in letters if letter["reason"] == "skipped_by_operator")
        self.assertEqual(letter["detail"], "case 17")
        self.assertEqual(letter["source"], f"consent-changes@{partition}:{offset}")
        shown = json.loads(
            self.run_program("dlq", "show", letter["id"], "--show-original").stdout)
        self.assertGreater(shown["original_bytes"], 0)
        self.assertEqual(len(shown["original_hex"]), 2 * shown["original_bytes"])
        self.assertNotIn("granted",
                         self.run_program("consent", "show", *grant[2:], "-o", "json").stdout)
        self.assertEqual(
            [record["verdict"] for record in self.tail("decisions", "--trigger", "payment-failed")
             if record["decided_at"] >= letter["at"]], ["accepted"])
        self.assertEqual(self.audit()["mismatches"], 0)
        # Later it is no longer in the way.
        status = json.loads(self.run_program("status", "-o", "json").stdout)
        self.assertEqual([row["stopped_by"] for row in status], [None] * 4)
        self.run_program(*grant)

    def test_a_poisoned_event_is_skipped_by_itself(self):
        self.decide()
        partition = self.home_of_acme()
        offset = self.end_of("site-events", partition)
        harness.mark_as_poison(self.data / "state" / f"{partition}.crash", SITE_EVENTS, offset)
        done = self.decide("-o", "jsonl", exit_code=8)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([record["reason"] for record in records if "dead_letter" in record],
                         ["crashed_process"])
        self.assertEqual(len(records), 40)
        self.assertEqual(self.audit()["mismatches"], 0)

    def test_every_command_has_help_with_an_example(self):
        for command in ("decide", "serve", "topics plan", "topics apply", "topics status", "status",
                        "tail", "explain", "topic dump", "topic stats", "doctor", "version",
                        "config show", "triggers apply", "triggers list", "events import",
                        "events get", "engine activate", "consent grant", "consent revoke",
                        "consent show", "optout add", "optout remove", "optout list",
                        "audit verify", "dlq list", "dlq show", "dlq skip"):
            done = subprocess.run([PROGRAM, *command.split(), "--help"], capture_output=True,
                                  text=True, timeout=30, env=self.environment)
            self.assertEqual(done.returncode, 0, command)
            self.assertIn(f"Example:\n  alertstream {command}", done.stdout)

    def test_looking_works_beside_a_server(self):
        self.decide()
        server = subprocess.Popen(
            [PROGRAM, "serve", "--target=processor", "--metrics-port", "0", "--log-format", "json",
             "--data-dir", str(self.data)], stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env=self.environment)
        try:
            for line in server.stderr:
                harness.keep("serve", line)
                event = json.loads(line)
                self.assertNotEqual(event.get("phase"), "stopped", line)
                if event.get("phase") == "owner" and event.get("partition") == 0:
                    break
            self.assertEqual(self.audit()["mismatches"], 0)
            self.run_program("explain", "last")
            self.run_program("doctor")
            # The directory has one writer.
            self.run_program("consent", "revoke", "+254700000050", "--tenant", "acme", exit_code=6)
            begun = time.monotonic()
            server.send_signal(signal.SIGTERM)
            rest = server.stderr.read()
            harness.keep("serve", rest)
            self.assertEqual(server.wait(timeout=20), 0, rest)
            self.assertLess(time.monotonic() - begun, 10)
        finally:
            server.kill()
            server.wait()
            server.stderr.close()

    def test_killed_in_the_middle_nothing_is_lost_or_decided_twice(self):
        many = self.write_many()
        command = [PROGRAM, "decide", "--rules", str(RULES), "--events", str(many), "-o", "jsonl",
                   "-q", "--data-dir", str(self.data)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   cwd=ROOT, env=self.environment)
        seen = [process.stdout.readline() for _ in range(2000)]
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        told = {json.loads(line)["event_id_given"] for line in seen}

        again = self.run_program("decide", "--rules", RULES, "--events", many, "-o", "jsonl", "-q")
        verdicts = {}
        for line in again.stdout.splitlines():
            record = json.loads(line)
            verdicts[record["event_id_given"]] = record["verdict"]
        self.assertEqual(len(verdicts), MANY)
        # What the killed run had printed was decided for good.
        self.assertEqual({verdicts[event] for event in told}, {"duplicate"})

        places = collections.Counter()
        accepted = 0
        done = self.run_program("tail", "decisions", "--no-follow", "-o", "jsonl")
        for line in done.stdout.splitlines():
            record = json.loads(line)
            places[(record["partition"], record["offset"])] += 1
            accepted += record["verdict"] == "accepted"
        self.assertEqual(accepted, MANY)
        self.assertEqual(max(places.values()), 1)
        self.assertEqual(self.audit()["mismatches"], 0)


if __name__ == "__main__":
    if not pathlib.Path(PROGRAM).is_file():
        raise SystemExit("ALERTSTREAM_TEST_PROGRAM must name the built program")
    unittest.main()
