"""uWebSockets, by way of the PyPI package socketify: each message goes back to its sender."""

import os
import sys

from socketify import App, CompressOptions, OpCode

app = App()
app.ws(
    "/*",
    {
        "compression": CompressOptions.DISABLED,
        "max_payload_length": 1 << 20,
        # The clients know how the engine's class greets: with an id.
        "open": lambda ws: ws.send(b"\x02\x00\x00\x00", OpCode.BINARY),
        "message": lambda ws, message, opcode: ws.send(message, opcode),
    },
)
app.listen(
    {"port": int(sys.argv[1]), "host": "127.0.0.1"},
    lambda _: print("LISTENING", os.getpid(), flush=True),
)
app.run()
