"""The faults: what is done, and when it ends. Each is a function of the running system that returns
when the fault has ended; a short one stands for its kind in ops/test."""

import contextlib
import dataclasses
import shutil
import signal
import time
import typing

import harness
from dev_test import call
from disk import SCENARIOS, fill, flip, largest
from system import NODES, PARTS, paused

CUT_S = 6            # How long a network fault lasts: longer than a request's time limit.
SHORT_PAUSE_S = 1
LONG_PAUSE_S = 15    # Longer than a transaction may last (10 s) and than a lease lives (5 s).
DELAY_MS = 150
BROKER_DOWN_S = 6    # Longer than its session: others lead its partitions by then.
NETWORK = {"delay": {"ms": DELAY_MS}, "drop": {}, "one_way to_server": {"direction": "to_server"},
           "one_way to_client": {"direction": "to_client"}, "half_open": {}, "reset_before": {},
           "reset_after": {}, "refuse": {}}
FLIP_EVERY = 20_000   # Bytes: several times a second under load, and seldom enough to log in again.
STRANGER = "6465559998"  # No event is about him.
WAYS = {"kafka": ("kafka-1", "kafka-2", "kafka-3"), "postgres": ("postgres",),
        "provider": ("provider",), "callbacks": ("callbacks",), "clients": ("clients",)}


@dataclasses.dataclass
class Scenario:
    name: str
    run: typing.Callable
    short: bool = False
    weight: int = 1  # How often a soak takes it.
    small_log_disk: bool = False
    over_tls: bool = False  # One broker with TLS and passwords instead of three plain ones.


def killed(part):
    def run(system):
        system.end(part, signal.SIGKILL)
        system.start(part)
    return run


def stopped_for(part, seconds):
    def run(system):
        paused([system.processes[part].pid], seconds)
    return run


def taken_over(part):
    """Paused until its twin, of the same name on another machine, has its place; then it wakes,
    notices, and is told to end."""
    def run(system):
        old, old_port = system.processes[part], system.ports[part]
        old.send_signal(signal.SIGSTOP)
        system.ports[part] = harness.free_port()
        system.environments[part]["ALERTSTREAM_DATA_DIR"] = str(
            system.deployment.directory / f"{part}-{system.ports[part]}")
        try:
            system.start(part)
            harness.wait_for("the other one serves", lambda: system.health(part)[0] == 200, 60)
            time.sleep(1)
        finally:
            old.send_signal(signal.SIGCONT)

        def gave_up():
            if old.poll() is not None:
                return True
            with contextlib.suppress(OSError):
                return call("GET", f"http://127.0.0.1:{old_port}/health/ready", timeout=3)[0] == 503
            return False

        harness.wait_for("the old one notices", gave_up, 30)
        old.send_signal(signal.SIGTERM)
        old.wait(timeout=30)
    return run


def broker_killed(node):
    def run(system):
        system.kafka.kill(node)
        time.sleep(BROKER_DOWN_S)
        system.kafka.start(node)
    return run


def broker_stopped_for(node, seconds):
    def run(system):
        paused([system.kafka.pid(node)], seconds)
    return run


def all_brokers_killed(system):
    for node in range(1, NODES + 1):
        system.kafka.kill(node)
    time.sleep(SHORT_PAUSE_S)
    system.kafka.control("start")


def postgres_killed(system):
    server = system.postgres.pids()[0]
    system.postgres.signal(signal.SIGKILL)
    harness.wait_for("its end", lambda: not harness.is_running(server), 10)


def postgres_stopped_for(seconds):
    def run(system):
        paused(system.postgres.pids(), seconds)
    return run


def cut(way, fault, options):
    def run(system):
        system.proxy.set(fault.split()[0], *WAYS[way], **options)
        try:
            time.sleep(CUT_S)
        finally:
            system.proxy.set("none", *WAYS[way])
    return run


def cut_tls(system):
    system.proxy.set("reset_after", "kafka-1")
    time.sleep(CUT_S)
    system.proxy.set("none", "kafka-1")


def bits_flipped(direction):
    """On a TLS link: its records are authenticated, so each ends the connection and nothing else."""
    def run(system):
        options = {"direction": direction} if direction else {}
        system.proxy.set("flip", "kafka-1", every=FLIP_EVERY, **options)
        try:
            time.sleep(CUT_S)
        finally:
            flipped = system.proxy.counts("kafka-1")["flipped"]
            system.proxy.set("none", "kafka-1")
        assert flipped > 0, "no bit was flipped"
    return run


def clock_wrong(seconds):
    """The processor's wall clock; its steady clock and the log's tell it."""
    def run(system):
        system.shift_clock(seconds)
        try:
            harness.wait_for("the processor says so",
                             lambda: system.health("processor")[0] == 503, 15)
            time.sleep(CUT_S)
        finally:
            system.shift_clock(0)
    return run


def provider_misbehaves(*faults):
    def run(system):
        for fault in faults:
            status, _, answer = call("POST", system.simulator_url + "/faults",
                                     {"fault": fault, "count": 8})
            assert status == 200, answer
        time.sleep(CUT_S)
        call("DELETE", system.simulator_url + "/faults")
    return run


