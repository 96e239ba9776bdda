#!/usr/bin/env python3
"""The proxy does what it says: each of its faults against a server that answers every line, over
TCP and over a Unix socket."""

import contextlib
import pathlib
import socket
import socketserver
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import harness  # noqa: E402
from proxied import Proxy  # noqa: E402

SHORT_S = 0.3


class Upper(socketserver.StreamRequestHandler):
    """Answers each line in capitals, and remembers it."""

    def handle(self):
        with contextlib.suppress(ConnectionError):
            for line in self.rfile:
                self.server.heard.append(line.strip().decode(errors="replace"))
                self.wfile.write(line.upper())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class Client:
    def __init__(self, address):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket()
        self.socket.settimeout(10)
        self.socket.connect(address)

    def ask(self, text, seconds=10):
        self.socket.settimeout(seconds)
        self.socket.sendall(text.encode() + b"\n")
        return self.hear()

    def hear(self):
        """A line; "" when the other side closed, "reset", or None when nothing came."""
        try:
            return self.socket.recv(1000).decode(errors="replace").strip()
        except TimeoutError:
            return None
        except ConnectionError:
            return "reset"


class Setup:
    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="alertstream-test-")
        root = self.scratch.name
        self.server = Server(("127.0.0.1", 0), Upper)
        self.unix = UnixServer(root + "/server", Upper)
        for server in (self.server, self.unix):
            server.heard = []
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = ("127.0.0.1", harness.free_port())
        self.path = root + "/proxy"
        self.proxy = Proxy({
            "tcp": ("%s:%d" % self.address, "127.0.0.1:%d" % self.server.server_address[1]),
            "unix": (self.path, root + "/server")})
        return self

    def __exit__(self, *_):
        self.proxy.stop()
        for server in (self.server, self.unix):
            server.shutdown()
            server.server_close()
        self.scratch.cleanup()


def what_passes_passes():
    with Setup() as setup:
        for address in (setup.address, setup.path):
            client = Client(address)
            assert client.ask("hello") == "HELLO"
            assert client.ask("again") == "AGAIN"
        assert setup.proxy.counts("tcp")["connections"] == 1
        assert setup.proxy.counts("tcp")["to_server"] == len("hello\nagain\n")


def a_delay_is_felt_in_both_directions():
    with Setup() as setup:
        client = Client(setup.address)
        setup.proxy.set("delay", "tcp", ms=150)
        begun = time.monotonic()
        assert client.ask("hello") == "HELLO"
        assert 0.3 <= time.monotonic() - begun < 2


def what_is_dropped_comes_when_it_is_over():
    with Setup() as setup:
        client = Client(setup.address)
        setup.proxy.set("drop", "tcp")
        assert client.ask("hello", SHORT_S) is None
        late = Client(setup.address)
        assert late.ask("new", SHORT_S) is None and setup.server.heard == []
        setup.proxy.set("none", "tcp")
        client.socket.settimeout(10)
        late.socket.settimeout(10)
        assert client.hear() == "HELLO" and late.hear() == "NEW"


def one_way_hears_or_speaks():
    with Setup() as setup:
        client = Client(setup.address)
        setup.proxy.set("one_way", "tcp", direction="to_client")
        assert client.ask("heard", SHORT_S) is None
        assert setup.server.heard == ["heard"]
        setup.proxy.set("one_way", "tcp", direction="to_server")
        assert client.hear() == "HEARD"
        assert client.ask("not heard", SHORT_S) is None
        assert setup.server.heard == ["heard"]


def half_open_is_silence():
    with Setup() as setup:
        client = Client(setup.address)
        assert client.ask("hello") == "HELLO"
        setup.proxy.set("half_open", "tcp")
        assert client.ask("anybody", SHORT_S) is None
        assert client.ask("there", SHORT_S) is None
        assert setup.server.heard == ["hello"]
        setup.proxy.set("none", "tcp")
        assert client.ask("still nobody", SHORT_S) is None  # That connection is gone for good.
        assert Client(setup.address).ask("new") == "NEW"


def a_reset_comes_before_or_after_the_effect():
    with Setup() as setup:
        client = Client(setup.address)
        setup.proxy.set("reset_before", "tcp")
        assert client.ask("never") == "reset"
        assert setup.server.heard == []
        setup.proxy.set("none", "tcp")
        client = Client(setup.address)
        assert client.ask("hello") == "HELLO"
        setup.proxy.set("reset_after", "tcp")
        assert client.ask("done") == "reset"
        assert setup.server.heard == ["hello", "done"]
        assert setup.proxy.counts("tcp")["resets"] == 2


def refused_is_refused():
    with Setup() as setup:
        client = Client(setup.address)
        assert client.ask("hello") == "HELLO"
        setup.proxy.set("refuse", "tcp")
        assert client.hear() == "reset"
        assert Client(setup.address).hear() in ("reset", "")


def bits_are_flipped_where_told():
    with Setup() as setup:
        client = Client(setup.address)
        setup.proxy.set("flip", "tcp", every=4, direction="to_server")
        client.ask("abcdefgh")
        [heard] = setup.server.heard
        assert [at for at in range(8) if heard[at] != "abcdefgh"[at]] == [3, 7], heard
        assert setup.proxy.counts("tcp")["flipped"] == 2


def a_wrong_order_is_refused_and_changes_nothing():
    with Setup() as setup:
        for wrong in ({"fault": "explode"}, {"fault": "one_way"},
                      {"fault": "one_way", "direction": "up"}):
            try:
                setup.proxy.ask("tcp", **wrong)
            except AssertionError:
                continue
            raise AssertionError(wrong)
        assert setup.proxy.counts("tcp")["fault"] == "none"


if __name__ == "__main__":
    harness.main([
        what_passes_passes,
        a_delay_is_felt_in_both_directions,
        what_is_dropped_comes_when_it_is_over,
        one_way_hears_or_speaks,
        half_open_is_silence,
        a_reset_comes_before_or_after_the_effect,
        refused_is_refused,
        bits_are_flipped_where_told,
        a_wrong_order_is_refused_and_changes_nothing,
    ])
