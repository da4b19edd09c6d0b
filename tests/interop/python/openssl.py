"""OpenSSL's command-line tool as the other end of our TLS; the WebSocket part is done here.

python openssl.py client --certificates=FOLDER --game=wss://HOST:PORT
python openssl.py server --certificates=FOLDER --port-file=PATH

As a client it asks tests/interop/godot/game_server.gd, as a server it waits for
key_update_client.gd.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import re
import tempfile
from contextlib import asynccontextmanager

from account import Account, equal

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ACCEPTED = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# From the end of one header to the end of the last.
HEADERS_END = rb"\r\n(?:[^\r\n]+\r\n)*\r\n"

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88


class Tool:
    """A running openssl. What it prints and what it decrypts come in one stream."""

    def __init__(self, process):
        self.process = process
        self.output = b""

    async def find(self, pattern, start=0):
        """Waits for a match in the output after `start`."""
        while not (match := re.compile(pattern, re.DOTALL).search(self.output, start)):
            more = await self.process.stdout.read(65536)
            if not more:
                raise AssertionError(f"ended without {pattern!r}: {self.output[-300:]!r}")
            self.output += more
        return match

    async def write(self, data):
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def command(self, letter):
        """A command is a read of its own that starts with its letter."""
        # What went before must have been read by then.
        await asyncio.sleep(0.1)
        await self.write(letter + b"\n")
        await asyncio.sleep(0.1)

    async def end(self):
        """Everything it has printed, and its exit code."""
        self.process.stdin.close()
        self.output += await self.process.stdout.read()
        return self.output, await self.process.wait()


@asynccontextmanager
async def openssl(*arguments):
    process = await asyncio.create_subprocess_exec(
        "openssl",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Tool(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def masked(opcode, payload):
    """A client's frame. A key of zeros is a key, and leaves the payload readable."""
    return bytes([opcode, 0x80 | len(payload)]) + bytes(4) + payload


def unmasked(opcode, payload):
    return bytes([opcode, len(payload)]) + payload


class Client:
    """s_client against our multiplayer server."""

    def __init__(self, certificates, url):
        self.certificates = certificates
        self.address = url.removeprefix("wss://")

    def connect(self, *more, ca="root.crt", name=("-servername", "localhost")):
        return openssl(
            *("s_client", "-connect", self.address, *name, "-alpn", "http/1.1"),
            *("-CAfile", os.path.join(self.certificates, ca), "-verify_return_error"),
            *("-verify_hostname", "localhost", *more),
        )

    async def join(self, tool):
        """Becomes a WebSocket that has an id."""
        await tool.write(REQUEST)
        await tool.find(re.escape(ACCEPTED) + HEADERS_END + rb"\x82\x04.{4}")

    async def echo(self, tool, payload):
        start = len(tool.output)
        await tool.write(masked(BINARY, payload))
        await tool.find(re.escape(unmasked(BINARY, payload)), start)

    async def handshake(self, version, name):
        async with self.connect("-showcerts", version) as tool:
            await self.join(tool)
            await self.echo(tool, b"a packet")
            output, code = await tool.end()
        equal(code, 0)
        equal(output.count(b"-----BEGIN CERTIFICATE-----"), 2)
        equal(b"Verify return code: 0 (ok)" in output, True)
        equal(b"ALPN protocol: http/1.1" in output, True)
        equal(name in output, True)

    async def tls12(self):
        await self.handshake("-tls1_2", b"TLSv1.2, Cipher is ECDHE")

    async def tls13(self):
        await self.handshake("-tls1_3", b"TLSv1.3, Cipher is TLS_")

    async def tls11_is_refused(self):
        async with self.connect("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0") as tool:
            await tool.find(b"SSL alert number (40|70)\n")

    async def unknown_issuer_is_told(self):
        async with self.connect(ca="other_root.crt") as tool:
            await tool.find(b"certificate verify failed")

    async def without_a_name(self):
        async with self.connect(name=("-noservername",)) as tool:
            await self.join(tool)
            await self.echo(tool, b"a packet")

    async def resumption_in_tls12(self):
        async with self.connect("-tls1_2", "-reconnect") as tool:
            await tool.find(b"(Reused, TLSv1.2.*){5}")

    async def resumption_in_tls13(self):
        with tempfile.TemporaryDirectory() as folder:
            session = os.path.join(folder, "session")
            async with self.connect("-tls1_3", "-sess_out", session) as tool:
                await self.join(tool)
                await tool.find(b"New, TLSv1.3")
                await tool.end()
            async with self.connect("-tls1_3", "-sess_in", session) as tool:
                await self.join(tool)
                await tool.find(b"Reused, TLSv1.3")
                await self.echo(tool, b"a packet")

    async def key_update(self):
        async with self.connect("-tls1_3", "-msg") as tool:
            await self.join(tool)
            for turn, letter in enumerate((b"k", b"K", b"K", b"k")):
                start = len(tool.output)
                await tool.command(letter)
                await self.echo(tool, b"after %d" % turn)
                # One that asks for the other side's is answered, one that does not is not.
                answered = b"<<< TLS 1.3, Handshake [length 0005], KeyUpdate" in tool.output[start:]
                equal((turn, answered), (turn, letter == b"K"))

    async def clean_end(self):
        async with self.connect("-msg") as tool:
            await self.join(tool)
            await tool.write(masked(CLOSE, b"\x0f\xa1"))
            await tool.find(re.escape(unmasked(CLOSE, b"\x0f\xa1")))
            await tool.find(b"<<< TLS 1.[23], Alert \\[length 0002\\], warning close_notify")
            equal((await tool.end())[1], 0)


