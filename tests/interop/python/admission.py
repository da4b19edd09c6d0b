"""Python's `websockets` shows a token in four ways to a server that wants one.

python admission.py --ca=ROOT --token=TOKEN --admission=URL...

The server is tests/interop/godot/admission_server.gd.
"""

import argparse
import asyncio
import ssl

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from account import Account, equal


class Admission:
    def __init__(self, url, tls, token):
        self.url, self.token = url, token
        self.is_secure = url.startswith("wss:")
        self.tls = tls

    def open_to(self, path="/", headers=None, protocols=None):
        options = {"ssl": self.tls} if self.is_secure else {}
        return connect(
            self.url + path, additional_headers=headers, subprotocols=protocols, **options
        )

    async def comes_in(self, way, path="/", headers=None, protocols=None, agreed=None):
        async with self.open_to(path, headers, protocols) as socket:
            equal(len(await socket.recv()), 4)
            facts = "TLSv1.3 localhost" if self.is_secure else "- -"
            equal((await socket.recv()).decode(), f"{way} {path.split('?')[0]} - {facts}")
            equal(socket.response.headers["X-Way"], way)
            equal(socket.subprotocol, agreed)

    async def is_rejected(self, **show):
        try:
            async with self.open_to(**show):
                raise AssertionError("it came in")
        except InvalidStatus as error:
            equal(error.response.status_code, 401)
            equal(error.response.headers["Content-Type"], "text/plain; charset=utf-8")
            equal(error.response.body, b"who are you?\n")

    async def play(self, account):
        bearer = {"Authorization": f"Bearer {self.token}"}
        wrong = {"Authorization": f"Bearer {self.token}x", "Cookie": f"session=x{self.token}"}
        cookie = {"Cookie": f"theme=dark; session={self.token}"}
        protocols = ["game", f"token.{self.token}"]
        query = f"/?a=b&token={self.token[:1]}%{ord(self.token[1]):02X}{self.token[2:]}"
        for name, case in {
            "without a token": self.is_rejected(),
            "with a wrong one": self.is_rejected(headers=wrong),
            "without one, told later": self.is_rejected(path="/later"),
            "Authorization": self.comes_in("header", headers=bearer),
            "Authorization, answered later": self.comes_in("header", "/later", bearer),
            "query": self.comes_in("query", query),
            "cookie": self.comes_in("cookie", headers=cookie),
            "sub-protocol": self.comes_in("protocol", protocols=protocols, agreed="game"),
        }.items():
            await account.case(name, case)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ca", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--admission", action="append", required=True)
    arguments = parser.parse_args()
    tls = ssl.create_default_context(cafile=arguments.ca)
    account = Account()
    for url in arguments.admission:
        part = account.under(f"{url.split(':')[0]} ")
        await Admission(url, tls, arguments.token).play(part)
    account.end()


asyncio.run(main())
