#!/usr/bin/env python3
"""A TCP proxy that does to connections what networks do: for tests, between any two processes.

    proxy.py NAME=LISTEN>TARGET...

LISTEN and TARGET are HOST:PORT or the path of a Unix socket. Prints {"control": PORT} when it
listens. The control port takes one JSON object a line and answers one: {"route": NAME, "fault":
FAULT, ...} sets what a route does from now on, to the connections it has too; {"route": NAME} tells
what it has done.

FAULT         what becomes of a connection
none          everything passes
delay         every chunk waits "ms"
drop          nothing passes in either direction, nobody is told; new connections hang
one_way       the same in one direction: "direction" is to_server or to_client
half_open     the server's side is closed, the client's stays open and silent
reset_before  the client's next chunk is not passed on; both sides are reset
reset_after   the client's next chunk is passed on; the first answer to it becomes a reset: whatever
              was asked for has happened
refuse        both sides are reset at once, new ones too
flip          one bit of every "every" bytes is inverted, in "direction" or in both

What `drop` and `one_way` hold back is passed on when the fault ends, as TCP would.
"""

import asyncio
import json
import socket
import struct
import sys

CHUNK_MAX = 1 << 16
FAULTS = ("none", "delay", "drop", "one_way", "half_open", "reset_before", "reset_after", "refuse",
          "flip")
DIRECTIONS = ("to_server", "to_client")


def reset(writer):
    """Closes with RST instead of FIN, so that the other side learns of it at once."""
    with_linger = struct.pack("ii", 1, 0)
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, with_linger)
        except OSError:
            pass
    writer.transport.abort()


class Route:
    """One listener and where it leads; its fault is that of all its connections."""

    def __init__(self, name, listen, target):
        self.name, self.listen, self.target = name, listen, target
        self.fault, self.options = "none", {}
        self.changed = asyncio.Event()
        self.links = set()
        self.counts = {"connections": 0, "resets": 0, "flipped": 0, "to_server": 0, "to_client": 0}

    def set(self, fault, options):
        if fault not in FAULTS:
            raise ValueError(f"fault: expected one of {', '.join(FAULTS)}")
        direction = options.get("direction")
        if direction is not None and direction not in DIRECTIONS:
            raise ValueError(f"direction: expected one of {', '.join(DIRECTIONS)}")
        if fault == "one_way" and direction is None:
            raise ValueError("one_way: expected a direction")
        self.fault, self.options = fault, options
        self.changed.set()
        self.changed = asyncio.Event()
        for link in list(self.links):
            link.react()

    def holds(self, direction):
        """Whether bytes in this direction wait for the end of the fault."""
        return self.fault == "drop" or (
            self.fault == "one_way" and self.options["direction"] == direction)

    async def passing(self, direction):
        while self.holds(direction):
            await self.changed.wait()

    async def serve(self):
        if "/" in self.listen:
            await asyncio.start_unix_server(self.accept, self.listen)
        else:
            host, port = self.listen.rsplit(":", 1)
            await asyncio.start_server(self.accept, host, int(port))

    async def connect(self):
        if "/" in self.target:
            return await asyncio.open_unix_connection(self.target)
        host, port = self.target.rsplit(":", 1)
        return await asyncio.open_connection(host, int(port))

    async def accept(self, reader, writer):
        self.counts["connections"] += 1
        link = Link(self, reader, writer)
        self.links.add(link)
        try:
            await link.run()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.links.discard(link)
            link.close()


class Link:
    """A client's connection and the one made for it."""

    def __init__(self, route, reader, writer):
        self.route = route
        self.client = (reader, writer)
        self.server = None
        self.asked = False      # A chunk of the client was passed on since reset_after was set.
        self.silent = False     # Half open: the client hears nothing any more.
        self.flipped_at = 0

    async def run(self):
        if self.route.fault == "refuse":
            self.reset()
            return
        await self.route.passing("to_server")
        self.server = await self.route.connect()
        self.react()
        ways = [asyncio.ensure_future(self.pump("to_server", self.client[0], self.server[1])),
                asyncio.ensure_future(self.pump("to_client", self.server[0], self.client[1]))]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()

    def react(self):
        """To a fault that begins while the connection is open."""
        self.asked = False
        if self.route.fault == "refuse":
            self.reset()
        elif self.route.fault == "half_open" and self.server is not None:
            self.silent = True
            reset(self.server[1])

    async def pump(self, direction, reader, writer):
        while True:
            try:
                data = await reader.read(CHUNK_MAX)
            except OSError:
                data = b""
            if self.silent:
                await self.until_the_client_gives_up(direction, reader, data)
                return
            if not data:
                await self.route.passing(direction)
                if writer.can_write_eof():
                    writer.write_eof()
                return
            data = await self.changed(direction, data)
            if data is None:
                return
            self.route.counts[direction] += len(data)
            writer.write(data)
            await writer.drain()

    async def until_the_client_gives_up(self, direction, reader, data):
        while direction == "to_server" and data:
            data = await reader.read(CHUNK_MAX)
        while direction == "to_client" and not self.client[0].at_eof():
            await asyncio.sleep(0.1)

    async def changed(self, direction, data):
        """The chunk as it is passed on; nothing if the link was reset instead."""
        route = self.route
        await route.passing(direction)
        fault = route.fault
        if fault == "delay":
            await asyncio.sleep(route.options["ms"] / 1000)
        elif fault == "reset_before" and direction == "to_server":
            return self.reset()
        elif fault == "reset_after":
            if direction == "to_client" and self.asked:
                return self.reset()
            self.asked = self.asked or direction == "to_server"
        elif fault == "flip" and route.options.get("direction", direction) == direction:
            return self.flip(bytearray(data), route.options["every"])
        return data

    def flip(self, data, every):
        for at in range(every - 1 - self.flipped_at % every, len(data), every):
            data[at] ^= 1 << (at % 8)
            self.route.counts["flipped"] += 1
        self.flipped_at += len(data)
        return bytes(data)

    def reset(self):
        self.route.counts["resets"] += 1
        self.close()

    def close(self):
        for side in (self.client, self.server):
            if side is not None:
                reset(side[1]) if self.route.fault != "none" else side[1].close()


class Control:
    def __init__(self, routes):
        self.routes = {route.name: route for route in routes}

    def answer(self, line):
        try:
            asked = json.loads(line)
            route = self.routes[asked.pop("route")]
            fault = asked.pop("fault", None)
            if fault is not None:
                route.set(fault, asked)
            return {"fault": route.fault, **route.counts}
        except (KeyError, TypeError, ValueError) as error:
            return {"error": str(error)}

    async def accept(self, reader, writer):
        while line := await reader.readline():
            writer.write(json.dumps(self.answer(line)).encode() + b"\n")
            await writer.drain()
        writer.close()


def parse(argument):
    name, _, way = argument.partition("=")
    listen, _, target = way.partition(">")
    if not (name and listen and target):
        raise SystemExit(f"proxy.py: expected NAME=LISTEN>TARGET, found {argument}")
    return Route(name, listen, target)


async def main():
    routes = [parse(argument) for argument in sys.argv[1:]]
    for route in routes:
        await route.serve()
    server = await asyncio.start_server(Control(routes).accept, "127.0.0.1", 0)
    print(json.dumps({"control": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