async def ask_client(account, certificates, url):
    client = Client(certificates, url)
    cases = (
        client.tls12,
        client.tls13,
        client.tls11_is_refused,
        client.unknown_issuer_is_told,
        client.without_a_name,
        client.resumption_in_tls12,
        client.resumption_in_tls13,
        client.key_update,
        client.clean_end,
    )
    for case in cases:
        await account.case(case.__name__.replace("_", " "), case())


async def update_keys(certificates, port_file):
    """Updates the keys of a client that sends everything back."""
    chain = os.path.join(certificates, "good.crt")
    key = os.path.join(certificates, "good.key")
    arguments = ("-accept", "127.0.0.1:0", "-cert", chain, "-key", key, "-tls1_3", "-msg")
    async with openssl("s_server", *arguments, "-naccept", "1") as tool:
        match = await tool.find(rb"ACCEPT 127\.0\.0\.1:(\d+)")
        with open(port_file + ".part", "w") as file:
            json.dump({"key_update": int(match[1])}, file)
        os.rename(port_file + ".part", port_file)

        request = await tool.find(rb"Sec-WebSocket-Key: (\S+)" + HEADERS_END)
        accept = base64.b64encode(hashlib.sha1(request[1] + GUID).digest())
        answer = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept
        await tool.write(b"HTTP/1.1 101 Switching Protocols\r\n" + answer + b"\r\n\r\n")
        for turn, letter in enumerate((b"k", b"K", b"K", b"k")):
            start = len(tool.output)
            await tool.command(letter)
            text = b"message %d" % turn
            await tool.write(unmasked(TEXT, text))
            await find_masked(tool, TEXT, text, start)
            answered = b"<<< TLS 1.3, Handshake [length 0005], KeyUpdate" in tool.output[start:]
            equal((turn, answered), (turn, letter == b"K"))
        start = len(tool.output)
        await tool.write(unmasked(CLOSE, b"\x03\xe8"))
        await find_masked(tool, CLOSE, b"\x03\xe8", start)


async def find_masked(tool, opcode, payload, start):
    """Waits for a client's frame. Its key is not known before it is found."""
    head = bytes([opcode, 0x80 | len(payload)])
    while True:
        match = await tool.find(re.escape(head) + b"(.{4})(.{%d})" % len(payload), start)
        key, body = match.groups()
        if bytes(byte ^ key[i % 4] for i, byte in enumerate(body)) == payload:
            return
        start = match.start() + 1


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("client", "server"))
    parser.add_argument("--certificates", required=True)
    parser.add_argument("--game")
    parser.add_argument("--port-file")
    arguments = parser.parse_args()
    account = Account()
    if arguments.role == "client":
        await ask_client(account, arguments.certificates, arguments.game)
    else:
        body = update_keys(arguments.certificates, arguments.port_file)
        await account.case("client's keys are updated", body)
    account.end()


asyncio.run(main())
