"""The fault-injecting proxy as tests use it: started, told what to do, ended."""

import json
import pathlib
import socket
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).with_name("proxy.py")


class Proxy:
    """`routes`: name -> (listen, target), as proxy.py takes them."""

    def __init__(self, routes, log=subprocess.DEVNULL):
        self.names = list(routes)
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, *(f"{name}={listen}>{target}"
                                        for name, (listen, target) in routes.items())],
            stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the proxy does not start")
        self.control = socket.create_connection(("127.0.0.1", json.loads(line)["control"]))
        self.answers = self.control.makefile()

    def ask(self, name, **asked):
        self.control.sendall(json.dumps({"route": name, **asked}).encode() + b"\n")
        answer = json.loads(self.answers.readline())
        assert "error" not in answer, answer
        return answer

    def set(self, fault, *names, **options):
        """On the routes named, or on all of them."""
        for name in names or self.names:
            self.ask(name, fault=fault, **options)

    def counts(self, name):
        return self.ask(name)

    def stop(self):
        self.answers.close()
        self.control.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
