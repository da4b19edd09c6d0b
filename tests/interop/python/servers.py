"""Python's `websockets` as the server of our clients.

python servers.py --certificates=FOLDER --port-file=PATH

Writes the ports as JSON and runs until that file is taken away. The clients are
tests/interop/godot/socket_client.gd and game_client.gd; Node's servers speak the same.
"""

import argparse
import asyncio
import json
import logging
import os
import ssl
import time

from websockets.asyncio.server import serve

from account import pattern

LIMIT = 240.0
ID = 0x12345678
PROTOCOLS = ("chat", "game.v2")

# Name, certificate, key and TLS versions of each echo server with TLS.
TLS = [
    ("good", "good.crt", "good.key", None),
    ("tls12", "good.crt", "good.key", ssl.TLSVersion.TLSv1_2),
    ("tls13", "good.crt", "good.key", ssl.TLSVersion.TLSv1_3),
    ("chain", "via_inter.chain.crt", "via_inter.key", None),
    ("leaf_only", "via_inter.crt", "via_inter.key", None),
    ("wrong_name", "wrong_name.crt", "wrong_name.key", None),
    ("expired", "expired.crt", "expired.key", None),
    ("unknown", "unknown.crt", "unknown.key", None),
]


async def echo(socket):
    """Sends back what comes, as it came, except for the texts that are commands."""
    tls = socket.transport.get_extra_info("ssl_object")
    async for message in socket:
        words = message.split(" ", 2) if isinstance(message, str) else [None]
        match words[0]:
            case "/close":
                await socket.close(int(words[1]), words[2])
            case "/drop":
                socket.transport.abort()
            case "/fragments":
                await socket.send(fragments(socket))
            case "/ping":
                await (await socket.ping(b"are you there"))
                await socket.send("pong")
            case "/many":
                for i in range(int(words[1])):
                    await socket.send(f"message {i}")
            case "/large":
                await socket.send(pattern(int(words[1])))
            case "/extensions":
                await socket.send(socket.response.headers.get("Sec-WebSocket-Extensions", ""))
            case "/header":
                await socket.send(socket.request.headers.get(words[1], ""))
            case "/path":
                await socket.send(socket.request.path)
            case "/sni":
                # The name is noted by the callback; nothing is noted where none was sent.
                await socket.send(getattr(tls, "name_sent", None) or "")
            case "/alpn":
                await socket.send(tls.selected_alpn_protocol() or "")
            case "/tls":
                await socket.send(tls.version())
            case "/reused":
                await socket.send("yes" if tls.session_reused else "no")
            case _:
                await socket.send(message)


def select(_, offered):
    """The library itself would refuse a client that offers none."""
    return next((each for each in offered if each in PROTOCOLS), None)


async def fragments(socket):
    yield "one "
    await (await socket.ping(b"between"))
    yield "two "
    yield "three"


async def game(socket):
    """A multiplayer server for one client at a time. The path says how it behaves."""
    id = ID.to_bytes(4, "little")
    match socket.request.path:
        case "/silent":
            await socket.wait_closed()
        case "/short":
            await socket.send(id[:3])
        case "/fragmented":
            await socket.send([id[:2], id[2:]])
        case _:
            await socket.send(id)
    async for packet in socket:
        match packet:
            case b"/leave":
                await socket.close()
            case b"/drop":
                socket.transport.abort()
            case b"/text":
                await socket.send("grüße")
            case _:
                await socket.send(packet)


def context(folder, certificate, key, version):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(os.path.join(folder, certificate), os.path.join(folder, key))
    tls.set_alpn_protocols(["http/1.1"])
    if version is not None:
        tls.minimum_version = tls.maximum_version = version

    def note(connection, name, _):
        connection.name_sent = name

    tls.sni_callback = note
    return tls


async def main():
    # Connections that end without a closing handshake belong to the cases.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificates", required=True)
    parser.add_argument("--port-file", required=True)
    arguments = parser.parse_args()
    ports = {}

    async def listen(name, handler, tls=None, **options):
        server = await serve(handler, "127.0.0.1", 0, ssl=tls, max_size=None, **options)
        ports[name] = server.sockets[0].getsockname()[1]

    await listen("echo", echo, select_subprotocol=select)
    await listen("game", game)
    for name, *settings in TLS:
        tls = context(arguments.certificates, *settings)
        await listen(name, echo, tls, select_subprotocol=select)
    await listen("game_tls", game, context(arguments.certificates, *TLS[0][1:]))

    with open(arguments.port_file + ".part", "w") as file:
        json.dump(ports, file)
    os.rename(arguments.port_file + ".part", arguments.port_file)
    deadline = time.monotonic() + LIMIT
    while os.path.exists(arguments.port_file) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)


asyncio.run(main())
