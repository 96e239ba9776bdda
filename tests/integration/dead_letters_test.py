#!/usr/bin/env python3
"""Dead letters from outside: listed, shown, retried one by one and by a query, edited, dropped and
purged; by commands that own the log, beside Kafka, through a server, and over REST.

ALERTSTREAM_DEAD_LETTERS=100000 says how many are redriven in bulk."""

import json
import os
import time

import harness
from dev_test import Dev, add_rules
from resources_test import ask

PHONE = "+254700000001"
RULES = """
kind: tenant
id: acme
status: active
plan: p
---
kind: plan
id: p
sends_per_month_max: 1000000
---
kind: sender
id: main
provider: twilio
account: main
number: "+15005550006"
default: true
---
kind: trigger
id: alert
event_type: order.paid
recipients: {field: data.phone}
channel: sms
template: {body: "Paid {{data.amount}}."}
message_class: transactional
"""
SITE = """
kind: site
tenant: acme
id: later
status: active
"""
REASON = ("--reason", "the site is back")


def write(deployment, name, text):
    path = deployment.directory / name
    path.write_text(text)
    return path


def event(number, site="later", **fields):
    return json.dumps({"event_type": "order.paid", "tenant": "acme", "site": site, "id": f"o{number}",
                       "data": {"phone": PHONE, "amount": number}, **fields})


def die(deployment, count, **fields):
    """So many events of a website that does not exist."""
    write(deployment, "rules.yaml", RULES)
    events = write(deployment, "events.jsonl",
                   "".join(event(n, **fields) + "\n" for n in range(count)))
    deployment.run("decide", "--rules", deployment.directory / "rules.yaml", "--events", events,
                   expect=None, timeout=600)


def open_site(deployment):
    deployment.run("triggers", "apply", "-f", write(deployment, "site.yaml", SITE))


def letters(deployment, *filters):
    return json.loads(deployment.run("dlq", "list", "-o", "json", "--limit", 1000, *filters).stdout)


def id_of(hexadecimal):
    """An id as people see it."""
    number = int(hexadecimal, 16)
    return "dlq_" + "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> shift & 31]
                            for shift in range(125, -1, -5))


def redrive(deployment, *arguments, expect=0, timeout=600):
    done = deployment.run("dlq", *arguments, "-o", "json", expect=expect, timeout=timeout)
    return json.loads(done.stdout)


def a_life_after_death(deployment):
    die(deployment, 6)
    died = letters(deployment)
    assert [row["status"] for row in died] == ["open"] * 6, died
    first = died[0]["id"]
    shown = json.loads(deployment.run("dlq", "show", first).stdout)
    assert shown["decoded"]["site"] == "later" and PHONE not in json.dumps(shown), shown
    shown = json.loads(deployment.run("dlq", "show", first, "--show-original").stdout)
    assert PHONE.encode().hex() in shown["original_hex"], shown

    # Nothing is different yet: it dies again, and says as what.
    assert redrive(deployment, "retry", first, *REASON, expect=8)["failed_again"] == 1
    again = json.loads(deployment.run("dlq", "show", first).stdout)
    assert again["status"] == "failed_again" and again["retries"] == 1, again
    child = json.loads(deployment.run("dlq", "show", again["died_as"]).stdout)
    assert child["retry_of"] == first and child["status"] == "open", child

    if deployment.kafka:
        deployment.serve()  # So far the commands decided themselves.
    open_site(deployment)
    dry = redrive(deployment, "retry", "--all", "--dry-run", *REASON)
    assert dry == {"dry_run": True, "skipped: failed_again": 1, "would be asked for": 6}, dry
    assert redrive(deployment, "drop", died[1]["id"], *REASON)["dropped"] == 1
    assert redrive(deployment, "purge", died[2]["id"], *REASON)["purged"] == 1
    shown = deployment.run("dlq", "show", died[2]["id"], "--show-original", expect=6)
    assert "original_hex" not in shown.stdout and "purged" in shown.stderr, shown
    done = redrive(deployment, "retry", "--all", *REASON)
    assert done == {"dry_run": False, "resolved": 4, "skipped: dropped": 1,
                    "skipped: failed_again": 1, "skipped: purged": 1}, done
    # What is run again leaves out what is done; one that is named is refused, or forced.
    assert redrive(deployment, "retry", "--status", "open", *REASON) == {"dry_run": False}
    forced = redrive(deployment, "retry", died[3]["id"], "--force", *REASON)
    assert forced == {"dry_run": False, "resolved": 1}, forced
    stats = json.loads(deployment.run("dlq", "stats", "-o", "json").stdout)
    assert {(row["status"], row["letters"]) for row in stats} == {
        ("resolved", 4), ("failed_again", 1), ("dropped", 1), ("purged", 1)}, stats
    facts = [fact for fact in deployment.outputs("facts") if "dead_letter" in fact]
    assert len(facts) == 8 and all(fact["reason"] == "the site is back" and fact["actor"]
                                   for fact in facts), facts
    assert sum(len(line["decisions"]) for line in deployment.decisions()) == 4
    assert deployment.audit()


