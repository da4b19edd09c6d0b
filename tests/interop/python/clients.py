"""Python's `websockets` as the client of our servers.

python clients.py --ca=ROOT --game=URL... --echo=URL...

The servers are tests/interop/godot/game_server.gd and echo_server.gd.
"""

import argparse
import asyncio
import re
import ssl

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from account import Account, equal, pattern

# Lengths around which a frame's header changes, up to the largest message that is accepted.
SIZES = (1, 125, 126, 127, 65535)
MANY = 2000
PROTOCOLS = ["nonsense", "game.v2", "chat"]


def open_to(url, tls, **options):
    """A connection with the library's own defaults: it offers permessage-deflate and pings."""
    if url.startswith("wss:"):
        options["ssl"] = tls
    return connect(url, **options)


async def closing(socket):
    """The close frame received and the one sent."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as end:
        return end.rcvd, end.sent


class Game:
    """Cases of the multiplayer server."""

    def __init__(self, url, tls):
        self.url, self.tls = url, tls

    def join(self):
        return Joined(open_to(self.url, self.tls))

    async def id(self):
        async with open_to(self.url, self.tls) as socket:
            first = await socket.recv()
            equal(type(first), bytes)
            equal(len(first), 4)
            number = int.from_bytes(first, "little")
            if not 2 <= number < 1 << 31:
                raise AssertionError(f"id {number}")

    async def no_extension(self):
        async with self.join() as (socket, _):
            offered = socket.request.headers.get("Sec-WebSocket-Extensions", "")
            equal(offered.split(";")[0], "permessage-deflate")
            equal(socket.response.headers.get("Sec-WebSocket-Extensions"), None)
            equal(socket.subprotocol, None)
            await echo(socket, b"x" * 1000)

    async def sizes(self):
        async with self.join() as (socket, _):
            for size in SIZES:
                await echo(socket, pattern(size))

    async def text(self):
        async with self.join() as (socket, _):
            await socket.send("grüße")
            equal(await socket.recv(), "grüße".encode())

    async def ping(self):
        async with self.join() as (socket, _):
            for payload in (b"", b"are you there", b"p" * 125):
                await (await socket.ping(payload))

    async def fragments(self):
        async with self.join() as (socket, _):
            data = pattern(3000)

            async def parts():
                yield data[:1000]
                # A control frame may come between.
                await (await socket.ping(b"between"))
                yield data[1000:1001]
                yield b""
                yield data[1001:]

            await socket.send(parts())
            equal(await socket.recv(), data)

    async def order(self):
        async with self.join() as (socket, _):
            await in_order(socket)

    async def close(self):
        async with self.join() as (witness, _):
            await witness.send(b"/hello witness")
            await witness.recv()
            for code, reason in ((1000, ""), (4001, "enough for today")):
                async with self.join() as (socket, id):
                    await socket.send(b"/hello guest")
                    equal(await witness.recv(), f"joined {id} guest".encode())
                    await socket.close(code, reason)
                    equal((socket.close_code, socket.close_reason), (code, reason))
                    equal(await witness.recv(), f"left {id}".encode())

    async def abort(self):
        async with self.join() as (witness, _):
            await witness.send(b"/hello witness")
            await witness.recv()
            async with self.join() as (socket, id):
                await socket.send(b"/hello guest")
                equal(await witness.recv(), f"joined {id} guest".encode())
                socket.transport.abort()
                equal(await witness.recv(), f"left {id}".encode())

    async def kick(self):
        async with self.join() as (socket, _):
            await socket.send(b"/kick")
            received, _ = await closing(socket)
            equal(received.code, 1000)

    async def too_large(self):
        async with self.join() as (socket, _):
            await socket.send(b"x" * 65536)
            received, _ = await closing(socket)
            equal(received.code, 1009)

    async def broadcast(self):
        async with self.join() as (one, one_id), self.join() as (other, other_id):
            equal(one_id != other_id, True)
            await one.send(b"/hello one")
            equal(await one.recv(), f"joined {one_id} one".encode())
            await other.send(b"/hello other")
            equal(await other.recv(), f"joined {one_id} one".encode())
            for socket in (one, other):
                equal(await socket.recv(), f"joined {other_id} other".encode())
            await one.send("/all to everybody")
            for socket in (one, other):
                equal(await socket.recv(), f"all {one_id} to everybody".encode())

    async def crowd(self):
        async def visit():
            async with self.join() as (socket, id):
                await echo(socket, str(id).encode())
                return id

        ids = await asyncio.gather(*(visit() for _ in range(30)))
        equal(len(set(ids)), 30)

    async def view(self):
        url = self.url + "/some/path?room=7"
        async with Joined(open_to(url, self.tls)) as (socket, _):
            await socket.send(b"/view")
            wanted = f"view same=true open=true host=127.0.0.1 url={url}"
            equal((await socket.recv()).decode(), wanted)


class Joined:
    """A connection that has its id, as (socket, id)."""

    def __init__(self, connection):
        self.connection = connection

    async def __aenter__(self):
        socket = await self.connection.__aenter__()
        return socket, int.from_bytes(await socket.recv(), "little")

    async def __aexit__(self, *error):
        await self.connection.__aexit__(*error)


class Echo:
    """Cases of the plain server, which insists on one of its sub-protocols."""

    def __init__(self, url, tls):
        self.url, self.tls = url, tls

    def open(self, path="", **options):
        return open_to(self.url + path, self.tls, subprotocols=PROTOCOLS, **options)

    async def protocol(self):
        async with self.open() as socket:
            equal(socket.subprotocol, "game.v2")
            await socket.send("/protocol")
            equal(await socket.recv(), "game.v2")

    async def no_protocol(self):
        try:
            async with open_to(self.url, self.tls):
                raise AssertionError("the connection opened")
        except InvalidStatus as refused:
            equal(refused.response.status_code, 400)

    async def headers(self):
        async with self.open() as socket:
            equal(socket.response.headers["X-Interop"], "yes")
            equal(socket.response.headers.get("Sec-WebSocket-Extensions"), None)

    async def url_as_asked(self):
        async with self.open("/a%20path?q=1&r=%C3%BC") as socket:
            await socket.send("/url")
            equal(await socket.recv(), self.url + "/a%20path?q=1&r=%C3%BC")

    async def text(self):
        async with self.open() as socket:
            for text in ("a", "", "grüße, 你好, 🎲", "x" * 65535):
                await echo(socket, text)

    async def binary(self):
        async with self.open() as socket:
            for size in (0, *SIZES):
                await echo(socket, pattern(size))

    async def fragments(self):
        async with self.open() as socket:

            async def parts():
                yield "one "
                await (await socket.ping(b"between"))
                yield "two "
                yield "three"

            await socket.send(parts())
            equal(await socket.recv(), "one two three")

    async def order(self):
        async with self.open() as socket:
            await in_order(socket)

    async def ping(self):
        async with self.open() as socket:
            await (await socket.ping(b"are you there"))

    async def heartbeat(self):
        # The library answers pings by itself. The server would give up on one that does not.
        async with self.open() as socket:
            await socket.send("/heartbeat 0.1")
            equal(await socket.recv(), "beating")
            await asyncio.sleep(0.6)
            await echo(socket, "still here")

    async def client_closes(self):
        for code, reason in ((1000, ""), (1001, "going"), (3000, "ü" * 61), (4999, "x" * 123)):
            async with self.open() as socket:
                await socket.close(code, reason)
                equal((socket.close_code, socket.close_reason), (code, reason))

    async def server_closes(self):
        for code, reason in ((1000, "done"), (4002, "no more seats")):
            async with self.open() as socket:
                await socket.send(f"/close {code} {reason}")
                received, sent = await closing(socket)
                equal((received.code, received.reason), (code, reason))
                equal(sent.code, code)


async def echo(socket, message):
    await socket.send(message)
    equal(await socket.recv(), message)


async def in_order(socket):
    """Sends without waiting for answers, so that many messages share a segment."""

    async def send():
        for i in range(MANY):
            await socket.send(b"message %d" % i)

    sending = asyncio.create_task(send())
    for i in range(MANY):
        equal(await socket.recv(), b"message %d" % i)
    await sending


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ca", required=True)
    parser.add_argument("--game", action="append", required=True)
    parser.add_argument("--echo", action="append", required=True)
    arguments = parser.parse_args()
    tls = ssl.create_default_context(cafile=arguments.ca)

    account = Account()
    suites = [Game(url, tls) for url in arguments.game] + [Echo(url, tls) for url in arguments.echo]
    for suite in suites:
        kind = type(suite).__name__.lower()
        part = account.under(f"{kind} {suite.url.split(':')[0]}: ")
        for name, body in vars(type(suite)).items():
            if asyncio.iscoroutinefunction(body):
                await part.case(re.sub("_", " ", name), body(suite))
    account.end()


asyncio.run(main())
