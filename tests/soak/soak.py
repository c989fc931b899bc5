#!/usr/bin/env python3
"""Mixed traffic against `kvasir serve` for a while: `make soak`, SOAK_SECONDS=1800.

More clients than slots, less KV memory than they want, clients that go at any moment. At the end:
nothing wrong was served, no status but those that are meant, memory and descriptors are flat, and
SIGTERM under load answers what is at hand and exits with 0.
"""

import argparse
import asyncio
import collections
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import traffic
from http_client import Connection, request

QUIET = (ConnectionError, asyncio.IncompleteReadError)


class Served:
    """The server's process, and what the system says of it."""

    def __init__(self, args):
        command = [args.kvasir, "serve", "--port", "0", "--parallel", "6", "--queue", "16",
                   "--kv-memory", args.kv_memory, "--drain-seconds", "600", "--ctx", "2048"]
        command += ["-m", args.model] if args.model else []
        self.log = tempfile.NamedTemporaryFile(prefix="kvasir-soak-", suffix=".log")
        self.process = subprocess.Popen(command + args.server_args.split(), stderr=self.log)
        for _ in range(600):
            if found := re.search(r"serving on http://[^:]+:(\d+)/", self.said()):
                self.port = int(found[1])
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit("the server did not start:\n" + self.said())

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def complaints(self):
        """What is in the log beside a line for each request: of sanitizers, for example."""
        return [line for line in self.said().splitlines()
                if not re.search(r" (GET|POST|HEAD|OPTIONS) /", line)]

    def rss(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Soak:
    def __init__(self, args):
        self.args, self.served = args, Served(args)
        self.port = self.served.port
        self.counts, self.wrong = collections.Counter(), []
        self.samples = []  # seconds, RSS, descriptors
        self.end = 0.0

    async def client(self, number, probes):
        chance = traffic.made(self.args.seed * 1000 + number)
        while time.monotonic() < self.end:
            probing = chance.random() < 0.15
            kind = probes.ask if probing else traffic.kind(chance)
            try:
                await kind(self.port, chance)
                self.counts[kind.__name__] += 1
            except traffic.Wrong as error:
                self.wrong.append(f"{kind.__name__}: {error}")
            except QUIET as error:
                self.wrong.append(f"{kind.__name__}: the connection broke: {error!r}")
            await asyncio.sleep(chance.random() * self.args.pause)

    async def slow_client(self):
        """Holds a connection and says little, as a slowloris does."""
        while time.monotonic() < self.end:
            connection = Connection(self.port)
            try:
                connection.reader, connection.writer = await asyncio.open_connection(
                    "127.0.0.1", self.port)
                for byte in b"POST /v1/completions HTTP/1.1\r\nX-Slow: ":
                    if connection.reader.at_eof() or time.monotonic() > self.end:
                        break
                    connection.writer.write(bytes([byte]))
                    await asyncio.sleep(1)
            except QUIET:
                pass
            connection.go()

    async def watch(self, start):
        while time.monotonic() < self.end:
            self.samples.append((time.monotonic() - start, self.served.rss(),
                                 self.served.descriptors()))
            if len(self.samples) % 30 == 0:
                seconds, rss, descriptors = self.samples[-1]
                print(f"{seconds:6.0f} s  {rss / 1e6:.1f} MB  {descriptors} descriptors  "
                      f"{sum(self.counts.values())} requests  {len(self.wrong)} wrong", flush=True)
            await asyncio.sleep(1)

    async def metric(self, name):
        text = (await request(self.port, "GET", "/metrics")).body.decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith(name + "{"))

    async def becomes_idle(self):
        for _ in range(600):
            running = await self.metric("kvasir_requests_running")
            waiting = await self.metric("kvasir_requests_waiting")
            connections = await self.metric("kvasir_http_connections")
            if running == waiting == 0 and connections == 1:
                return True
            await asyncio.sleep(0.1)
        return False

    def fail_unless(self, condition, message):
        if not condition:
            self.wrong.append(message)

    async def run(self):
        probes = traffic.Probes(traffic.made(self.args.seed))
        await probes.record(self.port)
        descriptors = self.served.descriptors()
        start = time.monotonic()
        self.end = start + self.args.seconds
        await asyncio.gather(self.watch(start), *(self.slow_client() for _ in range(20)),
                             *(self.client(i, probes) for i in range(self.args.clients)))
        self.fail_unless(await self.becomes_idle(), "it does not become idle")
        for slot in range(6):
            await request(self.port, "POST", f"/slots/{slot}?action=erase")
        await asyncio.sleep(0.5)
        left = await self.metric("kvasir_kv_bytes")
        self.fail_unless(left == 0, f"{left} bytes of KV pages with no sequence left")
        self.fail_unless(self.served.descriptors() <= descriptors,
                         f"{self.served.descriptors()} descriptors, {descriptors} at the start")
        self.fail_unless(probes.asked > 0, "no probe was answered")
        self.check_memory()
        preempted = await self.metric("kvasir_preemptions_total")
        print(f"{dict(self.counts)}; {probes.asked} probes, {preempted:.0f} preemptions")
        await self.terminate()

    def check_memory(self):
        rss = [sample[1] for sample in self.samples]
        quarter = max(1, len(rss) // 4)
        early, late = statistics.median(rss[quarter:2 * quarter] or rss), \
            statistics.median(rss[-quarter:])
        print(f"RSS {early / 1e6:.1f} MB in the second quarter, {late / 1e6:.1f} MB in the last")
        if self.args.check_memory:
            self.fail_unless(late <= early * 1.03 + 4e6, f"memory grows: {early} to {late} bytes")

    async def terminate(self):
        """SIGTERM while requests are at hand: they are answered, or told that it ends."""
        chance = traffic.made(1)
        tasks = [asyncio.create_task(traffic.streamed(self.port, chance)) for _ in range(12)]
        await asyncio.sleep(0.3)
        self.served.process.send_signal(signal.SIGTERM)
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            self.fail_unless(result is None, f"at the end: {result!r}")
        try:
            code = await asyncio.to_thread(self.served.process.wait, 620)
        except subprocess.TimeoutExpired:
            self.served.process.kill()
            code = "none"
        self.fail_unless(code == 0, f"exit code {code}")


def parse():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--pause", type=float, default=0.2, help="most seconds between requests")
    parser.add_argument("--kv-memory", default="24MiB")
    parser.add_argument("--kvasir", default=os.path.join(root, "build", "release", "kvasir"))
    parser.add_argument("--model", default="")
    parser.add_argument("--server-args", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-memory-check", dest="check_memory", action="store_false",
                        help="for builds whose allocator keeps what is freed")
    return parser.parse_args()


def main():
    soak = Soak(parse())
    try:
        asyncio.run(soak.run())
    finally:
        if soak.served.process.poll() is None:
            soak.served.process.kill()
            soak.served.process.wait()
        print("\n".join(soak.served.complaints()[-60:]), file=sys.stderr)
    for message in soak.wrong[:20]:
        print("WRONG:", message, file=sys.stderr)
    print(f"{len(soak.wrong)} wrong of {sum(soak.counts.values())} requests")
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