def commands_that_own_the_log():
    with harness.Deployment() as deployment:
        a_life_after_death(deployment)


def commands_beside_kafka():
    with harness.Deployment(kafka=harness.broker()) as deployment:
        a_life_after_death(deployment)


def what_is_filtered():
    with harness.Deployment() as deployment:
        die(deployment, 3)
        deployment.run("decide", "--events", "-", expect=None,
                       stdin=event(9, "later", time="2026-01-01T00:00:00Z") + "\n")
        assert len(letters(deployment, "--stage", "tenant", "--cause", "unknown_site")) == 4
        assert letters(deployment, "--stage", "decode") == []
        assert len(letters(deployment, "--type", "order.paid", "--newer-than", "1h")) == 4
        assert letters(deployment, "--older-than", "1h") == []
        deployment.run("dlq", "list", "--stage", "nonsense", expect=2)
        deployment.run("dlq", "retry", *REASON, expect=2)
        open_site(deployment)
        done = redrive(deployment, "retry", "--all", *REASON)
        assert done == {"dry_run": False, "resolved": 3, "skipped: expired": 1}, done
        done = redrive(deployment, "retry", "--all", "--include-expired", *REASON)
        assert done["resolved"] == 1, done
        assert [d["verdict"] for d in deployment.decisions()].count("expired") == 1
        exported = deployment.lines("dlq", "export", "--status", "resolved")
        assert len(exported) == 4 and all("decoded" in row for row in exported)


def an_edited_copy_is_linked():
    with harness.Deployment() as deployment:
        die(deployment, 1)
        data = write(deployment, "data.json", json.dumps({"phone": PHONE, "amount": 77}))
        deployment.run("dlq", "edit", "last", "--type", "white space", *REASON, expect=1)
        site = write(deployment, "site.yaml", SITE.replace("later", "shop"))
        deployment.run("triggers", "apply", "-f", site)
        done = redrive(deployment, "edit", "last", "--data", data, "--site", "shop", *REASON)
        assert done["resolved"] == 1, done
        commands = deployment.outputs("commands")
        assert len(commands) == 1, commands
        letter = letters(deployment)[0]
        assert letter["status"] == "resolved" and letter["retries"] == 1, letter


