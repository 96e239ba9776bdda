#!/usr/bin/env python3
"""Reading over REST from outside, against `alertstream dev` with its database: what was decided and
sent is found, explained and exported; reads wait for what was written; a database that dies comes
back."""

import csv
import io
import json
import time
import urllib.parse

import harness
from dev_test import Dev, PHONE, add_rules, call, fire

REASON = {"X-Reveal-Reason": "Ticket 4711, the customer asks"}


def get(dev, path, headers=None, **query):
    query = "?" + urllib.parse.urlencode(query) if query else ""
    return call("GET", dev.info["api_url"] + "/api/v1/" + path + query, None,
                {"X-API-Key": dev.info["secret_key"], **(headers or {})})


def found(dev, path, headers=None, **query):
    status, _, answer = get(dev, path, headers, **query)
    assert status == 200, (path, query, status, answer)
    return answer


def position_of(dev, number):
    status, _, answer = dev.ingest({"event_type": "payment.failed", "id": f"p{number}",
                                    "data": {"amount": 60 + number, "phone": PHONE}})
    assert status == 202, (status, answer)
    at = answer["position"]
    return answer["id"], f"{at['topic']}/{at['partition']}/{at['offset']}"


def what_was_sent_is_found_explained_and_exported():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        add_rules(deployment)
        decision = fire(dev, 1)[0]
        notification = decision["notification_id"]
        harness.wait_for(
            "the receipt in the read model",
            lambda: get(dev, "notifications/" + notification)[2].get("status") == "delivered", 20)
        one = found(dev, "notifications/" + notification)
        assert one["to"] == "+16465***001" and one["body"] is None, one
        assert [each["status"] for each in one["timeline"]][0] == "commanded", one
        assert one["attempt_count"] == 1 and len(one["attempts"]) == 1, one
        shown = found(dev, "notifications/" + notification, REASON)
        assert shown["to"] == PHONE and shown["body"] == "Payment of 49 failed.", shown

        listed = found(dev, "notifications", status="delivered", trigger="paid",
                       recipient=one["recipient"], event=one["event"], channel="sms")
        assert [each["id"] for each in listed["data"]] == [notification], listed
        assert listed["has_more"] is False and listed["next_cursor"] is None
        assert found(dev, "notifications", until=one["created_at"])["data"] == []

        event = found(dev, "events/" + one["event"])
        assert event["data"] == {"amount": "***", "phone": "***"}, event
        assert event["data_status"] == "masked" and event["producer_id"] == "e1", event
        event = found(dev, "events/" + one["event"], REASON)
        assert event["data"] == {"amount": 49, "phone": PHONE}, event

        for path in ("events/" + one["event"], "notifications/" + notification):
            why = found(dev, path + "/explain")
            why = why["decisions"][0] if "decisions" in why else why["decision"]
            assert why["outcome"] == "send" and why["trigger"]["version"] == 1, why
            assert why["conditions"] == [
                {"text": "event.data.amount >= 10", "outcome": "holds"}], why
            assert {gate["gate"] for gate in why["gates"]} >= {"condition", "consent", "opt_out"}
        decided = found(dev, "decisions", event=one["event"])["data"]
        assert [each["id"] for each in decided] == [why["id"]], decided

        person = found(dev, "recipients/" + one["recipient"], REASON)
        assert person["address"] == PHONE and person["opt_outs"] == [], person
        assert found(dev, f"recipients/{one['recipient']}/notifications")["data"][0]["id"] == notification
        usage = found(dev, "usage")
        assert usage["sends"] == 1, usage
        looks = [each for each in found(dev, "audit")["data"]
                 if each["action"] == "personal_data.reveal"]
        assert len(looks) == 3 and looks[0]["detail"]["reason"] == REASON["X-Reveal-Reason"], looks

        status, fields, text = get(dev, "notifications", {"Accept": "text/csv"})
        assert status == 200 and fields["Content-Type"].startswith("text/csv"), fields.items()
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["id"] for row in rows] == [notification] and rows[0]["to"] == "'+16465***001", rows
        status, _, text = get(dev, "events", {"Accept": "application/x-ndjson"})
        assert status == 200
        lines = [text] if isinstance(text, dict) else [json.loads(x) for x in text.splitlines()]
        assert [line["id"] for line in lines] == [one["event"]], lines


def a_read_waits_for_what_was_written():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        add_rules(deployment)
        waits = []
        for number in range(20):
            event, position = position_of(dev, number)
            begun = time.monotonic()
            answer = found(dev, "decisions", {"X-Min-Position": position}, event=event)
            waits.append(time.monotonic() - begun)
            assert len(answer["data"]) == 1, (number, answer)
        print(f"read after write: median {sorted(waits)[10] * 1000:.0f} ms")
        topic, partition, offset = position.split("/")
        begun = time.monotonic()
        status, fields, problem = get(
            dev, "events", {"X-Min-Position": f"{topic}/{partition}/{int(offset) + 1000}"})
        assert status == 503 and fields["Retry-After"], (status, problem)
        assert 4.5 < time.monotonic() - begun < 8

        pages, cursor = [], None
        while True:
            page = found(dev, "events", limit=7, **({"cursor": cursor} if cursor else {}))
            pages += [each["id"] for each in page["data"]]
            cursor = page["next_cursor"]
            if not page["has_more"]:
                break
        assert len(pages) == len(set(pages)) == 20, pages
        assert pages == [each["id"] for each in found(dev, "events", limit=100)["data"]]


def what_is_wrong_is_said():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        url = dev.info["api_url"] + "/api/v1/"
        for path in ("events", "decisions", "notifications", "usage", "dead-letters", "audit"):
            status, fields, problem = call("GET", url + path)
            assert status == 401 and fields["WWW-Authenticate"], (path, status)
            assert problem["request_id"] == fields["X-Request-Id"], problem
        status, fields, problem = get(dev, "events", colour="red")
        assert status == 400 and "starting_after" in problem["detail"], problem
        assert get(dev, "events", cursor="AAAA")[0] == 400
        assert get(dev, "events/evt_00000000000000000000000000")[0] == 404
        assert get(dev, "events", {"Accept": "text/html"})[0] == 406
        status, fields, _ = get(dev, "events")
        assert fields["X-Content-Type-Options"] == "nosniff"
        assert fields["Content-Security-Policy"].startswith("default-src 'none'")
        assert fields["Cache-Control"] == "no-store"


if __name__ == "__main__":
    harness.main([
        what_was_sent_is_found_explained_and_exported,
        a_read_waits_for_what_was_written,
        what_is_wrong_is_said,
    ])
