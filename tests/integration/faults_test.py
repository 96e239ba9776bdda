#!/usr/bin/env python3
"""What becomes of a message when its provider misbehaves: every fault of the simulator, told by the
facts of the log and by what the simulator was asked for and has accepted."""

import json
import re
import subprocess
import time

import harness
from dev_test import Dev, call

CLASSES = ("transactional", "informational")
TENANT = {"kind": "tenant", "id": "demo", "status": "active", "plan": "neighbourhood",
          "stop_reply": "You are out.", "help_reply": "Call us.", "unknown_wait": "1s"}
UNKNOWN_WAIT_US = 1_000_000
# Longer than any test waits: nobody says what became of a message.
SILENT = ("--callback-delay", "5m")


def phone(n):
    return f"+1646555{n:04d}"


def trigger(message_class):
    return {"kind": "trigger", "id": message_class, "event_type": f"{message_class}.event",
            "recipients": {"field": "data.phone"}, "channel": "sms",
            "template": {"body": "{{data.text}}"}, "message_class": message_class}


class Shop(Dev):
    """A dev whose provider's faults a test orders; calls to it time out after half a second."""

    def __init__(self, deployment, *arguments):
        deployment.environment["ALERTSTREAM_DISPATCH_CALL_TIMEOUT"] = "500ms"
        super().__init__(deployment, *arguments)
        self.control(TENANT, *map(trigger, CLASSES),
                     *({"kind": "consent", "phone": phone(n), "channel": "sms",
                        "class": "informational", "status": "granted"} for n in range(1, 10)))

    def control(self, *events):
        status, _, answer = call(
            "POST", self.info["api_url"] + "/api/v1/control/events",
            {"tenant": "demo", "events": events},
            {"X-API-Key": self.info["operator_key"], "Content-Type": "application/json"})
        assert status == 200, (status, answer)
        assert {r["status"] for r in answer["results"]} <= {"accepted", "unchanged"}, answer

    def fault(self, name, count=1):
        status, _, answer = call("POST", self.info["provider_url"] + "/faults",
                                 {"fault": name, "count": count})
        assert status == 200, (status, answer)

    def decide(self, n=1, message_class="transactional", text="hello"):
        status, _, answer = self.ingest(
            {"event_type": f"{message_class}.event", "data": {"phone": phone(n), "text": text}},
            headers={"Prefer": "wait=10"})
        assert status == 200, (status, answer)
        return answer["decisions"][0]

    def send(self, n=1, message_class="transactional", text="hello"):
        decision = self.decide(n, message_class, text)
        assert decision["outcome"] == "SEND", decision
        return decision["notification_id"]

    def requests(self, key):
        listed = call("GET", self.info["provider_url"] + "/requests?limit=1000")[2]["requests"]
        return [r for r in listed if r["key"] == key]

    def accepted(self, key):
        """How often the provider has taken the message."""
        listed = call("GET", self.info["provider_url"] + "/messages?limit=1000")[2]
        mine = [m["attempt"] for m in listed["messages"] if m["key"] == key]
        assert mine == list(range(1, len(mine) + 1)), mine
        assert listed["distinct_keys"] == len({m["key"] for m in listed["messages"]}), listed
        return len(mine)

    def facts(self):
        return self.deployment.outputs("facts")

    def history(self, key):
        """The accepted facts about one notification, in their order."""
        return [fact["notification"] | {"at_us": fact["at_us"]} for fact in self.facts()
                if fact.get("notification", {}).get("notification_id") == key]

    def results(self, key):
        """(attempt, class, code) of each attempt's result."""
        return [(fact["attempt"], fact["result"], fact.get("error_code", ""))
                for fact in self.history(key) if "result" in fact]

    def status(self, key):
        moves = [fact["status"] for fact in self.history(key) if fact.get("changed")]
        return moves[-1] if moves else "commanded"

    def wait_status(self, key, status, seconds=20):
        try:
            harness.wait_for(status, lambda: self.status(key) == status, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps(self.history(key), indent=1)}") from None

    def end(self):
        assert self.stop() == 0, self.deployment.log_of(self.process)
        assert self.deployment.audit()["mismatches"] == 0
        log = self.deployment.log_of(self.process)
        assert not re.search(r"1?646555\d{4}", log), "a number reached the log"