def through_the_server_that_owns_the_log():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        add_rules(deployment)
        for number in range(4):
            status, _, answer = dev.ingest(
                {"event_type": "payment.failed", "id": f"p{number}", "site": "later",
                 "data": {"amount": 20 + number, "phone": "+16465550001"}})
            assert status in (200, 202), answer
        harness.wait_for("four letters", lambda: len(letters(deployment)) == 4, 15)
        ids = [row["id"] for row in letters(deployment)]
        site = SITE.replace("tenant: acme", "tenant: demo")
        deployment.run("triggers", "apply", "-f", write(deployment, "site.yaml", site))
        assert redrive(deployment, "retry", ids[0], *REASON)["resolved"] == 1
        harness.wait_for("the fact", lambda: letters(deployment, "--status", "resolved"), 10)
        assert redrive(deployment, "drop", ids[1], *REASON)["dropped"] == 1

        # The same over REST.
        path = "/api/v1/dead-letters/"
        body = {"reason": "by REST"}
        harness.wait_for("projected", lambda: ask(dev, "GET", path + ids[3])[0] == 200, 15)
        status, fields, done = ask(dev, "POST", path + ids[2] + "/retry", body)
        assert status == 200 and done["status"] == "resolved" and done["retries"] == 1, done
        status, _, row = ask(dev, "GET", path + ids[2], X_Min_Position=fields["X-Position"])
        assert row["status"] == "resolved" and row["acted_reason"] == "by REST", row
        status, _, problem = ask(dev, "POST", path + ids[2] + "/retry", body)
        assert status == 409 and problem["code"] == "retried_before", problem
        status, _, done = ask(dev, "POST", path + ids[2] + "/retry", {**body, "forced": True})
        assert status == 200 and done["retries"] == 2, done
        status, _, problem = ask(dev, "POST", path + ids[1] + "/retry", body)
        assert status == 409 and problem["code"] == "acted_on_before", problem
        status, _, problem = ask(dev, "POST", path + ids[3] + "/edit", body)
        assert status == 422, problem
        status, _, done = ask(dev, "POST", path + ids[3] + "/edit",
                              {**body, "data": {"amount": 99, "phone": "+16465550001"}})
        assert status == 200 and done["status"] == "resolved", done
        status, fields, done = ask(dev, "POST", path + ids[1] + "/purge", body)
        assert status == 200 and done["status"] == "purged", done
        status, _, stats = ask(dev, "GET", path + "stats", X_Min_Position=fields["X-Position"])
        assert status == 200 and stats["dead_letters"] == 4, stats
        assert {(c["status"], c["dead_letters"]) for c in stats["counts"]} == {
            ("resolved", 3), ("purged", 1)}, stats
        status, _, listed = ask(dev, "GET", "/api/v1/dead-letters?status=purged")
        assert [row["id"] for row in listed["data"]] == [ids[1]], listed
        assert ask(dev, "POST", path + "dlq_00000000000000000000000000/drop", body)[0] == 404
        assert ask(dev, "POST", path + ids[3] + "/drop", {})[0] == 422
        texts = [message["body"] for message in dev.messages()["messages"]]
        assert "Payment of 99 failed." in texts, texts


def a_message_that_never_arrived():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        add_rules(deployment)
        status, _, answer = dev.ingest(
            {"event_type": "payment.failed", "id": "p",
             "data": {"amount": 20, "phone": "+15005550009"}}, headers={"Prefer": "wait=5"})
        assert status == 200, answer
        listed = harness.wait_for("a notification", lambda: ask(
            dev, "GET", "/api/v1/notifications")[2].get("data"), 15)
        path = f"/api/v1/notifications/{listed[0]['id']}"

        def final():
            row = ask(dev, "GET", path)[2]
            return row["status"] in ("failed", "delivered", "sent", "accepted") and row

        row = harness.wait_for("an outcome", final, 20)
        status, _, answer = ask(dev, "POST", path + "/retry", {"reason": "once more"})
        if row["status"] == "failed":
            assert status == 200 and answer["decision"]["outcome"] == "send", answer
            status, _, answer = ask(dev, "POST", path + "/retry", {"reason": "once more"})
            assert answer["decision"]["reason"] == "retried_before", answer
        else:
            assert answer["decision"]["reason"] == "not_retryable", answer
            done = deployment.run("dlq", "retry", listed[0]["id"], *REASON, expect=6)
            assert "not_retryable" in done.stdout, done.stdout
        assert ask(dev, "POST", "/api/v1/notifications/ntf_00000000000000000000000000/retry",
                   {"reason": "x"})[0] == 404


def many_are_redriven_in_their_order():
    count = int(os.environ.get("ALERTSTREAM_DEAD_LETTERS", "2000"))
    with harness.Deployment() as deployment:
        die(deployment, count)
        begun = time.monotonic()
        assert len(letters(deployment)) == min(count, 1000)
        listed = time.monotonic() - begun
        open_site(deployment)
        part = redrive(deployment, "retry", "--status", "open", "--cause", "unknown_site",
                       "--rate", 100_000, *REASON)
        assert part["resolved"] == count, part
        redriven = time.monotonic() - begun - listed
        print(f"{count} dead letters: listed in {listed:.1f} s, redriven in {redriven:.1f} s")
        assert redrive(deployment, "retry", "--status", "open", *REASON) == {"dry_run": False}
        if count <= 10_000:  # In the order in which they died.
            acted = [id_of(fact["dead_letter"]["id"]) for fact in deployment.outputs("facts")
                     if "dead_letter" in fact]
            assert acted == [row["id"] for row in deployment.lines("dlq", "export")]
        assert deployment.audit()


if __name__ == "__main__":
    harness.main([commands_that_own_the_log, commands_beside_kafka, what_is_filtered,
                  an_edited_copy_is_linked, through_the_server_that_owns_the_log,
                  a_message_that_never_arrived, many_are_redriven_in_their_order])
