"""What goes on while a fault happens: clients that send events until each is acknowledged, people who
say STOP and are written to all the same, one person whose daily cap is tried again and again, and
somebody who watches that nothing that was there goes away."""

import contextlib
import http.client
import random
import threading
import time

import harness
from dev_test import call
from doors_kill_test import EVENTS_MAX, Load, phone, prepare
from projections_test import sql

PAUSE_S = 0.3           # Of each of the four clients between two events.
OPT_OUT_GRACE_S = 0.25  # I5: an event appended later than this after an opt-out is not sent.
STOP_PAUSE_S = 1.0
STOPS_MAX = 900
CAPPED = "+12125550199"
CAP = 3
WATCH_PAUSE_S = 1.0
FAILURES = (OSError, ValueError, http.client.HTTPException)


class Workload(Load):
    """Runs from its making until `end`; while it is held nobody sends anything."""

    def __init__(self, system):
        self.system = system
        self.released = threading.Event()
        self.released.set()
        self.sending = 0
        self.stopped = {}   # Event number of a person who said STOP -> id of the event after it.
        self.capped = 0     # Events that the cap is about.
        self.shrunk = []    # What the watcher saw go back.
        self.chosen = random.Random(7)
        super().__init__(system)
        for work in (self.stop_people, self.try_the_cap, self.watch):
            thread = threading.Thread(target=work, daemon=True)
            self.threads.append(thread)
            thread.start()

    @classmethod
    def on(cls, system):
        prepare(system, system.tenant)
        capped = {"kind": "trigger", "id": "capped", "event_type": "capped.event",
                  "recipients": {"field": "data.phone"}, "channel": "sms", "daily_cap": CAP,
                  "template": {"body": "Once more, {{data.n}}"}, "message_class": "transactional"}
        status, _, answer = call(
            "POST", system.direct_api_url + "/api/v1/control/events",
            {"tenant": system.tenant, "events": [capped]},
            {"X-API-Key": system.info["operator_key"], "Content-Type": "application/json",
             "Prefer": "wait=10"}, timeout=30)
        assert status == 200, (status, answer)
        return cls(system)

    def turn(self):
        """Waits until the workload is released; false when it has ended."""
        while not self.released.wait(0.2):
            if self.ending.is_set():
                return False
        return not self.ending.is_set()

    @contextlib.contextmanager
    def sending_one(self):
        """False if the workload is held; else it is not before the end of this."""
        with self.lock:
            may = self.released.is_set()
            self.sending += may
        try:
            yield may
        finally:
            with self.lock:
                self.sending -= may

    def client(self):
        while self.turn():
            with self.sending_one() as may:
                if may and not self.send_next():
                    return
            time.sleep(PAUSE_S)

    def send_next(self):
        with self.lock:
            if self.next >= EVENTS_MAX:
                return False
            n = self.next
            self.next += 1
        return self.send(n)

    def until_acknowledged(self, event, key):
        """The answer to an event that is sent again until there is one; None at the end."""
        while not self.ending.is_set():
            try:
                status, _, answer = self.servers.ingest(event, headers={"Idempotency-Key": key})
            except FAILURES:
                status, answer = 0, None
            if status == 202:
                return answer
            time.sleep(0.1)
        return None

    def written_to(self):
        """Somebody whom the provider has written to, and who has not answered yet."""
        try:
            listed = call("GET", self.system.simulator_url + "/messages?limit=50", timeout=5)[2]
        except FAILURES:
            return None
        numbers = [int(m["to"][-4:]) for m in listed["messages"] if m["to"] != CAPPED]
        numbers = [n for n in numbers if n not in self.stopped]
        return self.chosen.choice(numbers) if numbers else None

    def stop_people(self):
        while self.turn():
            time.sleep(STOP_PAUSE_S)
            with self.sending_one() as may:
                n = self.written_to()
                if may and n is not None and len(self.stopped) < STOPS_MAX:
                    self.stop_one(n)

    def stop_one(self, n):
        try:
            status = self.servers.inbound("STOP", sender=phone(n))[0]
        except FAILURES:
            return
        if status != 200:
            return
        time.sleep(OPT_OUT_GRACE_S)
        answer = self.until_acknowledged(
            {"event_type": "transactional.event", "data": {"phone": phone(n), "n": n}},
            f"after-{n}")
        if answer is not None:
            self.stopped[n] = answer["id"]

    def try_the_cap(self):
        while self.turn():
            time.sleep(STOP_PAUSE_S)
            with self.sending_one() as may:
                if may:
                    self.capped += 1
                    self.until_acknowledged({"event_type": "capped.event",
                                             "data": {"phone": CAPPED, "n": self.capped}},
                                            f"capped-{self.capped}")

    def positions(self):
        """What is projected, and which run of the server says so."""
        rows = sql(self.system.direct_url,
                   "SET ROLE alertstream_projector; SET statement_timeout = 2000; "
                   "SELECT partition, seq, pg_postmaster_start_time() "
                   "FROM read_model.projection_positions")
        lines = [line.split("|") for line in rows.splitlines()]
        return {int(each[0]): int(each[1]) for each in lines}, {each[2] for each in lines}

    def watch(self):
        last, last_run = {}, set()
        while not self.ending.is_set():
            time.sleep(WATCH_PAUSE_S)
            try:
                now, run = self.positions()
            except Exception:  # pylint: disable=broad-except
                continue  # The database is what is being attacked.
            # A server that crashed may have lost its newest transactions: rows and position alike.
            if run == last_run:
                self.shrunk += [f"partition {p}: projected {seq}, then {now.get(p)}"
                                for p, seq in last.items() if now.get(p, -1) < seq]
            last, last_run = now, run

    def hold(self):
        """Until everything that was begun is acknowledged."""
        with self.lock:
            self.released.clear()
        harness.wait_for("every event's acknowledgement", lambda: self.sending == 0, 60)

    def release(self):
        self.released.set()