def waits_of(history):
    """(class, how long the fold waited for the next attempt in s) of each result."""
    return [(fact["result"], (fact["retry_at_us"] - fact["at_us"]) / 1e6)
            for fact in history if fact.get("retry_at_us")]


def throttled_is_no_try_and_a_server_error_is_one():
    with harness.Deployment() as deployment:
        shop = Shop(deployment)
        shop.fault("http_429", 2)
        key = shop.send()
        shop.wait_status(key, "delivered")
        assert shop.results(key) == [(1, "throttle", "20429"), (2, "throttle", "20429"),
                                     (3, "accepted", "")], shop.results(key)
        assert all(result == "throttle" and seconds >= 1
                   for result, seconds in waits_of(shop.history(key))), shop.history(key)
        assert [r["status"] for r in shop.requests(key)] == [429, 429, 201]
        assert shop.accepted(key) == 1

        shop.fault("http_500", 2)
        key = shop.send(2)
        shop.wait_status(key, "delivered")
        assert shop.results(key) == [(1, "retry", "20500"), (2, "retry", "20500"),
                                     (3, "accepted", "")], shop.results(key)
        first, second = waits_of(shop.history(key))
        assert first[0] == second[0] == "retry", (first, second)
        assert 0 < first[1] <= 0.5 and 0 < second[1] <= 1, (first, second)
        assert [r["status"] for r in shop.requests(key)] == [500, 500, 201]
        assert shop.accepted(key) == 1
        shop.end()


def a_message_is_given_up_after_six_tries():
    with harness.Deployment() as deployment:
        shop = Shop(deployment)
        shop.fault("http_500", 1000)
        key = shop.send()
        # The fifth failure in a row opens the breaker; the sixth try is its probe.
        shop.wait_status(key, "failed", 60)
        assert shop.results(key) == [(n, "retry", "20500") for n in range(1, 7)], shop.results(key)
        waits = [seconds for _, seconds in waits_of(shop.history(key))]
        assert len(waits) == 5, waits
        for n, seconds in enumerate(waits):
            assert 0 < seconds <= 0.5 * 2**n, waits
        assert len(shop.requests(key)) == 6 and shop.accepted(key) == 0
        # The breaker lets the next one through as a probe, and it closes.
        shop.fault("http_500", 0)
        key = shop.send(2)
        shop.wait_status(key, "delivered", 70)
        assert len(shop.results(key)) == 1, "an open breaker used up an attempt"
        shop.end()


def an_opt_out_by_the_provider_suppresses_the_next_event():
    with harness.Deployment() as deployment:
        shop = Shop(deployment)
        shop.fault("opt_out_21610")
        key = shop.send()
        shop.wait_status(key, "failed")
        assert shop.results(key) == [(1, "opt_out", "21610")], shop.results(key)

        def opted_out():
            return [f["opt_out"] for f in shop.facts() if "opt_out" in f]

        facts = harness.wait_for("the opt-out", opted_out, 10)
        # As after a STOP: what one number says holds for all that reaches it.
        assert [(f["channel"], f["status"], f["by"]) for f in facts] == [
            ("sms", "active", "provider"), ("voice", "active", "provider")], facts
        for message_class in CLASSES:
            decision = shop.decide(1, message_class)
            assert (decision["outcome"], decision["reason"].lower()) == ("SUPPRESS", "opted_out"), \
                decision
        shop.wait_status(shop.send(2), "delivered")  # Nobody else is concerned.
        assert len(shop.requests(key)) == 1 and shop.accepted(key) == 0
        # No reply: the provider keeps it from the person anyway.
        kinds = [command["kind"] for command in deployment.outputs("commands")]
        assert kinds == ["send", "send"], kinds
        shop.end()


