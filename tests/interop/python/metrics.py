"""A server's status endpoint as its watchers see it: Python's HTTP client and the parser of its
Prometheus client, promtool, and a Prometheus that scrapes it.

python metrics.py --endpoint=URL --promtool=PATH --prometheus=PATH --config=PATH

The server is tests/interop/godot/status_server.gd; --config is the example's.
"""

import argparse
import asyncio
import json
import re
import socket
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from account import Account, equal

# What status_server.gd says of itself.
EXPECTED = {
    ("mio_websocket_ready", ()): 1,
    ("mio_websocket_peers", ()): 2,
    ("mio_websocket_handshakes_total", (("result", "joined"),)): 3,
    ("mio_websocket_handshakes_total", (("result", "full"),)): 0,
    ("mio_websocket_closes_total", (("code", "4000"),)): 1,
    ("mio_websocket_packets_received_total", ()): 10,
    ("mio_websocket_received_bytes_total", ()): 1000,
    ("mio_websocket_waiting_packets", ()): 10,
}


def fetch(url, method="GET"):
    """Status, headers and body."""
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


async def get(url, method="GET"):
    return await asyncio.to_thread(fetch, url, method)


async def output(*command, text=""):
    """Exit code and output of a program."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(text.encode())
    return process.returncode, out.decode().strip()


class Watched:
    def __init__(self, arguments):
        self.endpoint = arguments.endpoint
        self.promtool = arguments.promtool
        self.prometheus = arguments.prometheus
        self.config = arguments.config

    async def http(self):
        equal((await get(f"{self.endpoint}/healthz"))[::2], (200, "ok\n"))
        equal((await get(f"{self.endpoint}/readyz"))[::2], (200, "ready\n"))
        equal((await get(f"{self.endpoint}/nonsense"))[0], 404)
        equal((await get(f"{self.endpoint}/metrics", "POST"))[0], 405)
        status, headers, body = await get(f"{self.endpoint}/metrics", "HEAD")
        equal((status, body), (200, ""))
        equal(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")

    async def parser(self):
        _, _, text = await get(f"{self.endpoint}/metrics")
        samples, kinds = {}, {}
        for family in text_string_to_metric_families(text):
            kinds[family.name] = family.type
            if not family.documentation:
                raise AssertionError(f"{family.name} has no help")
            for sample in family.samples:
                samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        for sample, value in EXPECTED.items():
            equal((sample, samples.get(sample)), (sample, value))
        equal(kinds["mio_websocket_peers"], "gauge")
        equal(kinds["mio_websocket_packets_sent"], "counter")
        equal(kinds["mio_websocket_poll_duration_seconds"], "histogram")
        # Everything that is written has been understood.
        equal(len(samples), sum(not line.startswith("#") for line in text.splitlines()))

    async def lint(self):
        _, _, text = await get(f"{self.endpoint}/metrics")
        equal(await output(self.promtool, "check", "metrics", text=text), (0, ""))
        # It finds what is wrong.
        spoilt = text.replace("mio_websocket_peers 2", "mio_websocket_peers two")
        if (await output(self.promtool, "check", "metrics", text=spoilt))[0] == 0:
            raise AssertionError("promtool takes anything")

    async def example(self):
        code, said = await output(self.promtool, "check", "config", self.config)
        if code != 0:
            raise AssertionError(said)

    async def scrape(self):
        """A Prometheus with the example's configuration, but for the address and a shorter wait."""
        text = Path(self.config).read_text()
        address = urllib.parse.urlsplit(self.endpoint).netloc
        text, targets = re.subn(r"127\.0\.0\.1:\d+", address, text)
        text, waits = re.subn(r"scrape_interval: \w+", "scrape_interval: 1s", text)
        equal((targets, waits), (1, 1))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder, "prometheus.yml")
            config.write_text(text)
            process = await asyncio.create_subprocess_exec(
                self.prometheus,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                base = f"http://127.0.0.1:{port}/api/v1/query?query="
                equal(await self.asked(base, "up"), [1.0])
                equal(await self.asked(base, "mio_websocket_peers"), [2.0])
                quantile = "histogram_quantile(1,mio_websocket_poll_duration_seconds_bucket)"
                equal(len(await self.asked(base, quantile)), 1)
            finally:
                process.terminate()
                await process.wait()

    async def asked(self, base, query):
        """The values of a query, when there are some."""
        while True:
            try:
                _, _, body = await get(base + urllib.parse.quote(query))
                if result := json.loads(body)["data"]["result"]:
                    return [float(sample["value"][1]) for sample in result]
            except (OSError, KeyError, json.JSONDecodeError):
                # It is starting.
                pass
            await asyncio.sleep(0.1)


async def main():
    parser = argparse.ArgumentParser()
    for name in ("endpoint", "promtool", "prometheus", "config"):
        parser.add_argument(f"--{name}", required=True)
    watched, account = Watched(parser.parse_args()), Account()
    await account.case("health, readiness and metrics over HTTP", watched.http())
    await account.case("metrics as Prometheus's Python client reads them", watched.parser())
    await account.case("metrics as promtool likes them", watched.lint())
    await account.case("the example's configuration as promtool likes it", watched.example())
    await account.case("metrics in a Prometheus that has scraped them", watched.scrape(), limit=40)
    account.end()


asyncio.run(main())
