"""Players who come to a game's server through a proxy, each from an address of its own in 127.0.0.0/8.

python clients.py --ca=ROOT --proxy=URL... --direct=URL [--match=PORT] [--header] [--idle=SECONDS]

The server is server.gd, which trusts 127.0.0.1: that is where proxies connect from, and no player. With --header the
proxy writes a header of its own into the request, else a PROXY header in front of it. --match is where a second server
listens, --idle the silence after which the proxy ends a connection.
"""

import argparse
import asyncio
import ssl
import sys
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

sys.path.insert(0, str(Path(__file__).parent.parent / "interop" / "python"))

from account import Account, equal, pattern  # noqa: E402

SIZES = (1, 125, 126, 65535, 65536, 1 << 20)
MANY = 2000
# Headers in which somebody might lie.
LIES = {
    "X-Forwarded-For": "203.0.113.66, 127.0.0.1",
    "X-Real-IP": "203.0.113.66",
    "Forwarded": "for=203.0.113.66",
    "X-Client-IP": "203.0.113.66",
}
# Each address may come four times at once.
addresses = (f"127.0.{third}.{fourth}" for third in range(1, 255) for fourth in range(1, 255))


class Players:
    def __init__(self, url, options):
        self.url, self.options = url, options
        self.tls = ssl.create_default_context(cafile=options.ca)

    def join(self, address, url=None, path="/", **options):
        """A connection from `address`. It pings nobody by itself."""
        url = url or self.url
        if url.startswith("wss:"):
            options["ssl"] = self.tls
        return Joined(
            connect(
                url + path, local_addr=(address, 0), ping_interval=None, proxy=None, max_size=None, **options
            )
        )

    async def known(self):
        """Two players at once, each known by its own address."""
        first, second = next(addresses), next(addresses)
        async with self.join(first) as one, self.join(second) as other:
            for address, socket in ((first, one), (second, other)):
                await self.check(socket, address)

    async def check(self, socket, address):
        got, port = (await ask(socket, "/who")).split()
        equal(got, address)
        # Only the PROXY header tells it.
        own = socket.local_address[1]
        equal(int(port), 0 if self.options.header else own)

    async def spoofed(self):
        address = next(addresses)
        async with self.join(address, additional_headers=LIES) as socket:
            await self.check(socket, address)

    async def past_the_proxy(self):
        """Whoever reaches the server itself is believed nothing."""
        address = next(addresses)
        if self.options.header:
            async with self.join(address, self.options.direct, additional_headers=LIES) as socket:
                got, port = (await ask(socket, "/who")).split()
                equal((got, int(port)), (address, socket.local_address[1]))
            return
        try:
            async with self.join(address, self.options.direct):
                raise AssertionError("it is let in")
        except (InvalidHandshake, OSError, EOFError):
            pass

    async def sizes(self):
        async with self.join(next(addresses)) as socket:
            for size in SIZES:
                await socket.send(pattern(size))
                equal(await socket.recv(), pattern(size))

    async def order(self):
        async with self.join(next(addresses)) as socket:
            for number in range(MANY):
                await socket.send(number.to_bytes(4, "big"))
            for number in range(MANY):
                equal(await socket.recv(), number.to_bytes(4, "big"))

    async def server_closes(self):
        async with self.join(next(addresses)) as socket:
            await socket.send(b"/leave 4001 enough for today")
            try:
                await socket.recv()
            except ConnectionClosed as end:
                equal((end.rcvd.code, end.rcvd.reason), (4001, "enough for today"))

    async def player_closes(self):
        async with self.join(next(addresses)) as socket:
            await socket.close(4002, "that is all")
        async with self.join(next(addresses)) as witness:
            while await ask(witness, "/last") != "4002 that is all":
                await asyncio.sleep(0.02)

    async def rate(self):
        """A player who comes too often is told so; another one is not kept out."""
        busy, other = next(addresses), next(addresses)
        attempts = await asyncio.gather(*(self.attempt(busy) for _ in range(12)))
        refused = sum(not isinstance(attempt, Joined) for attempt in attempts)
        if not 4 <= refused <= 8:
            raise AssertionError(f"{refused} of 12 are refused")
        statuses = {attempt.response.status_code for attempt in attempts if isinstance(attempt, InvalidStatus)}
        # With TLS of its own the server says nothing.
        equal(statuses, {429} if self.options.header else set())
        async with self.join(other) as socket:
            await self.check(socket, other)
        for attempt in attempts:
            if isinstance(attempt, Joined):
                await attempt.__aexit__()

    async def attempt(self, address):
        joined = self.join(address)
        try:
            await joined.__aenter__()
            return joined
        except (InvalidHandshake, OSError, EOFError) as error:
            return error

    async def match(self):
        """A path leads to the process of a match, and no path to anything else."""
        address = next(addresses)
        async with self.join(address, path=f"/match/{self.options.match}") as socket:
            equal(await ask(socket, "/port"), str(self.options.match))
            await self.check(socket, address)
        async with self.join(address, path=f"/match/{self.options.match}/more") as socket:
            if await ask(socket, "/port") == str(self.options.match):
                raise AssertionError("any path leads to the match")

    async def idle(self):
        """A connection with heartbeats outlives the proxy's patience, one without does not."""
        async with self.join(next(addresses)) as silent:
            await ask(silent, f"/beat {self.options.idle / 8}")
            async with self.join(next(addresses)) as alive:
                await asyncio.wait_for(silent.wait_closed(), 4 * self.options.idle)
                equal(silent.close_code, 1006)
                await asyncio.sleep(self.options.idle)
                await ask(alive, "/who")


class Joined:
    """A connection whose first message was the id."""

    def __init__(self, connection):
        self.connection = connection

    async def __aenter__(self):
        self.socket = await self.connection.__aenter__()
        first = await self.socket.recv()
        equal(len(first), 4)
        return self.socket

    async def __aexit__(self, *_):
        await self.socket.close()


async def ask(socket, text):
    await socket.send(text.encode())
    return (await socket.recv()).decode()


async def main(options):
    account = Account()
    for url in options.proxy:
        players = Players(url, options)
        part = account.under(url.split(":")[0] + ": ")
        await part.case("each player has its own address", players.known())
        await part.case("headers of a player say nothing", players.spoofed())
        await part.case("packets of all sizes", players.sizes())
        await part.case("many packets in order", players.order())
        await part.case("the server's close code arrives", players.server_closes())
        await part.case("the player's close code arrives", players.player_closes())
        await part.case("each player is counted by itself", players.rate())
        if options.match:
            await part.case("a path leads to a match", players.match())
    players = Players(options.proxy[0], options)
    await account.case("who comes past the proxy is not believed", players.past_the_proxy())
    if options.idle:
        await account.case("heartbeats keep a connection", players.idle(), 6 * options.idle)
    account.end()


parser = argparse.ArgumentParser()
parser.add_argument("--ca", required=True)
parser.add_argument("--proxy", required=True, action="append")
parser.add_argument("--direct", required=True)
parser.add_argument("--match", type=int)
parser.add_argument("--header", action="store_true")
parser.add_argument("--idle", type=float)
asyncio.run(main(parser.parse_args()))