def not_taken_and_no_answer_is_unknown_and_sent_again_by_its_class():
    with harness.Deployment() as deployment:
        shop = Shop(deployment)
        n = 0
        for fault, code in (("hang", "timeout_after_sent"), ("reset", "closed_after_sent")):
            for message_class in CLASSES:
                n += 1
                shop.fault(fault)
                key = shop.send(n, message_class)
                if message_class == "informational":
                    shop.wait_status(key, "unknown_outcome")
                    time.sleep(1.5 * UNKNOWN_WAIT_US / 1e6)  # It never is.
                    assert shop.results(key) == [(1, "ambiguous", code)], shop.results(key)
                    assert shop.status(key) == "unknown_outcome" and shop.accepted(key) == 0
                    assert not waits_of(shop.history(key)), shop.history(key)
                    continue
                shop.wait_status(key, "delivered")
                assert shop.results(key) == [(1, "ambiguous", code), (2, "accepted", "")], \
                    (fault, shop.results(key))
                moves = [f["status"] for f in shop.history(key) if f.get("changed")]
                assert moves[:3] == ["started", "unknown_outcome", "accepted"], moves
                assert waits_of(shop.history(key)) == [("ambiguous", UNKNOWN_WAIT_US / 1e6)]
                assert len(shop.requests(key)) == 2 and shop.accepted(key) == 1
        shop.end()


def taken_without_an_answer_is_settled_by_the_receipt():
    with harness.Deployment() as deployment:
        shop = Shop(deployment)
        for n, message_class in enumerate(CLASSES, 1):
            shop.fault("accept_then_hang")
            key = shop.send(n, message_class)
            shop.wait_status(key, "delivered")
            harness.wait_for("the call's end", lambda k=key: shop.results(k), 10)
            time.sleep(1.5 * UNKNOWN_WAIT_US / 1e6)
            assert shop.results(key) == [(1, "ambiguous", "timeout_after_sent")], shop.results(key)
            assert shop.status(key) == "delivered"
            assert len(shop.requests(key)) == 1 and shop.accepted(key) == 1
        shop.end()


def started_simulator(deployment, *arguments):
    process = subprocess.Popen(
        [harness.program(), "providers", "simulate", "-o", "json", *arguments],
        env=deployment.environment, stdout=subprocess.PIPE,
        stderr=deployment.open_log("simulator"), text=True)
    deployment.processes.append(process)
    return json.loads(process.stdout.readline())["url"]


def taken_without_a_word_ever_arrives_twice_only_where_its_class_allows():
    with harness.Deployment() as deployment:
        shop = Shop(deployment, "--provider-url", started_simulator(deployment, *SILENT))
        shop.fault("accept_then_hang")
        key = shop.send(1)
        shop.wait_status(key, "accepted")
        assert shop.results(key) == [(1, "ambiguous", "timeout_after_sent"), (2, "accepted", "")]
        assert len(shop.requests(key)) == 2 and shop.accepted(key) == 2

        # Once more, not for ever.
        shop.fault("accept_then_hang", 2)
        key = shop.send(2)
        harness.wait_for("both results", lambda: len(shop.results(key)) == 2, 10)
        time.sleep(1.5 * UNKNOWN_WAIT_US / 1e6)
        assert [r[1] for r in shop.results(key)] == ["ambiguous"] * 2, shop.results(key)
        assert shop.status(key) == "unknown_outcome" and shop.accepted(key) == 2

        shop.fault("accept_then_hang")
        key = shop.send(3, "informational")
        shop.wait_status(key, "unknown_outcome")
        time.sleep(1.5 * UNKNOWN_WAIT_US / 1e6)
        assert len(shop.requests(key)) == 1 and shop.accepted(key) == 1
        assert shop.status(key) == "unknown_outcome"
        shop.end()


def receipts_twice_or_in_the_wrong_order_end_in_the_same_state():
    with harness.Deployment() as deployment:
        shop = Shop(deployment)
        for n, (fault, received) in enumerate((("duplicate_callbacks", ["sent", "delivered"]),
                                               ("reorder_callbacks", ["delivered", "sent"])), 1):
            shop.fault(fault)
            key = shop.send(n)
            harness.wait_for(
                "the receipts",
                lambda k=key: {f["status"] for f in shop.history(k)} >= {"sent", "delivered"}, 10)
            told = [f["status"] for f in shop.history(key) if f["status"] in received]
            assert told == received, (fault, told)
            assert shop.status(key) == "delivered"
            assert len(shop.requests(key)) == 1 and shop.accepted(key) == 1
        shop.end()