def forged_webhooks(system):
    """STOP in the name of somebody who never writes, and that a message failed, from a stranger who
    has no token."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    deadline = time.monotonic() + CUT_S / 2
    while time.monotonic() < deadline:
        for path, body in (("inbound", f"From=%2B1{STRANGER}&To=%2B15005550006&Body=STOP".encode()),
                           ("status?notification_id=ntf_01JD3J00000000000000000001",
                            b"MessageStatus=failed&MessageSid=SM1")):
            for signature in ({}, {"X-Twilio-Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}):
                status = call("POST", f"{system.callback_url}/webhooks/twilio/main/{path}", body,
                              {**form, **signature})[0]
                assert status in (400, 401, 403), (path, status)
        time.sleep(0.05)
    taken = system.deployment.run("topic", "dump", "inbound-messages", "--show-personal").stdout
    assert STRANGER not in taken, "a forged STOP was believed"


def state_disk_full(system):
    """Of the processor, which starts again meanwhile: it has to make files."""
    ballast = fill(system.state)
    try:
        system.end("processor", signal.SIGKILL)
        system.start("processor")
        time.sleep(CUT_S)
    finally:
        ballast.unlink()
    if system.processes["processor"].poll() is not None:
        system.start("processor")  # As whoever supervises it would.


def state_damaged(system):
    """A bit of the largest table of the processor's state; what it says is done."""
    for _ in range(2):  # What is read back at a start becomes a table.
        system.end("processor", signal.SIGTERM)
        system.start("processor")
        harness.wait_for("the processor", lambda: system.health("processor")[0] == 200, 60)
    system.end("processor", signal.SIGTERM)
    damaged = largest(system.state, "**/[0-9]/*.sst")
    flip(damaged)
    system.start("processor")
    time.sleep(CUT_S)
    system.end("processor", signal.SIGTERM)
    shutil.rmtree(damaged.parent)
    system.start("processor")


def everything_killed(system):
    for part in PARTS:
        system.end(part, signal.SIGKILL)
    system.postgres.signal(signal.SIGKILL)
    for part in PARTS:
        system.start(part)


def all_scenarios():
    some = []
    for part in PARTS:
        some.append(Scenario(f"kill -9 {part}", killed(part), short=part != "api", weight=4))
        some.append(Scenario(f"SIGSTOP {part} {SHORT_PAUSE_S} s",
                             stopped_for(part, SHORT_PAUSE_S)))
        some.append(Scenario(f"SIGSTOP {part} {LONG_PAUSE_S} s", stopped_for(part, LONG_PAUSE_S),
                             short=part == "processor"))
    for node in range(1, NODES + 1):
        some.append(Scenario(f"kill -9 broker {node}", broker_killed(node), short=node == 1))
    some.append(Scenario(f"SIGSTOP broker 1 {LONG_PAUSE_S} s", broker_stopped_for(1, LONG_PAUSE_S)))
    some.append(Scenario("kill -9 all brokers", all_brokers_killed))
    some.append(Scenario("kill -9 PostgreSQL", postgres_killed, short=True))
    some.append(Scenario(f"SIGSTOP PostgreSQL {LONG_PAUSE_S} s", postgres_stopped_for(LONG_PAUSE_S)))
    some.append(Scenario("kill -9 everything of ours and PostgreSQL", everything_killed))
    for way in WAYS:
        for fault, options in NETWORK.items():
            if fault.startswith("one_way") and way in ("callbacks", "clients"):
                continue  # One request a connection: the same as drop.
            short = (way, fault) in (("kafka", "reset_after"), ("provider", "reset_after"),
                                     ("postgres", "half_open"))
            some.append(Scenario(f"{way}: {fault}", cut(way, fault, options), short=short))
    some.append(Scenario("provider: time-outs", provider_misbehaves("hang", "accept_then_hang")))
    some.append(Scenario("provider: errors",
                         provider_misbehaves("http_500", "http_429", "reset")))
    for name, seconds in (("10 s back", -10), ("1 h ahead", 3600), ("1 year ahead", 31_536_000)):
        some.append(Scenario(f"clock of the processor {name}", clock_wrong(seconds)))
    some.append(Scenario("disk full under the state of the processor", state_disk_full))
    some.append(Scenario("a byte of the state of the processor has changed", state_damaged))
    some.append(Scenario("forged webhooks", forged_webhooks, short=True))
    # Last: the processor's state is elsewhere afterwards.
    for part in ("dispatcher", "processor"):
        some.append(Scenario(f"SIGSTOP {part} until taken over", taken_over(part)))
    for direction in ("to_server", "to_client", ""):
        some.append(Scenario(f"kafka over TLS: bits flipped {direction or 'both ways'}",
                             bits_flipped(direction), over_tls=True))
    some.append(Scenario("kafka over TLS: reset_after", cut_tls, over_tls=True))
    return some


def local_scenarios():
    return [Scenario(name, run, short=short, small_log_disk=small)
            for name, run, small, short in SCENARIOS]
