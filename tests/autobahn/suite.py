"""Autobahn's fuzzing client and fuzzing server, for xtask.

    suite.py client URL PATTERN...   plays the cases against the server at URL
    suite.py server PATTERN...       plays them against a client, and says `listening on PORT`

A pattern is the name of a case, or the start of some with a `*`. Prints lines of JSON: first the
names of all cases, then the result of each when it has ended.
"""

import json
import sys
import warnings

# Those of the suite's old code, such as for escapes in strings, are not ours.
warnings.simplefilter("ignore")

import port

# Before anything imports the suite.
port.install()

from twisted.internet import reactor

from autobahntestsuite import fuzzing
from autobahntestsuite.case.case import Case

# What is told of a result.
RESULT = ("behavior", "behaviorClose", "result", "resultClose", "duration", "wasNotCleanReason")


def tell(**line):
    print(json.dumps(line, default=repr), flush=True)


class Wire:
    """Turns what the cases send into bytes, and keeps no log of it."""

    # The cases switch it.
    createWirelog = property(lambda self: False, lambda self, value: None)

    def sendFrame(self, opcode, payload=b"", **options):
        return super().sendFrame(opcode, port.as_bytes(payload), **options)

    def sendMessage(self, payload, *args, **options):
        return super().sendMessage(port.as_bytes(payload), *args, **options)

    def sendMessageFrameData(self, payload, *args, **options):
        return super().sendMessageFrameData(port.as_bytes(payload), *args, **options)

    def sendPing(self, payload=None):
        return super().sendPing(port.as_bytes(payload))

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        return super().sendCloseFrame(code, port.as_bytes(reasonUtf8), isReply)


class Telling:
    """Tells each result at once, in place of reports at the end."""

    def logCase(self, result):
        tell(case=result["id"], **{name: result[name] for name in RESULT})

    def createReports(self):
        pass


class ServerProtocol(Wire, fuzzing.FuzzingServerProtocol):
    pass


class ClientProtocol(Wire, fuzzing.FuzzingClientProtocol):
    pass


class ServerFactory(Telling, fuzzing.FuzzingServerFactory):
    protocol = ServerProtocol


class ClientFactory(Telling, fuzzing.FuzzingClientFactory):
    pass


def main(role, *args):
    # The suite looks for its client's protocol under this name.
    fuzzing.FuzzingClientProtocol = ClientProtocol
    # Takes strings of both kinds.
    fuzzing.asciiLogData = lambda data, *_: repr(data)
    Case.compare = lambda self, one, other: port.as_bytes(one) == port.as_bytes(other)
    if role == "client":
        url, *patterns = args
        factory = ClientFactory({"cases": patterns, "servers": [{"agent": "server", "url": url}]})
    else:
        factory = ServerFactory({"cases": list(args), "url": "ws://127.0.0.1:9001"})
        listener = reactor.listenTCP(0, factory, interface="127.0.0.1")
        # The address that clients must name.
        factory.setSessionParameters(url=f"ws://127.0.0.1:{listener.getHost().port}")
        print(f"listening on {listener.getHost().port}", flush=True)
    tell(cases=factory.specCases)
    reactor.run()


main(*sys.argv[1:])