def a_stop_cancels_what_waits_behind_an_open_breaker():
    with harness.Deployment() as deployment:
        shop = Shop(deployment)
        # Somebody must have been written to, or the simulator knows no one to answer.
        shop.wait_status(shop.send(1), "delivered")
        shop.fault("http_500", 10_000)
        others = [shop.send(n) for n in range(2, 8)]
        breakers = harness.wait_for(
            "the breaker", lambda: call(
                "GET", shop.info["api_url"] + "/health")[2]["dispatcher"]["breakers"], 20)
        assert [(b["provider"], b["account"]) for b in breakers] == [("twilio", "main")], breakers
        mine = [shop.send(1, text=f"no {i}") for i in range(5)]
        assert shop.inbound("STOP", phone(1))[0] == 200
        for key in mine:
            shop.wait_status(key, "cancelled")
            assert shop.accepted(key) == 0
        assert shop.decide(1)["reason"].lower() == "opted_out"
        shop.fault("http_500", 0)

        def bodies():
            return [m["body"] for m in shop.messages()["messages"] if m["to"] == phone(1)]

        # The confirmation still comes, and nothing else does.
        harness.wait_for("the confirmation", lambda: "You are out." in bodies(), 70)
        for key in others:
            if shop.status(key) != "failed":
                shop.wait_status(key, "delivered", 70)
        assert bodies() == ["hello", "You are out."], bodies()
        assert all(shop.accepted(key) == 0 for key in mine)
        shop.end()


def a_stop_cancels_what_waits_for_its_turn():
    with harness.Deployment() as deployment:
        Shop(deployment).stop()
        keys = deployment.data / "keys.toml"
        text = keys.read_text().replace("sends_per_second = 5000\nburst = 5000",
                                        "sends_per_second = 1\nburst = 1")
        keys.write_text(text)
        shop = Shop(deployment)
        sent = [shop.send(1, text=f"message {i}") for i in range(8)]
        assert shop.inbound("STOP", phone(1))[0] == 200

        def settled():
            states = [shop.status(key) for key in sent]
            return states if set(states) <= {"cancelled", "delivered"} else None

        states = harness.wait_for("all of them", settled, 30)
        assert states.count("cancelled") >= 3, states
        assert [shop.accepted(key) for key in sent] == [int(s == "delivered") for s in states]
        for key, state in zip(sent, states):
            assert len(shop.requests(key)) == int(state == "delivered")
        shop.end()


def a_stop_ends_the_wait_for_another_try():
    with harness.Deployment() as deployment:
        shop = Shop(deployment)
        shop.control(TENANT | {"unknown_wait": "3s"})
        shop.wait_status(shop.send(1), "delivered")
        shop.fault("hang")
        key = shop.send(1, text="unknown")
        shop.wait_status(key, "unknown_outcome")
        assert shop.inbound("STOP", phone(1))[0] == 200
        time.sleep(4)
        # It may have arrived; that it did not is not for us to say.
        assert shop.status(key) == "unknown_outcome", shop.history(key)
        assert len(shop.requests(key)) == 1 and shop.accepted(key) == 0
        assert [m["body"] for m in shop.messages()["messages"]] == ["hello", "You are out."]
        shop.end()


if __name__ == "__main__":
    harness.main([
        throttled_is_no_try_and_a_server_error_is_one,
        a_message_is_given_up_after_six_tries,
        an_opt_out_by_the_provider_suppresses_the_next_event,
        not_taken_and_no_answer_is_unknown_and_sent_again_by_its_class,
        taken_without_an_answer_is_settled_by_the_receipt,
        taken_without_a_word_ever_arrives_twice_only_where_its_class_allows,
        receipts_twice_or_in_the_wrong_order_end_in_the_same_state,
        a_stop_cancels_what_waits_behind_an_open_breaker,
        a_stop_cancels_what_waits_for_its_turn,
        a_stop_ends_the_wait_for_another_try,
    ])
